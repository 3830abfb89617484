"""Where a run's alignments look: weights over source positions, before and after the symbol is seen."""

from collections.abc import Sequence
from typing import Any

import torch
from pyro import poutine
from torch import Tensor

from hardpp import sites
from hardpp.data.transduction.pairs import Pair
from hardpp.tasks.alignment.batching import batches
from hardpp.tasks.family import Run
from hardpp.types import SequenceBatch


def position_weights(run: Run, pairs: Sequence[Pair], which: str) -> list[Tensor]:
    """p(position) of every step of every pair under the prior, guide or posterior: (T, S) each."""
    from hardpp.diagnostics.draws import draw_alignments

    out: list[Tensor] = [torch.empty(0) for _ in pairs]
    for indices, batch in batches(run, pairs):
        known = draw_alignments(
            *run.programs, batch, site=sites.ALIGNMENT, draws=1, at_once=1, exact=which == "posterior"
        )
        weights: Any = {"prior": known.prior, "guide": known.guide, "posterior": known.exact}[which]
        for index, weight in zip(indices, weights.cpu(), strict=True):
            out[index] = weight[: len(pairs[index].target) + 1, : len(pairs[index].source) + 1]
    return out


@torch.no_grad()
def prior_entropy(run: Run, batch: SequenceBatch) -> float:
    """Entropy of p(position | source, symbols before), nats, summed over the batch's symbols."""
    site = poutine.trace(run.programs.model).get_trace(batch).nodes[sites.ALIGNMENT]
    entropy: Tensor = site["fn"].entropy()  # (B, T)
    return float((entropy * batch.target_mask).sum())
