"""Brute-force answers: every latent tuple of a tiny program, weighed.

A `Twin` says of a program and its guide, given values of all latents, log p(y, z) and log q(z), per datum:
by formulas written a second time, or by running both (`twin_of`). Sums over its tuples are the exact
marginal, bound and gradients, and `expectation` is the exact mean of whatever is computed from draws: no
Monte Carlo, so no tolerance to argue about. No objective is used here.

Shapes: C tuples, B data, K particles, P parameters.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from pyro.ops.provenance import get_provenance, track_provenance
from pyro.poutine.messenger import Messenger
from torch import Tensor

Values = dict[str, Tensor]  # name of a latent -> (C, *plates)


class Latent(NamedTuple):
    """A discrete latent: how many values, at which elements of its plates it counts."""

    values: int
    mask: Tensor  # (*plates) bool


class Twin(NamedTuple):
    """A program and its guide, weighed at given values."""

    latents: dict[str, Latent]
    joint: Callable[[Values], tuple[Tensor, Tensor]]  # log p(y, z) and log q(z), (C, B) each


class Force(Messenger):
    """Pretends that the guide drew these values; a callable is given the site's distribution."""

    def __init__(self, values: dict[str, Any]):
        super().__init__()
        self.values = values

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] not in self.values or msg["is_observed"] or msg["done"]:
            return
        value = self.values[msg["name"]]
        if callable(value):
            value = value(msg["fn"])
        elif hasattr(msg["fn"], "logits"):  # a real draw carries the provenance of its parameters
            value = track_provenance(value, get_provenance(msg["fn"].logits))
        msg["value"], msg["done"] = value, True


def tuples(latents: dict[str, Latent], fill: int = 0) -> Values:
    """Every value of every latent that counts, (C, *plates); masked elements hold `fill`."""
    counts = [range(latent.values) for latent in latents.values() for _ in range(int(latent.mask.sum()))]
    table = torch.tensor(list(itertools.product(*counts)))  # (C, number of elements)
    out, start = {}, 0
    for name, latent in latents.items():
        n = int(latent.mask.sum())
        value = torch.full((len(table), *latent.mask.shape), fill)
        value[:, latent.mask] = table[:, start : start + n]
        out[name], start = value, start + n
    return out


def log_marginal(twin: Twin) -> Tensor:
    """log p(y) of all data together: the logsumexp over every tuple of the whole batch."""
    log_p, _ = twin.joint(tuples(twin.latents))
    return log_p.sum(-1).logsumexp(0)


def bound_per_datum(twin: Twin) -> Tensor:
    """E_q[log p(y, z) - log q(z)], (B,)."""
    log_p, log_q = twin.joint(tuples(twin.latents))
    return (log_q.sum(-1, keepdim=True).exp() * (log_p - log_q)).sum(0)


def iw_bound_per_datum(twin: Twin, particles: int) -> Tensor:
    """E[log mean_k w_k] over K draws of the guide, (B,)."""
    log_p, log_q = twin.joint(tuples(twin.latents))
    every = torch.arange(len(log_q))
    chosen = torch.cartesian_prod(*[every] * particles).reshape(-1, particles)  # (C^K, K)
    probability = log_q.sum(-1)[chosen].sum(-1).exp()
    log_mean = (log_p - log_q)[chosen].logsumexp(1) - math.log(particles)  # (C^K, B)
    return (probability.unsqueeze(-1) * log_mean).sum(0)


def flat_gradient(value: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """d (sum of value) / d parameters as one vector (P,); zero where the value does not depend on one."""
    value = value.sum()
    if not parameters:
        return value.new_zeros(0)
    if not value.requires_grad:
        return torch.cat([torch.zeros_like(parameter).flatten() for parameter in parameters])
    found = torch.autograd.grad(value, list(parameters), retain_graph=True, allow_unused=True)
    parts = [torch.zeros_like(p) if g is None else g for g, p in zip(found, parameters, strict=True)]
    return torch.cat([part.flatten() for part in parts])


def draws(twin: Twin, particles: int, fill: int = 0) -> Iterator[tuple[Tensor, Values]]:
    """Every K-tuple of tuples: its probability under the guide, and the values to force."""
    values = tuples(twin.latents, fill)
    with torch.no_grad():
        _, log_q = twin.joint(values)
        probability = log_q.sum(-1).exp()  # (C,)
    for chosen in itertools.product(range(len(probability)), repeat=particles):
        rows = chosen[0] if particles == 1 else list(chosen)
        yield probability[list(chosen)].prod(), {name: value[rows] for name, value in values.items()}


def expectation(
    twin: Twin, particles: int, run: Callable[[], tuple[Tensor, ...]], fill: int = 0
) -> list[Tensor]:
    """The exact mean over the guide's draws of each tensor that `run` returns."""
    total: list[Any] = []
    for probability, values in draws(twin, particles, fill):
        with Force(values):
            out = run()
        terms = [probability * term for term in out]
        total = [old + new for old, new in zip(total, terms, strict=True)] if total else terms
    return total
