"""Which items go into a batch together, the order of batches, and how rows of a batch are padded.

`length_buckets` orders training: a pure function of (seed, epoch), so that a resumed run sees the same
batches; it never touches the global random state. `in_order` orders evaluation.

Shapes: B rows of a batch, T ids of the longest and its boundary.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from hardpp.data.vocabulary import BOUNDARY

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
