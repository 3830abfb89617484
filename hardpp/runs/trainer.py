"""The training loop, as a generator of records.

The trainer knows an objective bound to its programs (`OBJ(model, guide)`, a torch module whose value is
minus the bound, summed over the batch), where batches come from, and a dev bound; it neither writes
files nor prints. Whoever iterates over `records()` may stop between any two steps: `checkpoint()` then
holds everything, and a trainer restored from it goes on bit for bit on the same machine.

A batch is whatever the programs take (see `hardpp.types.Batch`).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from hardpp.errors import CheckpointError, NumericalError
from hardpp.runs.checkpoint import Checkpoint
from hardpp.runs.nonfinite import NonFiniteGuard
from hardpp.types import Batch, Record

Tensors = tuple[Tensor, ...] | list[Tensor]
WARMUP_SHARE = 5  # a warm-up takes at most one in so many steps


class Schedule(NamedTuple):
    """How the optimiser moves; see `hardpp.config.OptimiserConfig` for the meaning."""

    learning_rate: float
    weight_decay: float
    warmup_steps: int
    clip_norm: float
    average: float
    total_steps: int

    @property
    def warmup(self) -> int:
        """Steps of warm-up: those asked for, but no more than a fifth of all."""
        return min(self.warmup_steps, self.total_steps // WARMUP_SHARE)

    def rate(self, step: int) -> float:
        """The learning rate of a step: linear warm-up, then half a cosine down to zero."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / self.total_steps))


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
        soundness: what is done about steps that are not finite; left out, they end the training.
        weight_noise: deviation of Gaussian noise that is added to all weights for the length of a step, and
            that the gradient is taken at (Graves 2011, adaptive noise left out); 0 for none.
        weight_noise_steps: steps over which the deviation grows from 0.

    Raises:
        NumericalError: a step's loss or gradient (see `NonFiniteGuard`), or a dev bound, is not finite.
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
        soundness: NonFiniteGuard | None = None,
        weight_noise: float = 0.0,
        weight_noise_steps: int = 0,
    ):
        self.objective, self.epoch_batches, self.dev_bound = objective, epoch_batches, dev_bound
        self.schedule, self.device, self.max_epochs, self.patience = schedule, device, max_epochs, patience
        self.weight_noise, self.weight_noise_steps = weight_noise, weight_noise_steps
        self.parameters = list(objective.parameters())
        self.optimiser = torch.optim.AdamW(
            self.parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        self.averaged = AveragedModel(objective, multi_avg_fn=self._average)
        self.step, self.epoch, self.position = 0, 0, 0
        self.looked = 0  # the step of the last look at the dev part
        self.soundness = soundness or NonFiniteGuard(device)
        self.best, self.epochs_since_best = -math.inf, 0
        self.waited = 0  # those epochs since the best that patience counts

    @property
    def finished(self) -> bool:
        """Is there nothing left to train?"""
        spent = self.epoch >= self.max_epochs or self.step >= self.schedule.total_steps
        return self.looked == self.step and (spent or self.waited >= self.patience)

    def records(self) -> Iterator[Record]:
        """Trains until finished: one record a step, one more after every epoch."""
        while not self.finished:
            batches = self.epoch_batches(self.epoch)
            self.objective.train()
            while self.position < len(batches) and self.step < self.schedule.total_steps:
                bound, values = self._update(batches[self.position])
                self.position += 1
                self.step += 1
                yield Record("train", self.step, self.epoch, bound, values)
            if self.position >= len(batches):
                self.epoch, self.position = self.epoch + 1, 0
            yield self._look()

    def _update(self, make: Callable[[], Batch]) -> tuple[Tensor, dict[str, float]]:
        batch, rate = make().to(self.device), self.schedule.rate(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        with self._noise():
            with self._judged():
                loss = self.objective(batch)
            (loss / batch.size).backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.schedule.clip_norm)
        bound = -loss.detach() / batch.symbols
        if not self.soundness.passes(self.step + 1, make, loss.detach() + norm):
            return bound, {"learning_rate": rate, "skipped": 1.0}
        self.optimiser.step()
        self.averaged.update_parameters(self.objective)
        return bound, {"learning_rate": rate}

    @contextmanager
    def _noise(self) -> Iterator[None]:
        share = min(1.0, (self.step + 1) / self.weight_noise_steps) if self.weight_noise_steps else 1.0
        if not self.weight_noise:
            yield
            return
        with torch.no_grad():
            quiet = [parameter.clone() for parameter in self.parameters]
            for parameter in self.parameters:
                parameter.add_(torch.randn_like(parameter), alpha=share * self.weight_noise)
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(self.parameters, quiet, strict=True):
                    parameter.copy_(value)

    def check(self) -> None:
        """Makes sure that every step so far was sound.

        Raises:
            NumericalError: one was not; the message names the first.
        """
        self.soundness.check()

    # Nothing can be drawn from probabilities that are no numbers: torch raises, long before a check is due.
    @contextmanager
    def _judged(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, ValueError) as error:
            try:
                self.check()
                sound = all(bool(parameter.isfinite().all()) for parameter in self.parameters)
            except RuntimeError:  # a GPU answers nothing after a failed draw
                sound = False
            if sound:
                raise
            raise NumericalError(f"the weights stopped being finite by step {self.step}") from error

    def _look(self) -> Record:
        self.check()
        # The averaged module is looked at with noise of its own, so that looking changes no run.
        with (
            torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []),
            torch.no_grad(),
            self._judged(),
        ):
            torch.manual_seed(0)
            bound = self.dev_bound(self.evaluated)
        if not math.isfinite(bound):
            raise NumericalError(
                f"the dev bound is {bound} after step {self.step}", "lower optimiser.learning_rate"
            )
        self.looked = self.step
        better = bound > self.best
        self.best, self.epochs_since_best = max(bound, self.best), 0 if better else self.epochs_since_best + 1
        self.waited = 0 if better or self.step <= self.schedule.warmup else self.waited + 1
        return Record("dev", self.step, self.epoch, bound, {"best": float(better)})

    @property
    def evaluated(self) -> nn.Module:
        """The averaged objective, in evaluation mode."""
        self.averaged.eval()
        module: nn.Module = self.averaged.module
        return module

    # The first steps count evenly, so that the average forgets where it started.
    def _average(self, averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        decay = min(self.schedule.average, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(averaged, current, 1 - decay)

    def checkpoint(self) -> Checkpoint:
        """Everything that training needs to go on; `model` is the averaged weights, ready to use.

        Raises:
            NumericalError: a step so far was not sound, and so neither are the weights.
        """
        self.check()
        names = self._names()
        optim = {f"weights.{name}": value for name, value in self.objective.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            optim |= {f"{moment}.{names[index]}": value for moment, value in moments.items()}
        optim["random.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            optim["random.cuda"] = torch.cuda.get_rng_state(self.device)
        state = {
            "step": self.step,
            "epoch": self.epoch,
            "position": self.position,
            "looked": self.looked,
            "best": None if self.best == -math.inf else self.best,
            "epochs_since_best": self.epochs_since_best,
            "waited": self.waited,
            "averaged": int(self.averaged.n_averaged),
        }
        return Checkpoint(dict(self.averaged.module.state_dict()), optim, state)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Takes up where `checkpoint()` was called.

        Raises:
            CheckpointError: the checkpoint belongs to other programs.
        """
        names, optim, state = self._names(), dict(checkpoint.optim), checkpoint.state
        try:
            torch.set_rng_state(optim.pop("random.cpu"))
            if (random := optim.pop("random.cuda", None)) is not None and self.device.type == "cuda":
                torch.cuda.set_rng_state(random, self.device)
            self.averaged.module.load_state_dict(checkpoint.model)
            weights = {
                name.removeprefix("weights."): optim[name] for name in optim if name.startswith("weights.")
            }
            self.objective.load_state_dict(weights)
            moments: dict[int, dict[str, Tensor]] = {}
            for index, name in enumerate(names):
                found = {
                    m: optim[f"{m}.{name}"]
                    for m in ("step", "exp_avg", "exp_avg_sq")
                    if f"{m}.{name}" in optim
                }
                if found:
                    moments[index] = found
            self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})
            self.averaged.n_averaged.fill_(state["averaged"])
            self.step, self.epoch, self.position = state["step"], state["epoch"], state["position"]
            self.looked = state["looked"]
            self.best = -math.inf if state["best"] is None else state["best"]
            self.epochs_since_best = state["epochs_since_best"]
            self.waited = state.get("waited", self.epochs_since_best)  # older checkpoints count all alike
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(f"the checkpoint does not fit this run's programs ({error})") from error

    def _names(self) -> list[str]:
        return [name for name, _ in self.objective.named_parameters()]


def dump(record: Record, **extra: Any) -> dict[str, Any]:
    """A record as one flat JSON object; a number that is not finite becomes null."""
    bound = float(record.bound)
    flat = {"split": record.split, "step": record.step, "epoch": record.epoch, **record.values, **extra}
    return flat | {"bound": bound if math.isfinite(bound) else None}
