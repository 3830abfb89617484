"""Do credible sets hold the truth as often as they say?

The credible set of a categorical distribution at a level are its likeliest values, as many as reach that
probability. The last of them goes beyond the level, so it belongs to the set at random, with the probability
that fills the level exactly. A calibrated distribution then holds the truth exactly so often, and a peaked
one does not seem to hold it too often.

Shapes: M choices, S values.
"""

import torch
from torch import Tensor


def held(probabilities: Tensor, truth: Tensor, level: float, generator: torch.Generator) -> Tensor:
    """Is the truth in its credible set? Of M choices: probabilities (M, S), truth (M,) int64 -> bool (M,)."""
    own = probabilities.gather(-1, truth.unsqueeze(-1))  # (M, 1)
    above = torch.where(probabilities > own, probabilities, 0).sum(-1)
    equal = torch.where(probabilities == own, probabilities, 0).sum(-1)
    # Values that are equally likely are in an order that chance decides, so together they are one step.
    where = above + equal * torch.rand(len(truth), generator=generator).to(above)
    return where <= level
