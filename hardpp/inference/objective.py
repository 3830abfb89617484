"""What every objective is: the value of a bound, and the gradient of a surrogate.

`SVI(model, guide, optim, loss=OBJ)`, `OBJ(model, guide)(batch)` with a torch optimiser, and
`OBJ.estimate(model, guide, batch)` are three ways to the same estimator; model and guide are any
Pyro programs. A sampled objective is one formula over a weight table.

Shapes: B data, K particles, I instances, N stages (see `hardpp.inference.weights.weight_table`).
"""

from collections.abc import Collection
from typing import Any, Unpack

import pyro
import torch
from pyro import poutine
from pyro.infer import ELBO
from pyro.infer.elbo import ELBOModule
from pyro.infer.util import is_validation_enabled
from pyro.poutine import Trace
from torch import Tensor, nn

from hardpp.errors import NumericalError, UsageError
from hardpp.inference.control.schedules import Supervision, TrainingSchedule
from hardpp.inference.data_parallel import leave_guide_alone
from hardpp.inference.options import PlateOptions
from hardpp.inference.sums.summed_out import SummedOut
from hardpp.inference.weights.joined_plates import joined
from hardpp.inference.weights.nesting import PlateNesting
from hardpp.inference.weights.recorded_latents import data_recorded, log_prior_of_recorded
from hardpp.inference.weights.tabulate import Weighing
from hardpp.inference.weights.vital_signs import vital_signs
from hardpp.inference.weights.weigh import Handlers, weigh
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.weights import effective_sample_size
from hardpp.types import Estimate, Need, Prediction, Program


