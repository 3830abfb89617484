"""A posterior judged on data that the model made up: ranks of the true latents among its draws.

    z* , y* ~ p(z, y | x)              the truth, and what is observed of it
    z[l]    ~ q(z | x, y*)             draws of the posterior that is judged
    rank of f(z*) among f(z[l])        uniform, if q is p(z | x, y*)

for f the log joint probability of z and y*, and the mean of the latent's values. The first sees a posterior
that is too flat or too narrow, or of another datum; the second one that is shifted.

Source: Talts et al. (2018); Modrák et al. (2023), Simulation-Based Calibration Checking for Bayesian
Computation, for the joint probability as what is ranked.
Shapes: K draws, B data.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from pyro import poutine
from torch import Tensor

from hardpp.inference.exact import ExactMarginal
from hardpp.inference.weights.joined_plates import joined
from hardpp.inference.weights.nesting import plate_nesting
from hardpp.inference.weights.particles import particle_trace, traced
from hardpp.inference.weights.sample_sites import sample_sites, site_log_prob
from hardpp.types import Program

Latents = Mapping[str, Tensor]  # values by site: (*plates), or (K, *plates)


class Statistics(NamedTuple):
    """What is ranked, of each latent that was drawn: (K, B) each."""

    log_joint: Tensor  # nats
    mean_value: Tensor


def exact_draws(exact: ExactMarginal, model: Program, guide: Program, batch: Any, draws: int) -> Latents:
    """Draws of the exact posterior, by enumeration; a UsageError where there is none."""
    return exact.sample_posterior(model, guide, batch, num_samples=draws)


@torch.no_grad()
def guide_draws(model: Program, guide: Program, batch: Any, draws: int) -> Latents:
    """Draws of the guide."""
    nesting = plate_nesting(joined(model, guide), guide, (batch,), {})
    program = getattr(guide, "prior_of", guide)
    trace = particle_trace(program, draws, nesting, (batch,), {}, role="guide")
    drawn = {name: site for name, site in sample_sites(trace).items() if not site["is_observed"]}
    return {name: site["value"] for name, site in drawn.items()}


@torch.no_grad()
def statistics(model: Program, guide: Program, batch: Any, latents: Latents) -> Statistics:
    """What is ranked, of latents (K, *plates) of a batch; the guide only tells how many plates there are."""
    nesting = plate_nesting(model, guide, (batch,), {})
    trace = traced(poutine.condition(model, data=dict(latents)), "model", (batch,), {})
    log_joint: Any = 0.0
    mean_value: Any = 0.0
    for name, site in sample_sites(trace).items():
        log_joint = log_joint + _by_datum(site_log_prob(site), nesting)
        if name in latents:
            event = site["fn"].event_dim
            value = site["value"].double().flatten(-event).mean(-1) if event else site["value"].double()
            mask = torch.as_tensor(True if site["mask"] is None else site["mask"], device=value.device)
            mask = mask.expand(value.shape)
            count = _by_datum(mask.double(), nesting).clamp_min(1)
            mean_value = mean_value + _by_datum(value.where(mask, 0), nesting) / count
    return Statistics(log_joint, mean_value)


# Summed over all plates but the outermost: (..., *plates) -> (K or 1, B).
def _by_datum(values: Tensor, nesting: int) -> Tensor:
    values = values.reshape((1,) * (nesting + 1 - values.dim()) + values.shape)
    return values.flatten(2).sum(-1) if values.dim() > 2 else values
