"""How likely a run finds each of some items: log p in nats, latents summed out, or a lower bound of it.

Never the likelihood given one drawn alignment: with latents of every item's own, comparing that is wrong.

    exact                log p(output | input), all latents summed out
    expected latents     log p at the expected latents, of runs that predict so (soft attention)
    bound of K draws     the importance weighted bound of K draws of the guide, where no sum is at hand; it
                         comes nearer to log p with more draws, and with a better guide
"""

import hashlib
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hardpp.diagnostics.seeds import seeded
from hardpp.inference.exact import ExactMarginal
from hardpp.inference.importance_weighted import IWAE
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.soft_attention import SoftAttention
from hardpp.tasks.item_lists import count, some
from hardpp.tasks.opened_run import OpenedRun

_AT_ONCE = 50  # items


class HeldOut(NamedTuple):
    """The likelihoods of N items."""

    nats: Tensor  # (N,) float64, in the order of the items
    kind: str  # see above
    digests: list[str]  # of what each item is: inputs and outputs as the run is given them


def log_likelihoods(run: OpenedRun, items: Any, *, draws: int = 16, seed: int = 0) -> HeldOut:
    """How likely a run finds each item.

    Args:
        run: opened.
        items: what its `select` gave.
        draws: K, for a bound.
        seed: of these.

    Raises:
        DataError: there are no items.
    """
    objective, kind = _objective(run, draws)
    number = count(items)
    digests = [_digest(run.batch(some(items, [index]))) for index in range(number)]
    found = []
    with torch.no_grad(), seeded(seed, run.device):
        for start in range(0, number or 1, _AT_ONCE):  # or 1: a batch of none is refused
            indices = range(start, min(number, start + _AT_ONCE))
            batch = run.batch(some(items, indices))
            # An item may be a part of a datum, as one of several questions about an image.
            alone = batch.size != len(indices)
            batches = [run.batch(some(items, [index])) for index in indices] if alone else [batch]
            found += [objective.estimate(*run.programs, each).bound.double().cpu() for each in batches]
            run.watch(len(indices))
    return HeldOut(torch.cat(found), kind, digests)


def _objective(run: OpenedRun, draws: int) -> tuple[SurrogateObjective, str]:
    if run.objective.prediction == "expected":
        return SoftAttention(), "expected latents"
    if not ExactMarginal.needs & run.family.lacks(run.network).keys():
        return ExactMarginal(), "exact"
    return IWAE(draws), f"bound of {draws} draws"


def _digest(batch: Any) -> str:
    digest = hashlib.sha256()
    for name in ("source", "question", "target"):
        if (values := getattr(batch, name, None)) is not None:
            values = values.cpu().contiguous()
            digest.update(f"{name} {tuple(values.shape)} {values.dtype}".encode())
            digest.update(values.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
