"""Whether a guide that is declared `causal = True` looks at targets after the step it is at.

Such a guide can be used while the target is still to come. Other symbols are put in place of all after a
step, or the target ends there, and log q of the same draws must stay the same up to it.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from hardpp.inference.weights.sample_sites import plates_of, steps_of
from hardpp.tasks.doctor.findings import Check, Skip
from hardpp.tasks.doctor.guide_batches import CLOSE, masked_as
from hardpp.tasks.doctor.recorded import Recorded, log_probs, recorded
from hardpp.tasks.doctor.subject import Subject


def _causality(subject: Subject) -> Iterator[str]:
    if not getattr(subject.guide, "causal", False):
        raise Skip("the guide does not declare causal = True")
    target: Tensor | None = getattr(subject.whole, "target", None)
    if target is None or target.dim() != 2:
        raise Skip("a batch of this model has no sequences as targets")
    T, mask = target.shape[1], subject.whole.target_mask
    plain = _steps(subject, subject.drawn, T)
    for t in range(T - 1):
        later = torch.arange(T) > t
        others: dict[str, dict[str, Tensor]] = {
            f"targets after step {t}": {"target": target.where(~later, (target + 1) % (target.max() + 1))},
            "how long the target is": {"target_mask": mask & ~later},
        }
        for what, fields in others.items():
            batch: Any = subject.whole._replace(**fields)
            changed = _steps(subject, recorded(subject.guide, batch, subject.drawn.values), T)
            for (name, step), terms in plain.items():
                if step <= t and not torch.allclose(terms, changed[name, step], CLOSE, CLOSE):
                    yield (
                        f"site {name!r} at step {step} depends on {what}, and the guide declares causal = "
                        "True: read targets from the left only (no backward LSTM, no attention ahead, no "
                        "target_mask.sum()), or leave the declaration out"
                    )
                    return


# Log-probabilities by site and step: a site a step, or steps in a plate or an event.
def _steps(subject: Subject, run: Recorded, T: int) -> dict[tuple[str, int], Tensor]:
    found: dict[tuple[str, int], Tensor] = {}
    latents = list(run.latents)
    for name, terms in log_probs(run).items():
        if name not in run.latents:
            continue
        site = run.latents[name]
        if steps_of(site) == T:
            terms = site["fn"].step_log_prob(site["value"])
            found |= {(name, t): terms[..., t] for t in range(T)}
        elif any(frame.dim == -1 and frame.size == T for frame in plates_of(site)) and terms.dim() > 1:
            terms = masked_as(subject.prior.latents[name], terms) if name in subject.prior.latents else terms
            found |= {(name, t): terms[..., t] for t in range(T)}
        elif len(latents) == T:
            found[name, latents.index(name)] = terms
        else:
            raise Skip(f"which step an element of site {name!r} belongs to is not known")
    return found


CHECKS: list[Check[Subject]] = [
    Check("causality", "no step looks at targets after it", _causality, ("smaller batch",)),
]
