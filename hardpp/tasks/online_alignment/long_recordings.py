"""Recordings of minutes and hours: their exact posterior in blocks of steps, kept where it is not near zero.

All pairs of frame and token of such a recording at once would not fit into memory. Which of them a posterior
gives a probability of 1e-9 and more are few, so they are kept, and nothing else.

Shapes: S frames, T tokens (the end mark included), E entries.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardpp.data.batches import in_order
from hardpp.data.speech.utterances import Utterance
from hardpp.errors import ResourceError
from hardpp.ops.lattice_blocks import PathBlocks, blocked_log_total, blocked_marginals
from hardpp.tasks.online_alignment.data import BATCH
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import SequenceBatch

MOST = 2**28  # numbers that are computed together, 1 GB
_LEAST = 1e-9  # probabilities that are kept
_MOST_DRAWS = 100  # of a guide, at once


class Entries(NamedTuple):
    """Probabilities that tokens are said at frames, but for those near zero: by token, then by frame."""

    token: NDArray[np.int64]  # (E,)
    frame: NDArray[np.int64]  # (E,)
    probability: NDArray[np.float64]  # (E,)
    T: int
    S: int

    def dense(self) -> Tensor:
        """All of them, (T, S) float32.

        Raises:
            ResourceError: they are too many.
        """
        if self.T * self.S > MOST:
            what = f"{self.T:,} tokens at {self.S:,} frames are more than can be held"
            raise ResourceError(what, "align without --calibrated, or cut the recording")
        table = torch.zeros(self.T, self.S)
        place = torch.from_numpy(self.token * self.S + self.frame)
        return (
            table.view(-1).scatter_add_(0, place, torch.from_numpy(self.probability).float()).view_as(table)
        )

    def quantiles(self, shares: Sequence[float]) -> list[list[int]]:
        """The first frames at which each share of a token's probability is reached, for every token."""
        found = []
        for frames, cumulative in self._rows():
            wanted = np.searchsorted(cumulative, np.array(shares) * cumulative[-1])
            found.append(frames[wanted.clip(max=len(frames) - 1)].tolist())
        return found

    def largest(self) -> list[float]:
        """The probability of the likeliest frame of every token."""
        return [float(self.probability[start:end].max(initial=0.0)) for start, end in self._ranges()]

    def _rows(self) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        ranges = self._ranges()
        rows = [(self.frame[start:end], self.probability[start:end].cumsum()) for start, end in ranges]
        return [row if len(row[0]) else (np.zeros(1, np.int64), np.ones(1)) for row in rows]

    # Where the entries of each token begin and end.
    def _ranges(self) -> list[tuple[int, int]]:
        return list(pairwise(np.searchsorted(self.token, np.arange(self.T + 1)).tolist()))


def numbers(run: OpenedRun, utterance: Utterance) -> int:
    """About how many numbers the sum over all alignments of an utterance computes at once; 0: it has none."""
    S, T = utterance.length + 1, len(utterance.tokens) + 2
    if run.network.form == "online":
        return 0
    return S * T * (60 if run.network.form == "ctc" else 2 * run.network.hidden)


def is_long(run: OpenedRun, utterance: Utterance) -> bool:
    """Is an utterance so long that its alignments are summed in blocks?"""
    return numbers(run, utterance) > MOST


def draws_at_once(run: OpenedRun, utterance_frames: int, tokens: int) -> int:
    """How many draws of a guide on an utterance fit into memory."""
    network: Any = run.network
    of_draw = (utterance_frames + tokens) * (run.description.features + 8 * network.hidden)
    return max(1, min(_MOST_DRAWS, MOST // of_draw))


def batches(run: OpenedRun, utterances: Sequence[Utterance]) -> Iterator[tuple[list[int], SequenceBatch]]:
    """All utterances in batches of like length on the run's device, each with the indices of its own.

    Of longer ones there are fewer in a batch.
    """
    lengths = [utterance.length for utterance in utterances]
    for some in in_order(lengths, BATCH) or [[]]:  # a batch of none is refused
        most = max((numbers(run, utterances[index]) for index in some), default=0)
        size = max(1, min(len(some), MOST // max(most, 1)))
        for start in range(0, len(some) or 1, size):
            indices = some[start : start + size]
            yield indices, run.batch([utterances[index] for index in indices])
            run.watch(len(indices))


@torch.no_grad()
def long_entries(run: OpenedRun, utterance: Utterance) -> Entries:
    """The exact posterior of one utterance."""
    blocks = _blocks(run, utterance)
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for first, marginals in blocked_marginals(blocks.arcs, blocks.steps, blocks.end):
        said, frames = blocks.emissions(first, marginals)
        step, which = (said > _LEAST).nonzero(as_tuple=True)
        found.append((which.cpu(), frames[step, which].cpu(), said[step, which].double().cpu()))
    token, frame, probability = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    # What is said after the last frame counts as said at it, so that a pair may be there twice.
    S, T = utterance.length, len(utterance.tokens) + 1
    pairs, places = np.unique(token * S + frame, return_inverse=True)
    summed = np.bincount(places, probability, len(pairs)).astype(np.float64)
    return Entries(pairs // S, pairs % S, summed, T, S)


@torch.no_grad()
def long_log_p(run: OpenedRun, utterance: Utterance) -> float:
    """log p(tokens | frames) of one utterance, in nats."""
    blocks = _blocks(run, utterance)
    return float(blocked_log_total(blocks.arcs, blocks.steps, blocks.end))


def _blocks(run: OpenedRun, utterance: Utterance) -> PathBlocks:
    model: Any = run.programs.model
    blocks: PathBlocks = model.path_blocks(run.batch([utterance]))
    return blocks
