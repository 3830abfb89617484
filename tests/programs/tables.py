"""Tables of logits at random, remembered as the parameters of a program."""

import pyro.distributions as dist
import torch
from torch import Tensor, nn


class Tables:
    """Makes tables of double precision, the same ones for the same seed."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)
        self.all: list[Tensor] = []

    def __call__(self, *shape: int) -> nn.Parameter:
        table = torch.randn(shape, generator=self.generator, dtype=torch.float64)
        self.all.append(nn.Parameter(table))
        return self.all[-1]


def C(logits: Tensor) -> dist.Categorical:
    """A choice of one value."""
    return dist.Categorical(logits=logits)


def B(logits: Tensor) -> dist.Bernoulli:
    """Yes or no."""
    return dist.Bernoulli(logits=logits)
