"""Pairs to padded batches, and which pairs go into a batch together.

`length_buckets` orders training: a pure function of (seed, epoch), so that a resumed run sees the same
batches; it never touches the global random state. `in_order` orders evaluation.

Shapes: B data, T output steps, S source positions, the boundary included in both.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hardpp.data.transduction import Pair
from hardpp.data.vocabulary import BOUNDARY, Vocabulary
from hardpp.types import TransductionBatch

_POOL = 50  # batches sorted by length together: enough to find mates, few enough to mix


class Encoded(NamedTuple):
    """One pair as ids; neither side has its boundary yet."""

    source: list[int]
    target: list[int]


def encode(
    pairs: Iterable[Pair], source_vocabulary: Vocabulary, target_vocabulary: Vocabulary
) -> list[Encoded]:
    """Ids of each pair's source and of the target that trains; references are left to scoring."""
    return [
        Encoded(source_vocabulary.encode(pair.source), target_vocabulary.encode(pair.target))
        for pair in pairs
    ]


def collate(items: Sequence[Encoded]) -> TransductionBatch:
    """Append `BOUNDARY` to every source and target, and pad on the right with 0.

    The end of a source is a position like any other: what the end of the output looks at.

    Returns:
        source and target (B, S) and (B, T) int64, their masks bool; S and T are the longest plus one.

    Raises:
        ValueError: There are no items, or a source is empty.
    """
    if not items:
        raise ValueError("expected at least one pair a batch, got none")
    for row, item in enumerate(items):
        if not item.source:
            raise ValueError(f"expected a source of at least one symbol, got an empty one in row {row}")
    source, source_mask = _pad([[*item.source, BOUNDARY] for item in items])
    target, target_mask = _pad([[*item.target, BOUNDARY] for item in items])
    return TransductionBatch(source, source_mask, target, target_mask)


def length_buckets(
    source_lengths: Sequence[int], target_lengths: Sequence[int], batch_size: int, seed: int, epoch: int
) -> list[list[int]]:
    """Shuffled batches of indices whose sources, and then targets, have nearly equal lengths.

    Every index occurs exactly once; all batches but one hold `batch_size` indices. The result depends
    on the arguments only.

    Args:
        source_lengths: Symbols a source, one number a pair.
        target_lengths: Symbols a target, in the same order.
        batch_size: Pairs a batch, at least 1.
        seed: The run's seed.
        epoch: Which pass over the data; another epoch gives another order.

    Raises:
        ValueError: The lists differ in length, or `batch_size` is below 1.
    """
    if len(source_lengths) != len(target_lengths):
        raise ValueError(
            f"expected as many target as source lengths ({len(source_lengths)}), got {len(target_lengths)}"
        )
    _check_size(batch_size)
    # Hashed, since seed + epoch would give (1, 0) and (0, 1) the same order.
    digest = hashlib.sha256(f"{seed} {epoch}".encode()).digest()
    generator = torch.Generator("cpu").manual_seed(int.from_bytes(digest[:7], "big"))
    shuffled: list[int] = torch.randperm(len(source_lengths), generator=generator, device="cpu").tolist()

    def length(index: int) -> tuple[int, int]:
        # Targets run up and down in turn, so that they do not jump where the source length changes.
        source, target = source_lengths[index], target_lengths[index]
        return source, target if source % 2 else -target

    batches: list[list[int]] = []
    for start in range(0, len(shuffled), _POOL * batch_size):
        pool = sorted(shuffled[start : start + _POOL * batch_size], key=length)
        batches += _chop(pool, batch_size)
    order: list[int] = torch.randperm(len(batches), generator=generator, device="cpu").tolist()
    return [batches[place] for place in order]


def in_order(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Batches of indices from the shortest to the longest; ties keep their order.

    A result computed for batch b belongs to the indices `in_order(...)[b]`, which is all a caller needs to
    put results back in place.

    Raises:
        ValueError: `batch_size` is below 1.
    """
    _check_size(batch_size)
    return _chop(sorted(range(len(lengths)), key=lengths.__getitem__), batch_size)


def _check_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"expected a batch size of at least 1, got {batch_size}")


def _chop(indices: list[int], size: int) -> list[list[int]]:
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def _pad(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(row) for row in rows])  # (B,)
    width = max(len(row) for row in rows)
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])  # (B, width)
    return ids, torch.arange(width) < lengths[:, None]
