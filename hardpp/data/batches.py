"""Which items go into a batch together, the order of batches, and how rows of a batch are padded.

`length_buckets` orders training: a pure function of (seed, epoch), so that a resumed run sees the same
batches; it never touches the global random state. `in_order` orders evaluation.

Shapes: B rows of a batch, T ids of the longest and its boundary.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardpp.data.vocabulary import BOUNDARY

Lengths = NDArray[np.integer[Any]]

_POOL = 50  # batches sorted by length together: enough to find mates, few enough to mix


def length_buckets(
    source_lengths: Sequence[int], target_lengths: Sequence[int], batch_size: int, seed: int, epoch: int
) -> list[list[int]]:
    """Shuffled batches of indices whose sources, and then targets, have nearly equal lengths.

    Every index occurs exactly once; all batches but one hold `batch_size` indices. The result depends
    on the arguments only, and another epoch gives another order.

    Args:
        source_lengths, target_lengths: Symbols of every source and of its target, in the same order.
        batch_size: Pairs a batch, at least 1.
        seed: The run's seed.
        epoch: Which pass over the data.
    """
    return list(LengthBuckets(np.array(source_lengths), np.array(target_lengths), batch_size, seed, epoch))


class LengthBuckets(Sequence[list[int]]):
    """The same batches, each made when it is asked for; the arguments are those of `length_buckets`."""

    def __init__(self, source: Lengths, target: Lengths, batch_size: int, seed: int, epoch: int):
        if len(source) != len(target):
            raise ValueError(f"expected as many target as source lengths ({len(source)}), got {len(target)}")
        _check_size(batch_size)
        # Hashed, since seed + epoch would give (1, 0) and (0, 1) the same order.
        digest = hashlib.sha256(f"{seed} {epoch}".encode()).digest()
        generator = torch.Generator("cpu").manual_seed(int.from_bytes(digest[:7], "big"))
        shuffled = torch.randperm(len(source), generator=generator, device="cpu").numpy()
        source, target = source[shuffled], target[shuffled]
        # Targets run up and down in turn, so that they do not jump where the source length changes.
        turn, pool = np.where(source % 2, target, -target), np.arange(len(source)) // (_POOL * batch_size)
        self._size, self._indices = batch_size, shuffled[np.lexsort((turn, source, pool))]
        count = -(-len(source) // batch_size)
        self._order = torch.randperm(count, generator=generator, device="cpu").numpy()

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, which: int) -> list[int]: ...
    @overload
    def __getitem__(self, which: slice) -> list[list[int]]: ...
    def __getitem__(self, which: int | slice) -> Any:
        if isinstance(which, slice):
            return [self[place] for place in range(len(self))[which]]
        start = int(self._order[which]) * self._size
        return self._indices[start : start + self._size].tolist()


def shuffled(count: int, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Shuffled batches of `count` indices, all of equal length; the last batch may be smaller."""
    return length_buckets([0] * count, [0] * count, batch_size, seed, epoch)


def in_order(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Batches of indices from the shortest to the longest; ties keep their order.

    A result computed for batch b belongs to the indices `in_order(...)[b]`, which is all a caller needs to
    put results back in place.
    """
    _check_size(batch_size)
    return _chop(sorted(range(len(lengths)), key=lengths.__getitem__), batch_size)


def pad(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """End every row of ids with the boundary and pad it on the right with 0, which is the boundary too.

    Returns:
        Ids (B, T) int64, and a mask (B, T) that is True where there is an id or its boundary.
    """
    lengths = torch.tensor([len(row) + 1 for row in rows])  # (B,)
    T = int(lengths.max())
    ids = torch.tensor([[*row, *[BOUNDARY] * (T - len(row))] for row in rows])
    return ids, torch.arange(T) < lengths[:, None]


def _check_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"expected a batch size of at least 1, got {batch_size}")


def _chop(indices: list[int], size: int) -> list[list[int]]:
    return [indices[start : start + size] for start in range(0, len(indices), size)]
