"""Programs whose guides take weights too, draws that are fixed, and the relaxed value by hand.

Shapes: K particles, B data, T steps, S values of a latent.
"""

import itertools
from collections.abc import Callable
from typing import Any

import cases
import oracles
import pyro.distributions as dist
import torch
from cases import Case
from pyro import poutine
from torch import Tensor

from hardpp.inference.dirichlet import ImplicitDirichlet
from hardpp.inference.gumbel import GumbelSoftmax
from hardpp.inference.relaxed import RelaxedObjective

OBJECTIVES: dict[str, Callable[..., RelaxedObjective]] = {
    "gumbel": lambda K=1, **kw: GumbelSoftmax(K, temperature=0.7, **kw),
    "straight-through": lambda K=1, **kw: GumbelSoftmax(K, straight_through=True, **kw),
    "reinmax": lambda K=1, **kw: GumbelSoftmax(K, reinmax=True, **kw),
    "dirichlet": lambda K=1, **kw: ImplicitDirichlet(K, total=4.0, **kw),
}


def uniforms(case: Case, particles: int = 1, seed: int = 4) -> dict[str, Tensor]:
    """What all draws are made of: a number in (0, 1) for every value of every latent, (K, *plates, S)."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for name, latent in case.twin.latents.items():
        shape = (particles, *latent.mask.shape, values(case, name))
        out[name] = torch.rand(shape, generator=generator, dtype=torch.float64) * 0.98 + 0.01
    return out


def values(case: Case, name: str) -> int:
    """S of a latent, padding included."""
    trace = poutine.trace(case.guide).get_trace(*case.args)
    return int(trace.nodes[name]["fn"].logits.shape[-1])


def gumbel(u: Tensor) -> Tensor:
    return -(-u.log()).log()


def draw(u: Tensor) -> Callable[[Any], Tensor]:
    """A draw of whatever noise an objective asks for, made of uniforms (..., S), with its gradient."""

    def of(fn: Any) -> Tensor:
        if isinstance(fn, dist.Categorical):
            return (fn.logits.detach() + gumbel(u).to(fn.logits.dtype)).argmax(-1)
        if not isinstance(fn, dist.Dirichlet):
            return gumbel(u)
        alpha = fn.concentration.detach()  # u as gamma draws, differentiated implicitly
        slope = torch._standard_gamma_grad(alpha, u.expand_as(alpha).contiguous())
        slope = slope.where(alpha > torch.finfo(alpha.dtype).tiny, torch.zeros_like(slope))
        return u + slope * (fn.concentration - alpha)

    return of


def fixed(us: dict[str, Tensor]) -> oracles.Force:
    """Fixes the noise of every latent; one particle has no dim of its own."""
    return oracles.Force({name: draw(u[0] if len(u) == 1 else u) for name, u in us.items()})


def parameters(case: Case) -> list[Tensor]:
    return [*case.of_model, *case.of_guide]


def evaluate(objective: RelaxedObjective, case: Case, us: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Values (B,) and the gradient of all parameters at fixed noise."""
    with fixed(us):
        estimate = objective.estimate(case.model, case.guide, *case.args)
    return estimate.bound, oracles.flat_gradient(estimate.surrogate, parameters(case))


# --- by hand ----------------------------------------------------------------------------------------

Weigh = Callable[[Tensor, Tensor], Tensor]  # log q (S), uniforms (S) -> weights (S)
Diverge = Callable[[Tensor, Tensor], Tensor]  # log q (S), log p (S) -> ()


def by_hand(case: Case, us: dict[str, Tensor], weigh: Weigh, diverge: Diverge) -> Tensor:
    """mean_k log p(y | weights) - sum of divergences, (B,), by loops over particles, data and steps."""
    particles = len(next(iter(us.values())))
    one = chain_by_hand if isinstance(case.model, cases.Chain) else alignment_by_hand
    rows = [one(case, {name: u[k] for name, u in us.items()}, weigh, diverge) for k in range(particles)]
    return torch.stack(rows).mean(0)


def chain_by_hand(case: Case, us: dict[str, Tensor], weigh: Weigh, diverge: Diverge) -> Tensor:
    model, table, (symbols, mask) = case.model, case.guide.table, case.args
    out = []
    for b in range(len(symbols)):
        value, weights = torch.zeros((), dtype=torch.float64), None
        for t in range(symbols.shape[1]):
            if not mask[b, t]:
                continue
            rows = [tensor[-1] if weights is None else weights @ tensor[:-1]
                    for tensor in (model.transition, table[t])]  # fmt: skip
            log_p, log_q = (row.log_softmax(-1) for row in rows)
            weights = weigh(log_q, us[f"z_{t}"][b])
            value = value - diverge(log_q, log_p)
            value = value + (weights @ model.emission).log_softmax(-1)[symbols[b, t]]
        out.append(value)
    return torch.stack(out)


def alignment_by_hand(case: Case, us: dict[str, Tensor], weigh: Weigh, diverge: Diverge) -> Tensor:
    model, (batch,) = case.model, case.args
    prior, _, memory, query = oracles.alignment_tables(model, batch)
    scores = poutine.trace(case.guide).get_trace(batch).nodes["alignment"]["fn"].logits
    out = [torch.zeros((), dtype=torch.float64) for _ in batch.target]
    for b, t in itertools.product(*(range(n) for n in batch.target.shape)):
        if batch.target_mask[b, t]:
            S = int(batch.source_mask[b].sum())
            log_p, log_q = prior[b, t, :S], scores[b, t, :S].log_softmax(-1)
            weights = weigh(log_q, us["alignment"][b, t, :S])
            logits = model.readout(weights @ memory[b, :S], query[b, t])
            out[b] = out[b] + logits.log_softmax(-1)[batch.target[b, t]] - diverge(log_q, log_p)
    return torch.stack(out)
