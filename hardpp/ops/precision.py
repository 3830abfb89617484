"""Precision of log-probabilities: float32 or wider, also when the logits are narrower."""

from functools import cache

import torch
from torch import Tensor


@cache  # torch answers as slowly as it computes
def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype of results computed from values of `dtype`: float32 or wider."""
    return torch.promote_types(dtype, torch.float32)


def at_least_single(values: Tensor) -> Tensor:
    """The values, in float32 if they came in half precision."""
    return values.to(wide(values.dtype))


def log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities over the last dim, in one pass also if the logits came in half precision."""
    return logits.log_softmax(-1, dtype=wide(logits.dtype))
