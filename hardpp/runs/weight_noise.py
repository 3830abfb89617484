"""Gaussian noise on the weights for the length of a training step.

Source: Graves 2011, "Practical variational inference for neural networks", without its adaptive deviation.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def weight_noise(parameters: Sequence[Tensor], deviation: float) -> Iterator[None]:
    """Adds noise to parameters in the block, so that the gradient is taken there, and then takes it back.

    Args:
        parameters: changed in place, and restored to the last bit.
        deviation: of the noise; 0 draws none.
    """
    if not deviation:
        yield
        return
    with torch.no_grad():
        values = [parameter.clone() for parameter in parameters]
        for parameter in parameters:
            parameter.add_(torch.randn_like(parameter), alpha=deviation)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, values, strict=True):
                parameter.copy_(value)
