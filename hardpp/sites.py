"""Names of the random variables, and the plates, that models and guides share.

Shapes: B data, T output steps.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pyro
from pyro import poutine
from torch import Tensor

ALIGNMENT = "alignment"  # which source position an output symbol looks at
SYMBOL = "symbol"  # the output symbol itself


@contextmanager
def output_steps(mask: Tensor) -> Iterator[None]:
    """Plates data (outermost) and steps for a (B, T) bool mask; padded steps carry no probability."""
    B, T = mask.shape
    data = pyro.plate("data", B, dim=-2, device=str(mask.device))
    steps = pyro.plate("steps", T, dim=-1, device=str(mask.device))
    with data, steps, poutine.mask(mask=mask):
        yield
