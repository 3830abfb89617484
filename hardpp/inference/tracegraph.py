"""Pyro's `TraceGraph_ELBO` as an objective of ours: the reference that ours are compared with.

    bound    = mean_k log w[k],     log w = log p(x, z) - log q(z),     z ~ q
    gradient = mean_k sum over latents (downstream cost) grad log q(z)  +  grad log p

What is downstream of a latent is read off the provenance of tensors; `ScoreFunctionELBO` reads it off the
order of the program.

Source: Schulman et al. (2015).
Shapes: K particles, I instances (see `hardpp.inference.weights.weight_table`).
"""

from typing import Any, Unpack

import torch
from pyro.infer import TraceGraph_ELBO
from pyro.ops.provenance import detach_provenance
from torch import Tensor

from hardpp.inference.objective import PlateOptions, SurrogateObjective
from hardpp.inference.weights.weight_table import per_instance_sum, tabulate
from hardpp.types import Estimate, Program


class TraceGraph(SurrogateObjective, TraceGraph_ELBO):
    """Pyro's own `TraceGraph_ELBO`, with the loss a torch optimiser needs; kept as the reference.

    Quadratic in the number of latents, and silently biased where a program stores a latent in a
    buffer: prefer `ScoreFunctionELBO`.

    Args:
        num_particles: K, how many draws a datum gets.
    """

    name = "tracegraph"
    needs = frozenset({"latents"})
    bound = "elbo"

    def __init__(self, num_particles: int = 1, **options: Unpack[PlateOptions]):
        TraceGraph_ELBO.__init__(self, num_particles, vectorize_particles=True, **options)
        self._extra = int(num_particles > 1)  # Pyro counts its particle plate as nesting
        self._given = options.get("max_plate_nesting", float("inf")) != float("inf")

    def program_nesting(self, model: Program, guide: Program, args: Any, kwargs: Any) -> int:
        declared = getattr(model, "max_plate_nesting", None)
        if declared is not None and not self._given:
            self.max_plate_nesting = declared + self._extra
        elif self.max_plate_nesting == float("inf"):
            self._guess_max_plate_nesting(model, guide, args, kwargs)
        return int(self.max_plate_nesting) - self._extra

    def estimate(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Estimate:
        nesting = self.program_nesting(model, guide, args, kwargs)
        model_trace, guide_trace = next(self._get_traces(model, guide, args, kwargs))
        _, loss = self._loss_and_surrogate_loss_particle(model_trace, guide_trace)
        with torch.no_grad():
            table = tabulate(model_trace, guide_trace, self.num_particles, nesting)
            log_weights = detach_provenance(table.log_weights)  # (K, *I)
        bound = per_instance_sum(log_weights.mean(0) * table.scale, 0)
        return Estimate(bound, -loss / self.num_particles, per_instance_sum(log_weights, 1), {})

    def differentiable_loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Tensor:
        self.program_nesting(model, guide, args, kwargs)
        bound, loss = self._loss_and_surrogate_loss(model, guide, args, kwargs)
        return loss - loss.detach() - bound.detach()

    _get_trace = TraceGraph_ELBO._get_trace
