"""REBAR: leave-one-out with the relaxed program as control variate, unbiased where the relaxation is not.

    zeta = log q + g,   g standard Gumbel noise,   z = argmax zeta ~ q,   w = softmax(zeta / temperature)
    gradient = mean_k (d[k] - mean over j != k of d[j]) grad log q(z[k])  +  eta h[k] . grad log q
    d = f(z) - eta c(w),   h = (w / temperature) (G - w . G) exp(zeta - max zeta),   G = dc / dw

with f the latent's return, what the program adds to log p - log q from it on, and c the same of the relaxed
program, where log p(z) and log q(z) are w . log p and w . log q. At eta = 0 this is leave-one-out.

Why h: the mean of c has two slopes in q, through zeta, or by the score of z and through zeta given z; their
difference has mean zero. Given z, the largest zeta has no slope in log q and any other has
1 - exp(zeta - max zeta), for it is -log(exp(-log q - g') + exp(-max zeta)), g' Gumbel noise. Both ways share
their noise, as Tucker et al. couple it; then one relaxed run serves both, and h is what differs.

This is about all latents of an instance together, so their logits must depend on no draw: otherwise an
earlier zeta would move a later one in jumps, of which no slope tells. Such a guide is refused.

eta and the temperature can be learnt. They do not change the mean of the gradient, so their loss is its
square, estimated at the guide's logits, in the unit of the squares of its two parts.

Sources: Tucker, Mnih, Maddison, Lawson and Sohl-Dickstein (2017), REBAR; Grathwohl, Choi, Wu, Roeder and
Duvenaud (2018), RELAX, for categorical latents and for the loss of what is learnt.
Shapes: K particles, I instances, N stages, S values of a latent, ... = particles and plates.
"""

from math import log
from typing import Any, Literal, Unpack

import torch
from pyro.poutine import Trace
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.inference.control.relaxed_draws import (
    RELAXED,
    IndependentLatents,
    Relaxed,
    RelaxedDraws,
    RelaxedRows,
)
from hardpp.inference.objective import SampledObjective
from hardpp.inference.options import PlateOptions
from hardpp.inference.weights.layout import Layout
from hardpp.inference.weights.weigh import Handlers
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.leave_one_out import mean_of_others
from hardpp.ops.weights import suffix_sums
from hardpp.types import Program


def as_one_program(table: WeightTable, model: Program, guide: Program) -> WeightTable:
    """The table as if a prior and its model had been run once: log p(z) is log q(z), to the gradient too."""
    if getattr(guide, "prior_of", None) is not model:
        return table
    latents = tuple(latent._replace(model=latent.guide) for latent in table.latents)
    return table._replace(log_p=table.log_p - table.log_prior + table.log_q, latents=latents)


