"""The shape that tensors have once they are broadcast.

It is what `torch.broadcast_shapes` gives. That one loads sympy at its first call, which takes half a second.
"""

from collections.abc import Sequence

import torch


def broadcast_shape(*shapes: Sequence[int]) -> torch.Size:
    """The shape of the sum of tensors that have these shapes.

    Raises:
        RuntimeError: they cannot be broadcast.
    """
    shape = [1] * max(map(len, shapes), default=0)
    for each in shapes:
        for dim, size in enumerate(each, start=len(shape) - len(each)):
            if shape[dim] == 1:
                shape[dim] = size
            elif size not in (1, shape[dim]):
                raise RuntimeError(f"shapes {', '.join(str(list(s)) for s in shapes)} cannot be broadcast")
    return torch.Size(shape)
