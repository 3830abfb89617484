"""The evidence lower bound from K different values, drawn without replacement.

    bound    = sum_k first[k] f(z[k]),     f = log p - log q
    gradient = sum_k first[k] (grad log p(z[k]) + (f(z[k]) - baseline[k]) grad log q(z[k]))

first[k] is the probability that z[k] was drawn first, given S, the set of the values drawn. As the first of
them is a draw of q, this is the estimator of one draw averaged over all orders in which S may have been
drawn: first[k] = q(z[k]) R(S, z[k]) with the paper's leave-one-out ratio R(S, z) = P(S | first = z) / P(S).
Given that z[k] was first, the others are draws from the rest without replacement, so

    baseline[k] = q(z[k]) f(z[k]) + (1 - q(z[k])) sum over j != k of second[k, j] f(z[j])

with second[k, j] the probability that z[j] was second, given S and that z[k] was first, has the same
expectation for every z[k], that of f: it changes the variance and not the expectation. Both weights add up
to 1, so a constant in f is of no effect. If S is all there is, bound and gradient are exact.

With several latents an instance the values are those of all together (`hardpp.inference.stochastic_beam`).
A latent with reparameterised draws has the pathwise gradient.

Source: Kool, van Hoof and Welling (2020), Estimating Gradients for Discrete Random Variables by Sampling
without Replacement, sections 3 and 4.
Shapes: K particles, I instances, N stages (see `hardpp.inference.weights.weight_table`).
"""

from typing import Any, Unpack

import torch
from pyro.infer.util import is_validation_enabled
from torch import Tensor
from torch.distributions import Categorical

from hardpp.errors import UsageError
from hardpp.inference.objective import SampledObjective
from hardpp.inference.options import PlateOptions
from hardpp.inference.stochastic_beam import StochasticBeam
from hardpp.inference.weights.tabulate import Weighing
from hardpp.inference.weights.weigh import Handlers, weigh
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.draw_order import MOST, first_and_second
from hardpp.types import Program


class UnorderedSet(SampledObjective):
    """The evidence lower bound from different values of the latents, no value twice.

    Each instance has Categorical latents: one, as alignments in plates of data and steps, or several, each of
    which may depend on those before it. With T of them the guide is run T times for an estimate, and must
    give the same probabilities each time (no dropout); with one it is run once. If there are at most K values
    in all, value and gradient are those of `EnumeratedELBO`.

    Args:
        num_particles: K, how many values are drawn, 2 to 12: the weights take time and memory of 2^K.
    """

    name = "unordered-set"
    needs = frozenset({"latents", "enumerable"})
    bound = "elbo"
    least_particles = 2
    weighs_draws = False
    draws_together = True

    def __init__(self, num_particles: int = 4, **options: Unpack[PlateOptions]):
        super().__init__(num_particles, **options)
        if num_particles > MOST:
            raise UsageError(f"unordered-set draws at most {MOST} values, got {num_particles} particles")

    def weight_table(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> WeightTable:
        check = self.check_is_due()

        def estimate(nesting: int) -> WeightTable:
            beam = StochasticBeam(self.num_particles, nesting)
            how, handlers = Weighing(nesting, self.data_plate, sums=self.sums), Handlers(guide=beam)
            table = beam.until_done(
                lambda: weigh(
                    model,
                    guide,
                    self.num_particles,
                    args,
                    kwargs,
                    how=how,
                    handlers=lambda: handlers,
                    check=check,
                )
            )
            _check_kinds(table)
            if beam.runs > 1 and is_validation_enabled():
                check_same_probabilities(table, beam)
            return table

        return self.nesting.enough_for(estimate, model, guide, args, kwargs)

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        log_q = table.score.detach().sum(-1)  # (K, *I), of the Categorical latents
        first, second = first_and_second(log_q.masked_fill(_repeated(table), -torch.inf))
        gain = table.log_p - table.log_q
        log_w = gain.detach()
        returns = log_w[..., 1:].sum(-1)  # (K, *I), what the latents are credited with
        first, second = first.to(returns.dtype), second.to(returns.dtype)
        signal = returns - (second * returns).sum(1)
        # The score of log q, and of a prior in log p, has no mean: with its own baseline it is nothing.
        pathwise = gain if table.guide_is_prior else gain + table.score
        terms = pathwise.sum(-1) + table.score.sum(-1) * signal
        return (first * log_w.sum(-1)).sum(0), (first * terms).sum(0)


def check_same_probabilities(table: WeightTable, beam: StochasticBeam) -> None:
    """Refuses a guide that gave the latents other probabilities in another run."""
    first = next(latent.guide for latent in table.latents if isinstance(latent.guide["fn"], Categorical))
    if beam.log_q is None:
        return
    drawn, found = table.layout.place_at(beam.log_q, first, len(table.log_q)), table.score.sum(-1)
    if ((found - drawn).abs() > 0.01).logical_and(drawn > -torch.inf).any():
        raise UsageError(
            "unordered-set runs the guide once for each latent, and it gave other probabilities each "
            "time: it needs a guide without dropout"
        )


# Are all latents Categorical, but for those with a path to their draws?
def _check_kinds(table: WeightTable) -> None:
    sites = [latent.guide for latent in table.latents if not latent.guide["is_observed"]]
    discrete = [site for site in sites if isinstance(site["fn"], Categorical)]
    others = [site for site in sites if not getattr(site["fn"], "has_rsample", False)]
    if sites and (not discrete or len(discrete) < len(others)):
        drawn = ", ".join(f"{site['name']!r} ({type(site['fn']).__name__})" for site in sites)
        raise UsageError(f"unordered-set takes Categorical latents, the guide draws {drawn}")


# Is the value of a particle that of one before it? (K, *I)
def _repeated(table: WeightTable) -> Tensor:
    discrete = tuple(latent for latent in table.latents if isinstance(latent.guide["fn"], Categorical))
    values = table._replace(latents=discrete).values.unsqueeze(1)  # (K, 1, *I, N - 1)
    same = (values == values.transpose(0, 1)).all(-1)  # (K, K, *I)
    before = torch.ones(same.shape[:2], dtype=torch.bool, device=same.device).tril(-1)
    return (same & before.reshape(before.shape + (1,) * (same.dim() - 2))).any(1)
