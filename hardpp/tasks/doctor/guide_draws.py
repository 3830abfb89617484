"""Whether a guide draws as its log q says: a value that is likely is drawn as often.

The first datum is drawn many times. One half of the draws says which values are drawn often; in the other
half it is counted how often they are, and how often any other, whose probability is what they leave of 1. The
distance is the chi-square statistic, held against a bound on the tail of its distribution.

Source: Laurent and Massart (2000), Adaptive estimation of a quadratic functional by model selection, lemma 1.
Shapes: N draws in the second half, D elements of all latents of a datum, C values that are drawn often.
"""

from collections.abc import Iterator
from math import log, sqrt

import torch
from torch import Tensor

from hardpp.inference.weights.sample_sites import elements
from hardpp.tasks.doctor.findings import Check, Skip
from hardpp.tasks.doctor.recorded import Recorded, by_datum, log_probs, recorded
from hardpp.tasks.doctor.subject import Subject, rows

HALF = 2000  # draws, N
_LEAST = 5.0  # of which a value has to have as many, to be counted by itself
_FALSE_ALARM = 1e-6
_TWO = "sample() and log_prob() are of two distributions"


def _drawn(subject: Subject) -> Iterator[str]:
    batch = rows(subject.batch(1), torch.zeros(2 * HALF, dtype=torch.int64))
    run = recorded(subject.guide, batch)
    if run.error:
        raise Skip(f"the guide does not take {2 * HALF} data {run.error}")
    if len(run.latents) < len(run.values):
        raise Skip("the guide has auxiliary sites")
    drawn, log_q = _values(run), sum(by_datum(run.latents[n], t) for n, t in log_probs(run).items())
    values, index = drawn.unique(dim=0, return_inverse=True)  # (values, D), (2 N,)
    expected = torch.zeros(len(values), dtype=torch.float64)
    expected[index] = HALF * torch.as_tensor(log_q).detach().double().exp()
    often = (expected >= _LEAST) & (index[:HALF].bincount(minlength=len(values)) > 0)
    if not bool(often.any()):
        raise Skip("no value of the first datum is likely enough to be drawn often")
    expected, counts = expected[often], index[HALF:].bincount(minlength=len(values))[often].double()
    names = ", ".join(map(repr, run.latents))
    rest, other = HALF - expected.sum(), HALF - counts.sum()
    if float(rest) < -1e-3 * HALF:
        yield f"{names}: q of {len(counts)} values of the first datum sums to {1 - float(rest) / HALF:.4f}"
        return
    if float(rest) >= _LEAST:
        expected, counts = torch.cat([expected, rest[None]]), torch.cat([counts, other[None]])
    else:  # too few to be counted by themselves
        least = int(expected.argmin())
        expected[least], counts[least] = expected[least] + rest.clamp(min=0), counts[least] + other
    terms = (counts - expected).square() / expected
    freedom, limit = len(terms) - 1, -log(_FALSE_ALARM)
    if float(terms.sum()) > freedom + 2 * sqrt(freedom * limit) + 2 * limit:
        worst = int(terms.argmax())
        which = f"are {values[often][worst].tolist()}" if worst < int(often.sum()) else "have other values"
        yield (
            f"{names}: of {HALF} draws of the first datum {int(counts[worst])} {which}, "
            f"and {float(expected[worst]):.1f} would by log q: {_TWO}"
        )


# (2 N, D) int64, 0 where nothing counts.
def _values(run: Recorded) -> Tensor:
    parts = []
    for name, site in run.latents.items():
        value, (_, counts) = site["value"], elements(site)
        if value.is_floating_point() or len(value) != 2 * HALF:
            raise Skip(f"the values of site {name!r} do not repeat, or its data come in another dim")
        if counts is not None and counts.dim() <= value.dim():
            counts = counts.reshape(*counts.shape, *[1] * (value.dim() - counts.dim()))
            value = value.where(counts, torch.zeros_like(value))
        parts.append(value.reshape(2 * HALF, -1).long())
    return torch.cat(parts, 1)


CHECKS: list[Check[Subject]] = [
    Check(
        "draws",
        "values are drawn as often as log q says",
        _drawn,
        ("sites", "masks", "repeats", "normalisation"),
    ),
]