class REBAR(SampledObjective):
    """The evidence lower bound by leave-one-out, the relaxed program as control variate.

    It runs the model on 2 K rows, the draws and their relaxations.

    Args:
        num_particles: K, how many draws a datum gets, at least 2.
        scale: eta, the weight of the control variate.
        temperature: of the relaxation.
        learned: what of these is learnt from there, with the programs. The temperature ("both") wants a
            model that can be differentiated twice.
    """

    name = "rebar"
    needs = frozenset({"latents", "relaxable", "independent"})
    bound = "elbo"
    least_particles = 2
    draws_together = True

    def __init__(
        self,
        num_particles: int = 2,
        *,
        scale: float = 1.0,
        temperature: float = 0.5,
        learned: Literal["scale", "both"] | None = "scale",
        **options: Unpack[PlateOptions],
    ):
        super().__init__(num_particles, **options)
        if not temperature > 0:
            raise UsageError(f"a temperature is positive, got {temperature}")
        if learned not in ("scale", "both", None):
            raise UsageError(f"learned is 'scale', 'both' or None, not {learned!r}")
        self.learned = learned
        values = {"scale": scale, "log_temperature": log(temperature)}
        self.learnt = nn.ParameterDict(
            {name: torch.tensor(value) for name, value in values.items() if learned in (name, "both")}
        )
        self.fixed = {name: torch.tensor(value) for name, value in values.items() if name not in self.learnt}

    @property
    def scale(self) -> Tensor:
        """eta, ()."""
        return self._value("scale")

    @property
    def temperature(self) -> Tensor:
        """That of the relaxation, ()."""
        return self._value("log_temperature").exp()

    def _value(self, name: str) -> Tensor:
        value: Tensor = self.learnt[name] if name in self.learnt else self.fixed[name]
        return value

    def handlers(self, nesting: int) -> Handlers:
        draws = RelaxedDraws(self.temperature)

        def score(model: Program, trace: Trace) -> Program:
            return RelaxedRows(trace)(model)

        guide = IndependentLatents(nesting)
        return {"draw": draws, "guide": guide, "score": score, "extra": self.num_particles}

    def weight_table(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> WeightTable:
        return as_one_program(super().weight_table(model, guide, *args, **kwargs), model, guide)

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        pathwise = table.log_p - table.log_q  # (K, *I, N)
        if not table.guide_is_prior:  # whose own score has no mean and would be noise
            pathwise = pathwise + table.score
        returns = compared(table.stage_weights)
        bound = table.log_weights.mean(0)
        if not torch.is_grad_enabled():
            return bound, pathwise.sum((0, -1)) / self.num_particles
        control = compared(table.extra)
        latents = [latent.guide["infer"][RELAXED] for latent in table.latents]
        paths = self.paths(table.extra, latents)
        signal = returns - self.scale.detach() * control.detach()
        surrogate = (pathwise + table.score * signal).sum(-1)  # (K, *I)
        sites = [latent.guide for latent in table.latents]
        for site, latent, path in zip(sites, latents, paths, strict=True):
            log_q = latent.log_q.where(latent.log_q > -torch.inf, 0.0)
            value = (self.scale * path).detach().mul(log_q).sum(-1)
            surrogate = surrogate + table.layout.place_at(value, site, self.num_particles)
        surrogate = surrogate.mean(0)
        if self.learned is None:
            return bound, surrogate
        loss = self.relative_square(table.layout, latents, paths, returns, control)
        slopes = torch.autograd.grad(loss, list(self.learnt.values()), retain_graph=True)
        lesson = sum(slope * each for slope, each in zip(slopes, self.learnt.values(), strict=True))
        return bound, surrogate - lesson / surrogate.numel()

    def paths(self, control: Tensor, latents: list[Relaxed]) -> list[Tensor]:
        """h of every latent, (K, ..., S), for control terms (K, *I, N)."""
        weights = [latent.weights for latent in latents]
        twice = self.learned == "both"
        slopes = torch.autograd.grad(
            control.sum(), weights, retain_graph=True, create_graph=twice, materialize_grads=True
        )
        out = []
        for (_, zeta, w, _), slope in zip(latents, slopes, strict=True):
            slope = w * (slope - (w * slope).sum(-1, keepdim=True)) / self.temperature
            out.append(slope * (zeta - zeta.amax(-1, keepdim=True)).exp())
        return out if twice else [path.detach() for path in out]

    def relative_square(
        self, layout: Layout, latents: list[Relaxed], paths: list[Tensor], returns: Tensor, control: Tensor
    ) -> Tensor:
        """|a - eta b|^2 / (|a|^2 + |b|^2), over the batch, a of leave-one-out and b of the control: ()."""
        square = unit = returns.new_zeros(())
        for stage, (latent, path) in enumerate(zip(latents, paths, strict=True), start=1):
            q = latent.log_q.detach().exp()
            ours, theirs = (spread(each[..., stage], layout) for each in (returns, control))
            parts = latent.hard * ours, latent.hard * theirs - path
            a, b = ((part - q * part.sum(-1, keepdim=True)).mean(0) for part in parts)
            unit = unit + a.square().sum() + b.square().sum().detach()
            square = square + (a - self.scale * b).square().sum()
        return square / unit.clamp(min=torch.finfo(unit.dtype).tiny)


def compared(terms: Tensor) -> Tensor:
    """Returns of terms (K, *I, N) less the mean return of the other particles."""
    returns = suffix_sums(terms)
    return returns - mean_of_others(returns)


def spread(terms: Tensor, layout: Layout) -> Tensor:
    """Terms (K, *I) as what broadcasts with (K, *plates, S)."""
    kept = {plate.dim for plate in layout.instances}
    for place, dim in enumerate(range(-layout.nesting, 0), start=1):
        if dim not in kept:
            terms = terms.unsqueeze(place)
    return terms.unsqueeze(-1)