class SurrogateObjective(ELBO):
    """An objective that estimates a bound of each datum, and a surrogate whose gradient trains.

    What an objective is and needs stands on its class; an option may change it on the instance.

    Attributes:
        name: what messages call it.
        needs: what the programs must allow, see `hardpp.types.Need`.
        bound: what the value is: "elbo", "iw", "exact", or "none" where it bounds nothing.
        unbiased: is the expected gradient the gradient of `bound`, once schedules are over?
        trains_guide: does the guide get a gradient?
        prediction: how a model that it has trained predicts: latents summed out, or at their expected values.
        latest: what `differentiable_loss` estimated last, all detached, for whoever watches the training.
        tells: are signs of a training that goes wrong wanted, too (`hardpp.inference.weights.vital_signs`)?
        checked: are programs checked at length in some estimates (see `check_is_due`)?

    Parts of an objective that learn or remember (a baseline, running moments) are modules, and become
    submodules of `OBJ(model, guide)`: its optimiser trains them, its state dict and device are theirs, and
    what they remember is updated in training mode only.
    """

    name = "objective"
    needs: frozenset[Need] = frozenset()
    bound = "none"
    unbiased = True
    trains_guide = True
    prediction: Prediction = "marginal"
    latest: Estimate | None = None
    tells = False
    checked = True

    def __init__(
        self,
        num_particles: int = 1,
        *,
        max_plate_nesting: float = float("inf"),
        data_plate: str | None = None,
        enumerate: Collection[str] = (),
        vectorize_particles: bool = True,
    ):
        super().__init__(num_particles=num_particles, max_plate_nesting=max_plate_nesting)
        self.nesting = PlateNesting(max_plate_nesting)
        self.data_plate, self.one_by_one = data_plate, not vectorize_particles and num_particles > 1
        self.sums, self.estimates = SummedOut(enumerate), 0
        self.own_signs: dict[str, Tensor] = {}  # besides those of a table

    def __call__(self, model: nn.Module, guide: nn.Module) -> ELBOModule:
        """A torch module over model, guide and the objective's own modules; calling it gives the loss."""
        module = super().__call__(model, guide)
        for name, part in self._modules():
            module.add_module(name, part)
        if not self.trains_guide:
            leave_guide_alone(module)
        return module

    def estimate(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Estimate:
        """Bound, surrogate and log weights of one batch (see `hardpp.types.Estimate`)."""
        raise NotImplementedError

    def differentiable_loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Tensor:
        """Minus the bound in value, minus the surrogate in gradient; summed over the batch, in nats.

        Raises:
            NumericalError: a bound is not finite; asked for only while Pyro's validation is on.
        """
        estimate = self.estimate(model, guide, *args, **kwargs)
        self.latest = estimate._replace(surrogate=estimate.surrogate.detach())
        if is_validation_enabled():
            check_finite(estimate)
        return estimate.surrogate.detach() - estimate.surrogate - estimate.bound.sum()

    def loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """Minus the bound, summed over the batch, in nats."""
        with torch.no_grad():
            return -self.estimate(model, guide, *args, **kwargs).bound.sum().item()

    def loss_and_grads(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """Like `loss`, and adds the estimator to the gradients; `pyro.infer.SVI` calls it."""
        for name, part in self._modules():
            pyro.module(f"{self.name}.{name}", part)  # SVI optimises what is in the trace of parameters
        loss = self.differentiable_loss(model, guide, *args, **kwargs)
        if loss.requires_grad:  # a batch may have nothing to learn from
            loss.backward()
        return loss.item()

    def check_is_due(self) -> bool:
        """Counts an estimate: are the programs to be checked at length in it?

        While Pyro's validation is on they are, in the 1st estimate, the 2nd, the 4th, the 8th and so on.
        """
        self.estimates += 1
        return self.checked and is_validation_enabled() and self.estimates & (self.estimates - 1) == 0

    def _modules(self) -> list[tuple[str, nn.Module]]:
        return [(name, part) for name, part in vars(self).items() if isinstance(part, nn.Module)]

    def _advance(self) -> None:
        """Counts an estimate that was made for training; what implements `estimate` calls it at the end."""
        for _, part in self._modules():
            if isinstance(part, TrainingSchedule):
                part.advance()

    def _get_trace(self, model: Program, guide: Program, args: Any, kwargs: Any) -> tuple[Trace, Trace]:
        guide_trace = poutine.trace(guide).get_trace(*args, **kwargs)
        return poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace(*args, **kwargs), guide_trace


class SampledObjective(SurrogateObjective):
    """An objective over K particles drawn from the guide; subclasses supply the formula.

    Args:
        num_particles: K, how many draws a datum gets.
        supervision: schedule of the weight of choices that a guide has recorded.

    Attributes:
        least_particles: the smallest K that it takes; fewer are a `UsageError`.
        weighs_draws: are there importance weights, of particles that are draws of the guide?
        additive: is the bound a sum over sites, so that each may have a scale of its own?
        draws_together: are particles drawn as one, so that they cannot be run one by one?
    """

    needs = frozenset({"latents"})
    least_particles = 1
    weighs_draws = True
    additive = False
    draws_together = False

    def __init__(
        self,
        num_particles: int = 1,
        *,
        supervision: Supervision | None = None,
        **options: Unpack[PlateOptions],
    ):
        check_particles(self.name, num_particles, self.least_particles)
        super().__init__(num_particles, **options)
        self.supervision = supervision
        if self.one_by_one and self.draws_together:
            raise UsageError(f"{self.name} draws its particles together: it wants vectorize_particles=True")

    def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
        """The formula: detached bounds (*I), and unscaled (*I) whose gradients are the estimators."""
        raise NotImplementedError

    def weight_table(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> WeightTable:
        """Draws the particles and scores them under both programs."""
        check, model = self.check_is_due(), joined(model, guide)

        def estimate(nesting: int) -> WeightTable:
            return weigh(
                model,
                guide,
                self.num_particles,
                args,
                kwargs,
                how=Weighing(nesting, self.data_plate, self.additive, self.sums),
                handlers=lambda: self.handlers(nesting),
                one_by_one=self.one_by_one,
                check=check,
            )

        return self.nesting.enough_for(estimate, model, guide, args, kwargs)

    def handlers(self, nesting: int) -> Handlers:
        """How this objective draws and scores; plates take so many dims. By default nothing is special."""
        return {}

    def estimate(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Estimate:
        return self.estimate_of(self.weight_table(model, guide, *args, **kwargs))

    def estimate_of(self, table: WeightTable) -> Estimate:
        """Bound, surrogate and log weights that the formula gives for a table."""
        if any(not latent.guide["is_observed"] for latent in table.latents):
            bound, surrogate = self.surrogate(table)
        else:  # nothing is drawn: all particles are the same
            bound, surrogate = table.log_weights.mean(0), (table.log_p - table.log_q).sum(-1).mean(0)
        if self.supervision is not None:
            recorded, log_prior = data_recorded(table), log_prior_of_recorded(table).sum(-1).mean(0)
            surrogate = surrogate + self.supervision.beyond(log_prior, recorded)
        self._advance()
        bound = table.layout.per_datum((bound * table.scale).expand(table.layout.shape), 0)
        surrogate, apart = (surrogate * table.scale).sum(), table.constant
        constant = bound.new_zeros(()) if apart is None else apart.detach()
        surrogate = surrogate if apart is None else surrogate + apart.sum()
        estimate = Estimate(bound + constant, surrogate, None, {})
        if not self.weighs_draws:
            return estimate
        log_weights = table.layout.per_datum(table.log_weights, 1)  # (K, B)
        diagnostics = {"ess": effective_sample_size(log_weights)} if self.num_particles > 1 else {}
        diagnostics |= {**vital_signs(table), **self.own_signs} if self.tells else {}
        return estimate._replace(log_weights=log_weights + constant, diagnostics=diagnostics)


def check_particles(who: str, given: int, least: int) -> None:
    """Refuses too few particles with a `UsageError` that begins with who needs them."""
    if given < 1:
        raise UsageError(f"{who} needs at least 1 particle, got {given}")
    if given < least:
        raise UsageError(f"{who} compares particles: it needs at least {least}, got {given}")


def check_finite(estimate: Estimate) -> None:
    """Refuses a bound that is not finite with a `NumericalError` that names its place in the batch."""
    fault = (~estimate.bound.isfinite()).nonzero()
    if len(fault):
        datum = int(fault[0])
        weights = (
            "" if estimate.log_weights is None else f"; log weights {estimate.log_weights[:, datum].tolist()}"
        )
        raise NumericalError(
            f"datum {datum} of the batch has a bound of {float(estimate.bound[datum])} nats{weights}"
        )
