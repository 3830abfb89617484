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
from pyro.poutine import Trace
from torch import Tensor

from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.options import PlateOptions
from hardpp.inference.weights.joined_plates import joined
from hardpp.inference.weights.model_guide_match import check_same_latents
from hardpp.inference.weights.sample_sites import sample_sites
from hardpp.inference.weights.tabulate import Weighing, tabulate
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
    unbiased = False  # where a program loses what Pyro knows of its tensors

    def __init__(self, num_particles: int = 1, **options: Unpack[PlateOptions]):
        super().__init__(num_particles, **options)
        self.vectorize_particles = not self.one_by_one
        self._extra = int(num_particles > 1 and self.vectorize_particles)
        self.max_plate_nesting += self._extra  # Pyro counts its particle plate as nesting

    def program_nesting(self, model: Program, guide: Program | None, args: Any, kwargs: Any) -> int:
        declared = getattr(model, "max_plate_nesting", None)
        if declared is not None and not self.nesting.given:
            self.max_plate_nesting = declared + self._extra
        elif self.max_plate_nesting == float("inf"):
            self._guess_max_plate_nesting(model, guide, args, kwargs)
        return int(self.max_plate_nesting) - self._extra

    def estimate(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Estimate:
        nesting = self.program_nesting(model, guide, args, kwargs)  # of all plates: Pyro's particles are left
        model = joined(model, guide)
        pairs = list(self._get_traces(model, guide, args, kwargs))
        loss = sum(self._loss_and_surrogate_loss_particle(*pair)[1] for pair in pairs)
        with torch.no_grad():
            how = Weighing(nesting, self.data_plate, additive=True)
            table = tabulate(pairs, 1 if self.one_by_one else self.num_particles, how)
            log_weights = detach_provenance(table.log_weights)  # (K, *I)
        bound = table.layout.per_datum((log_weights.mean(0) * table.scale).expand(table.layout.shape), 0)
        return Estimate(bound, -loss / self.num_particles, table.layout.per_datum(log_weights, 1), {})

    def differentiable_loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Tensor:
        self.program_nesting(model, guide, args, kwargs)
        model = joined(model, guide)
        bound, loss = self._loss_and_surrogate_loss(model, guide, args, kwargs)
        return loss - loss.detach() - bound.detach()

    def _get_trace(self, model: Program, guide: Program, args: Any, kwargs: Any) -> tuple[Trace, Trace]:
        pair: tuple[Trace, Trace] = TraceGraph_ELBO._get_trace(self, model, guide, args, kwargs)
        check_same_latents(*map(sample_sites, pair))
        return pair
