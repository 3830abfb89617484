"""What a guide says of the same draws must not depend on when, or how, it is asked.

In evaluation mode log q of given draws is a function of the batch and the parameters alone: not of how often
the guide has been run, of random numbers that are no site, or of whether gradients are recorded. And running
it leaves the batch as it was.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from hardpp.tasks.doctor.findings import Check
from hardpp.tasks.doctor.guide_batches import CLOSE
from hardpp.tasks.doctor.recorded import SEED, Recorded, by_datum, log_probs, recorded
from hardpp.tasks.doctor.subject import Subject

_SITES = "draw them with pyro.sample, or in training mode only"
_KEPT = (
    "the guide keeps something from run to run (a counter, a cache), or has random numbers of Python or "
    f"numpy: {_SITES}"
)
_RANDOM = (
    "the guide has random numbers that are no site (torch.rand, F.dropout without training=self.training, "
    f"draws of a distribution outside of pyro.sample): {_SITES}"
)
_GRADIENTS = "look for is_grad_enabled, or a gradient that is taken within the guide"


def _unchanged(subject: Subject) -> Iterator[str]:
    left = subject.drawn.batch._asdict()
    for name, field in subject.whole._asdict().items():
        if isinstance(field, Tensor) and not _same(field, left[name]):
            yield (
                f"running the guide changes {name} of its batch, which model and later runs read, too: look "
                "for methods that end in _ (add_, masked_fill_) and assignments to x[...]; change a clone()"
            )


def _repeats(subject: Subject) -> Iterator[str]:
    draws = subject.drawn.values
    first = recorded(subject.guide, subject.whole, draws)
    for changed, when, cause in (
        ({}, "in the next run", _KEPT),
        ({"seed": SEED + 1}, "by another seed", _RANDOM),
        ({"gradients": True}, "with gradients", _GRADIENTS),
    ):
        run = recorded(subject.guide, subject.whole, draws, **changed)
        if run.error:
            yield f"the guide fails {when} {run.error}: {cause}"
            return
        if sentences := list(_different(first, run, when, cause)):
            yield from sentences
            return


def _different(first: Recorded, other: Recorded, when: str, cause: str) -> Iterator[str]:
    before, after = log_probs(first), log_probs(other)
    for name, site in first.latents.items():
        if name not in after or before[name].shape != after[name].shape:
            yield f"site {name!r} is another one {when}: {cause}"
            continue
        # NaN is told by another check; where all is masked, terms are 0.
        wanted, got = (by_datum(site, terms[name].detach()) for terms in (before, after))
        apart = ~torch.isclose(wanted, got, CLOSE, CLOSE, equal_nan=True)
        if bool(apart.any()):
            datum = int(apart.nonzero()[0])
            yield (
                f"site {name!r}: log q of the same draws of datum {datum} is {float(got[datum]):.4f} nats "
                f"{when}, and {float(wanted[datum]):.4f} before: {cause}"
            )


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(torch.isclose(one, other, 0, 0, equal_nan=True).all())


CHECKS: list[Check[Subject]] = [
    Check("batch", "running the guide leaves its batch as it was", _unchanged, ("runs",)),
    Check("repeats", "the same draws have the same log q in every run", _repeats, ("names", "batch")),
]
