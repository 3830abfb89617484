"""Padding of sequences of symbols on the right.

Shapes: B sequences, T symbols of the longest.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def pad(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Pad at least one row of symbols with 0: ids (B, T) int64, and the mask (B, T) of what is no padding."""
    lengths = torch.tensor([len(row) for row in rows])  # (B,)
    T = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[0] * (T - len(row))] for row in rows])
    return ids, torch.arange(T) < lengths[:, None]
