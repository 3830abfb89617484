"""The training loop, as a generator of records.

The trainer knows an objective bound to its programs (`OBJ(model, guide)`, a torch module whose value is
minus the bound, summed over the batch), where batches come from, and a dev bound; it neither writes
files nor prints. Whoever iterates over `records()` may stop between any two steps: `checkpoint()` then
holds everything, and a trainer restored from it goes on bit for bit on the same machine.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from hardpp.errors import CheckpointError, NumericalError, UsageError
from hardpp.runs.batch_parts import BatchParts
from hardpp.runs.batches_ahead import BatchesAhead
from hardpp.runs.checkpoint_format import Checkpoint, mismatch
from hardpp.runs.finite_tensors import check_finite
from hardpp.runs.nonfinite import NonFiniteGuard
from hardpp.runs.optimisation import (
    Schedule,
    TrainingState,
    optimiser_of,
    trained_parameters,
    weight_noise,
)
from hardpp.runs.processes.ranks import ALONE, Ranks
from hardpp.runs.weight_average import WeightAverage
from hardpp.tasks.own_parameters import OwnParameters
from hardpp.types import Batch, Record

# Key of a checkpoint's state.json -> attribute of the trainer. The keys are older than the attributes' names.
_PROGRESS = {
    **{name: name for name in ("step", "epoch", "position", "best", "epochs_since_best")},
    "looked": "validated_at",
    "waited": "bad_epochs",
    "rollbacks": "rollbacks",
}


class Trainer:
    """Optimises one objective over its programs.

    Args:
        objective: `OBJ(model, guide)`.
        epoch_batches: the batches of an epoch; a function of the epoch's number alone.
        dev_bound: bound per symbol of the dev part (nats) under a module like `objective`.
        schedule: the optimiser's settings.
        device: where batches and parameters live.
        max_epochs: passes over the data.
        patience: epochs without a better dev bound before stopping; none counts before the warm-up is over.
        nonfinite: what is done about steps that are not finite; left out, they end the training.
        weight_noise: deviation of the noise added to all weights for the length of a step; 0 for none.
        weight_noise_steps: steps over which the deviation grows from 0.
        frozen: modules that stay in evaluation mode; their parameters want no gradient.
        ranks: this process among those that train together.
        parts: takes the gradients of batches; left out, whole batches must fit into memory.

    Raises:
        NumericalError: a step's loss or gradient (see `NonFiniteGuard`), or a dev bound, is not finite.
        UsageError: no batch has a gradient.
    """

    def __init__(
        self,
        objective: nn.Module,
        epoch_batches: Callable[[int], Sequence[Callable[[], Batch]]],
        dev_bound: Callable[[nn.Module], float],
        schedule: Schedule,
        *,
        device: torch.device,
        max_epochs: int,
        patience: int,
        nonfinite: NonFiniteGuard | None = None,
        weight_noise: float = 0.0,
        weight_noise_steps: int = 0,
        frozen: Sequence[nn.Module] = (),
        ranks: Ranks = ALONE,
        parts: BatchParts | None = None,
    ):
        self.objective, self.epoch_batches, self.dev_bound = objective, epoch_batches, dev_bound
        self.schedule, self.device, self.max_epochs, self.patience = schedule, device, max_epochs, patience
        self.weight_noise, self.weight_noise_steps, self.ranks = weight_noise, weight_noise_steps, ranks
        trained = trained_parameters(objective)
        self.parameters, self.frozen = list(trained.values()), frozen
        self.optimiser = optimiser_of(trained, schedule)
        self.averaged = WeightAverage(objective, schedule.average)
        self.state = TrainingState(objective, self.averaged, self.optimiser, device)
        self.ahead = BatchesAhead()
        self.nonfinite, self.parts = nonfinite or NonFiniteGuard(device), parts or BatchParts(device)
        self.step, self.epoch, self.position = 0, 0, 0  # position: batches done of the epoch
        self.validated_at = 0  # the step of the last dev bound
        self.best, self.epochs_since_best = -math.inf, 0
        self.bad_epochs = 0  # those epochs since the best that patience counts
        self.rollbacks = 0  # how often training has gone back, each at half the learning rate
        self.teaches = False  # has a batch had something to learn from?

    @property
    def finished(self) -> bool:
        """Is there nothing left to train?"""
        spent = self.epoch >= self.max_epochs or self.step >= self.schedule.total_steps
        return self.validated_at == self.step and (spent or self.bad_epochs >= self.patience)

    def records(self) -> Iterator[Record]:
        """Trains until finished: one record a step, one more after every epoch."""
        while not self.finished:
            batches = self.epoch_batches(self.epoch)
            self.objective.train()
            for module in self.frozen:
                module.eval()
            while self.position < len(batches) and self.step < self.schedule.total_steps:
                another = self.position + 1 < len(batches) and self.step + 1 < self.schedule.total_steps
                if another and self._has_second_core:
                    self.ahead.following = batches[self.position + 1]
                bound, values = self._update(batches[self.position])
                self.position += 1
                self.step += 1
                yield Record("train", self.step, self.epoch, bound, values)
            if self.position >= len(batches):
                self.epoch, self.position = self.epoch + 1, 0
            yield self._validate()

    @property
    def _has_second_core(self) -> bool:
        return self.device.type != "cpu" or torch.get_num_threads() > 1

    def _update(self, make: Callable[[], Batch]) -> tuple[Tensor, dict[str, float]]:
        whole, rate = self.ahead.take(make), self.schedule.rate(self.step) / 2**self.rollbacks
        batch = self.ranks.share(whole).to(self.device)
        self.ranks.seed_step(self.step, self.rollbacks)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        share = min(1.0, (self.step + 1) / self.weight_noise_steps) if self.weight_noise_steps else 1.0
        with weight_noise(self.parameters, share * self.weight_noise):
            own = nullcontext() if self.step else OwnParameters(self.objective)
            with own, self.ranks.agreeing_buffers(self.objective, batch.size):
                loss = self.nonfinite.attempt(
                    self.step + 1,
                    make,
                    lambda: self.parts.take(self.objective, batch, whole.size),
                    self.parameters,
                    list(self.objective.buffers()),
                    excused=self.ranks.size > 1,
                )
        self.teaches |= self.ranks.sum_gradients(self.parameters)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.schedule.clip_norm)
        loss = self.ranks.sum(loss)
        bound = -loss / self.ranks.sum(batch.symbols)
        if not self.nonfinite.accept(self.step + 1, make, torch.stack([loss, norm.to(loss)])):
            self.nonfinite.check_weights(self.parameters, self.step)
            return bound, {"learning_rate": rate, "skipped": 1.0}
        self.optimiser.step()
        self.averaged.update()
        return bound, {"learning_rate": rate}

    def _validate(self) -> Record:
        self.nonfinite.check()
        if self.step and not self.teaches:
            what = "nothing is learnt: the objective has no gradient for any parameter of model and guide"
            raise UsageError(what, "take another objective")
        # The dev bound has noise of its own, so that how often it is taken changes no run.
        with (
            torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []),
            torch.no_grad(),
            self.nonfinite.explaining_draws(self.parameters, self.step),
        ):
            torch.manual_seed(0)
            bound = self.dev_bound(self.evaluated)
        if not math.isfinite(bound):
            what = f"the dev bound is {bound} after step {self.step}"
            raise NumericalError(what, "lower optimiser.learning_rate")
        self.validated_at = self.step
        better = bound > self.best
        self.best, self.epochs_since_best = max(bound, self.best), 0 if better else self.epochs_since_best + 1
        self.bad_epochs = 0 if better or self.step <= self.schedule.warmup else self.bad_epochs + 1
        return Record("dev", self.step, self.epoch, bound, {"best": float(better)})

    @property
    def evaluated(self) -> nn.Module:
        """The averaged objective, in evaluation mode."""
        return self.averaged.module.eval()

    def checkpoint(self) -> Checkpoint:
        """Everything that training needs to go on; `model` is the averaged weights, ready to use.

        Raises:
            NumericalError: a step so far, the weights or the moments are not finite: nothing to be saved.
        """
        self.nonfinite.check()
        model, optim = self.state.tensors()
        check_finite({f"averaged.{name}": model[name] for name in model} | optim, self.step, self.device)
        state = {key: getattr(self, attribute) for key, attribute in _PROGRESS.items()}
        state["best"] = None if self.best == -math.inf else self.best
        state["averaged"] = self.averaged.steps
        if self.parts.count > 1:
            state["parts"] = self.parts.count
        return Checkpoint(model, optim, state)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Takes up where `checkpoint()` was called; a CheckpointError if that was for other programs."""
        # Older checkpoints count all epochs since the best one alike, and know of no way back.
        older = {"waited": checkpoint.state.get("epochs_since_best"), "rollbacks": 0, "parts": 1}
        state = {**older, **checkpoint.state}
        for key in (*_PROGRESS, "averaged", "parts"):
            number = state.get(key, "nothing")
            best = key == "best" and (number is None or (type(number) is float and math.isfinite(number)))
            if not (best or (type(number) is int and 0 <= number < 2**63)):
                raise CheckpointError(f"the checkpoint is not what hardpp saves ({key}: {number!r})")
        try:
            self.state.restore(checkpoint.model, checkpoint.optim, state["averaged"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the checkpoint does not fit this run's programs ({mismatch(error)})"
            ) from error
        for key, attribute in _PROGRESS.items():
            setattr(self, attribute, state[key])
        self.best = -math.inf if state["best"] is None else state["best"]
        self.parts.count = max(1, state["parts"])
        self.teaches = True  # or it would not have come so far


def dump(record: Record, **extra: Any) -> dict[str, Any]:
    """A record as one flat JSON object; a number that is not finite becomes null."""
    bound = float(record.bound)
    flat = {"split": record.split, "step": record.step, "epoch": record.epoch, **record.values, **extra}
    return flat | {"bound": bound if math.isfinite(bound) else None}
