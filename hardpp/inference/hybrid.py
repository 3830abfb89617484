"""The loss of recurrent attention models (RAM): a likelihood of what is observed, a reward for what is drawn.

    gradient = mean_k grad log p(x | z[k]) + sum_s (reward[k] - baseline[k, s]) grad log q(z[k, s])
    reward   = mean over observed elements of 1[value = the likeliest one under the model]

The reward is in [0, 1] however wrong a model is, so that data of which nothing is known yet do not drown the
others; the sum of both is the gradient of no bound.

Source: Mnih, Heess, Graves and Kavukcuoglu (2014), Recurrent Models of Visual Attention, section 3.2, where
places are drawn from the model itself, and its states learn nothing from the second term.
Shapes: K particles, I instances, N stages (see `hardpp.inference.weights.weight_table`), T steps.
"""

from typing import Unpack

import torch
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.inference.control.schedules import EntropyBonus
from hardpp.inference.options import SampledOptions
from hardpp.inference.score_function import BaselineName, ScoreFunctionELBO
from hardpp.inference.weights.layout import Layout
from hardpp.inference.weights.sample_sites import Site, elements, steps_of
from hardpp.inference.weights.weight_table import WeightTable


class Hybrid(ScoreFunctionELBO):
    """Observations by their likelihood, draws by whether the answer was right: Mnih et al. (2014).

    The gradient is the one above; the value is the evidence lower bound.

    Args:
        baseline: what rewards are compared with. See `ScoreFunctionELBO`.
        entropy: schedule of the weight of the guide's entropy in the gradient.
    """

    name = "hybrid"
    unbiased = False
    needs = ScoreFunctionELBO.needs | {"predictions"}

    def __init__(
        self,
        num_particles: int = 1,
        *,
        baseline: BaselineName | nn.Module | None = "learned",
        entropy: EntropyBonus | None = None,
        **options: Unpack[SampledOptions],
    ):
        super().__init__(num_particles, credit="global", baseline=baseline, entropy=entropy, **options)
        self.unbiased = False

    def rewards(self, table: WeightTable, gain: Tensor) -> Tensor:
        """The accuracy of every particle, in the last stage."""
        rewards = torch.zeros_like(table.log_q)
        rewards[..., -1] = accuracy(table)
        return rewards


def accuracy(table: WeightTable) -> Tensor:
    """The reward above of every particle, (K, *I), detached; refuses sites without a likeliest value."""
    if not table.observations:
        raise UsageError("a reward for accuracy needs an observed site, and there is none")
    if table.particles:
        return table.by_particle(lambda each: accuracy(each).unsqueeze(-1)).squeeze(-1)
    rows = len(table.log_q) + len(table.extra)
    right, count = zip(*(_right(site, table.layout, rows) for site in table.observations), strict=True)
    total = torch.stack(torch.broadcast_tensors(*count)).sum(0)
    share = torch.stack(torch.broadcast_tensors(*right)).sum(0) / total.clamp(min=1)
    particles = len(table.log_q)
    return share[:particles].expand(particles, *share.shape[1:])


# How many elements of a site are right, and how many there are: (K or 1, *I) each.
@torch.no_grad()
def _right(site: Site, layout: Layout, rows: int) -> tuple[Tensor, Tensor]:
    (fn, counts), steps, name, value = elements(site), steps_of(site), site["name"], site["value"]
    logits, stepwise = getattr(fn, "logits", None), steps is not None
    if logits is None or not getattr(fn, "has_enumerate_support", False):
        raise UsageError(f"observed site {name!r} is no Categorical, of whose values one is likeliest")
    likeliest = logits.argmax(-1)
    if likeliest.dim() - stepwise > layout.nesting + (rows > 1):
        raise UsageError(f"observed site {name!r} depends on a latent that is summed out: none is likeliest")
    if stepwise and likeliest.shape[-1] != steps:
        raise UsageError(f"observed site {name!r} does not predict a value at every one of its {steps} steps")
    # A value that is observed again at every step has dims for the plates only.
    value = value.unsqueeze(-1) if stepwise and value.dim() <= layout.nesting else value
    right = (likeliest == value).to(logits.dtype)
    counts = torch.ones_like(right) if counts is None else counts.to(right.dtype).expand_as(right)
    right, counts = (layout.place_at(each, site, rows) for each in (right * counts, counts))
    return (right.sum(-1), counts.sum(-1)) if stepwise else (right, counts)
