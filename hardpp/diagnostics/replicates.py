"""Observations drawn anew by a model, which people hold against what was observed.

    latents ~ p(. | all that the program reads)     drawn anew, not those of the guide
    observed ~ p(. | latents)

A program that reads the outputs before a step (teacher forcing) reads those that were observed: what is drawn
at a step is one step ahead of them. Parameters are the trained ones.

Shapes: K draws, B data; * = dims of an observation to the right of the data.
"""

from typing import Any

import torch
from pyro import poutine
from torch import Tensor

from hardpp.inference.weights.nesting import plate_nesting
from hardpp.inference.weights.particles import particle_trace
from hardpp.types import Program


@torch.no_grad()
def replicates(
    model: Program, guide: Program, batch: Any, site: str, observed: Tensor, draws: int, at_once: int = 32
) -> Tensor:
    """Draws (K, B, *) of the model's observed site, in place of what was `observed` (B, *).

    Args:
        model, guide: programs in evaluation mode; the guide only says how many plates there are.
        batch: what they take.
        site: the name of the observation.
        observed: its value.
        draws: K, at most `at_once` of them in one run.

    Raises:
        UsageError: the model fails when its observations are drawn.
    """
    nesting = plate_nesting(model, guide, (batch,), {})
    free, portions = poutine.uncondition(model), []
    for start in range(0, draws, at_once):
        k = min(at_once, draws - start)
        value = particle_trace(free, k, nesting, (batch,), {}, role="model").nodes[site]["value"]
        portions.append(value.reshape(-1, *observed.shape).expand(k, *observed.shape))
    return torch.cat(portions)
