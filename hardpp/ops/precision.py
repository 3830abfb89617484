"""Precision: products of matrices may be narrow, log-probabilities are float32 or wider."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Torch answers as slowly as it computes; and its compiler warns of caches.
_WIDE = {each: torch.promote_types(each, torch.float32) for each in _FLOATING}


def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype of results computed from values of `dtype`: float32 or wider."""
    return _WIDE.get(dtype, torch.float32)


def at_least_single(values: Tensor) -> Tensor:
    """The values, in float32 if they came in half precision."""
    return values.to(wide(values.dtype))


def log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities over the last dim, in one pass also if the logits came in half precision."""
    return logits.log_softmax(-1, dtype=wide(logits.dtype))


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[None]:
    """Lets products of matrices run in a precision; float32 is how they are written, and changes nothing."""
    if precision == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, precision)


def has_instructions(precision: torch.dtype, device: torch.device) -> bool:
    """Has a device instructions for products in a precision, bfloat16 or float32?"""
    if precision == torch.float32:
        return True
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
