"""Reading a memory at an alignment, hard or relaxed.

Shapes: B data, S source positions, T steps, H features; ... = dims inference adds on the left.
"""

import torch
from torch import Tensor


def attend(memory: Tensor, alignment: Tensor) -> Tensor:
    """The memory at an alignment.

    Args:
        memory: (B, S, H).
        alignment: int64 (..., B, T), one position a step; or, relaxed by a handler, weights over
            positions, floating (..., B, T, S). The sizes B and T may be 1 where inference
            enumerates; the memory is then read once for all of them.

    Returns:
        (..., B, T, H).
    """
    if alignment.is_floating_point():
        return alignment.to(memory.dtype) @ memory
    row = torch.arange(memory.shape[0], device=memory.device).unsqueeze(-1)  # (B, 1)
    return memory[row, alignment]
