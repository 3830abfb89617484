"""Whether a guide runs in training mode as it does in evaluation mode, in which all else is looked at.

Normalisation by batches, dropout and whatever asks for `self.training` are only tried so. The numbers of the
two modes may differ; sites and shapes may not.
"""

import copy
from collections.abc import Iterator

from hardpp.tasks.doctor.findings import Check
from hardpp.tasks.doctor.guide_sites import arguments
from hardpp.tasks.doctor.recorded import log_probs, recorded
from hardpp.tasks.doctor.subject import Subject

_ONE = (
    "the last batch of an epoch may be as small, and normalisation over the data of a batch wants more: "
    "normalise over steps, or by LayerNorm"
)


def _trains(subject: Subject) -> Iterator[str]:
    guide = copy.deepcopy(subject.guide).train()  # running statistics are to stay as they are
    run = recorded(guide, subject.whole, training=True)
    if run.error:
        yield f"in training mode the guide fails {run.error}"
        return
    wanted = {name: tuple(term.shape) for name, term in log_probs(subject.drawn).items()}
    got = {name: tuple(term.shape) for name, term in log_probs(run).items()}
    if wanted != got:
        yield f"in training mode the guide draws {got}, and {wanted} in evaluation mode (sites and shapes)"
    for site in run.sites:
        for name, value in arguments(site).items():
            if bool(value.isnan().any()):
                yield (
                    f"site {site['name']!r}: {name} of its {type(site['fn']).__name__} are NaN in training "
                    "mode, and not in evaluation mode"
                )
                return
    if error := recorded(guide, subject.batch(1), training=True).error:
        yield f"in training mode the guide fails on a batch of one {error}: {_ONE}"


CHECKS: list[Check[Subject]] = [
    Check("training", "it runs in training mode, too", _trains, ("names", "plates", "batch of one")),
]
