"""The evidence lower bound, trained by the score function with credit where it is due.

    bound    = mean_k log w[k],     log w = log p(x, z) - log q(z),     z ~ q
    gradient = mean_k sum_s (return[k, s] - baseline[k, s]) grad log q(z_s)  +  grad log p

The return of the s-th latent is what the program adds to log w from that latent on
(`credit="causal"`: the estimator of `pyro.infer.TraceGraph_ELBO`, in time linear in the number of
latents) or all of log w (`credit="global"`: REINFORCE). A baseline must not depend on the latent
it judges; then it changes the variance and not the expectation.

Sources: Williams (1992); Schulman et al. (2015); Mnih and Gregor (2014), section 2.3; Kool et al.
(2019) for leave-one-out; Deng et al. (2018), equation 1, for the soft-attention baseline.
Shapes: K particles, I instances, N stages (see `hardpp.inference.weight_table`).
"""

from typing import Any, Literal

import torch
from pyro.infer import TraceGraph_ELBO
from pyro.ops.provenance import detach_provenance
from pyro.poutine import Trace
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.objective import SampledObjective, SurrogateObjective
from hardpp.inference.particles import particle_trace
from hardpp.inference.relaxed import ExpectedLatents
from hardpp.inference.weight_table import WeightTable, per_instance_sum, tabulate
from hardpp.ops.weights import mean_of_others, suffix_sums
from hardpp.types import Estimate, Program

Credit = Literal["causal", "global"]
Baseline = Literal["leave-one-out", "soft-attention"]


class ScoreFunctionELBO(SampledObjective):
    """The evidence lower bound by Monte Carlo, K particles at once.

    Args:
        num_particles: K.
        credit: "causal" or "global", what a latent's return is made of.
        baseline: None; "leave-one-out", the mean return of the other particles (K >= 2); or
            "soft-attention", the return of one more particle whose latents are at their expected
            value under the model's prior. The model must then take relaxed latents.
        max_plate_nesting: see `SampledObjective`.

    Raises:
        UsageError: an unknown credit or baseline, or leave-one-out with one particle.
    """

    name = "elbo"
    bound = "elbo"

    def __init__(
        self,
        num_particles: int = 1,
        *,
        credit: Credit = "causal",
        baseline: Baseline | None = None,
        max_plate_nesting: float = float("inf"),
    ):
        super().__init__(num_particles, max_plate_nesting=max_plate_nesting)
        if credit not in ("causal", "global"):
            raise UsageError(f"credit is 'causal' or 'global', not {credit!r}")
        if baseline not in (None, "leave-one-out", "soft-attention"):
            raise UsageError(f"baseline is 'leave-one-out', 'soft-attention' or None, not {baseline!r}")
        if baseline == "leave-one-out" and num_particles < 2:
            raise UsageError(
                f"a leave-one-out baseline compares particles: it needs at least 2, got {num_particles}"
            )
        self.credit, self.baseline = credit, baseline

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        """Bound (*I) and surrogate of the estimator above."""
        K = self.num_particles
        log_p = table.log_p[:K]
        log_w = (log_p - table.log_q).detach()  # (K, *I, N)
        returns = self._returns(log_w)
        if self.baseline == "leave-one-out":
            signal = returns - mean_of_others(returns)
        elif self.baseline == "soft-attention":
            signal = returns - self._returns(table.log_p[K:].detach())
        else:
            signal = returns
        pathwise = log_p - (table.log_q - table.score)
        surrogate = (pathwise + table.score * signal).sum() / K
        return log_w.sum(-1).mean(0), surrogate

    def _returns(self, terms: Tensor) -> Tensor:
        return suffix_sums(terms) if self.credit == "causal" else terms.sum(-1, keepdim=True)

    def scored(self, model: Program, guide_trace: Trace, nesting: int, args: Any, kwargs: Any) -> Trace:
        """The model at the guide's draws and, for the soft-attention baseline, at the expected latents."""
        if self.baseline != "soft-attention":
            return super().scored(model, guide_trace, nesting, args, kwargs)
        relaxed = ExpectedLatents(guide_trace, plates=nesting)(model)
        return particle_trace(relaxed, self.num_particles + 1, nesting, args, kwargs)


class TraceGraph(SurrogateObjective, TraceGraph_ELBO):
    """Pyro's own `TraceGraph_ELBO`, with the loss a torch optimiser needs; kept as the reference.

    Quadratic in the number of latents, and silently biased where a program stores a latent in a
    buffer: prefer `ScoreFunctionELBO`.
    """

    name = "tracegraph"
    bound = "elbo"

    def __init__(self, num_particles: int = 1, *, max_plate_nesting: float = float("inf")):
        TraceGraph_ELBO.__init__(
            self, num_particles, max_plate_nesting=max_plate_nesting, vectorize_particles=True
        )
        self._extra = int(num_particles > 1)  # Pyro counts its particle plate as nesting
        self._given = max_plate_nesting != float("inf")

    def program_nesting(self, model: Program, guide: Program, args: Any, kwargs: Any) -> int:
        """As for every objective; Pyro's own count includes the particle plate."""
        declared = getattr(model, "max_plate_nesting", None)
        if declared is not None and not self._given:
            self.max_plate_nesting = declared + self._extra
        elif self.max_plate_nesting == float("inf"):
            self._guess_max_plate_nesting(model, guide, args, kwargs)
        return int(self.max_plate_nesting) - self._extra

    def estimate(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Estimate:
        """Bound, surrogate and log weights of one batch (see `hardpp.types.Estimate`)."""
        nesting = self.program_nesting(model, guide, args, kwargs)
        model_trace, guide_trace = next(self._get_traces(model, guide, args, kwargs))
        _, loss = self._loss_and_surrogate_loss_particle(model_trace, guide_trace)
        with torch.no_grad():
            table = tabulate(model_trace, guide_trace, self.num_particles, nesting)
            log_weights = detach_provenance((table.log_p - table.log_q).sum(-1))  # (K, *I)
        bound = per_instance_sum(log_weights.mean(0) * table.scale, 0)
        return Estimate(bound, -loss / self.num_particles, per_instance_sum(log_weights, 1), {})

    def differentiable_loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Tensor:
        """Pyro's loss in value, Pyro's surrogate in gradient; summed over the batch, in nats."""
        self.program_nesting(model, guide, args, kwargs)
        bound, loss = self._loss_and_surrogate_loss(model, guide, args, kwargs)
        return loss - loss.detach() - bound.detach()

    _get_trace = TraceGraph_ELBO._get_trace
