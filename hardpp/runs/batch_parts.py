"""Steps that do not fit into memory: their batch is cut into parts, whose gradients are added up.

With `training.auto_batch` a step that runs out of memory is taken again in twice as many parts, and so are
the steps after it; where a part is a single datum, the step has failed. Rows are cut as `Ranks.share` cuts
them. The step is that of the whole batch: losses are summed over data, every part begins with the same
statistics (baselines, running moments, batch normalisation), and these then move by the mean of what the
parts move them, weighted by rows. What parts draw differs from what the whole batch would draw, so a run with
parts is one without them in distribution. Checkpoints state how many there are, and a run that is gone on
with keeps that number.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hardpp.errors import ResourceError, first_line, memory_advice, out_of_memory
from hardpp.ops.precision import autocast
from hardpp.runs.processes.ranks import Ranks
from hardpp.types import Estimate

_LESS = "give --auto-batch, which cuts batches into parts that fit, or a smaller training.batch_size"
_SMALLER = "give fewer --particles, smaller sizes of network., or shorter or smaller data"


class BatchParts:
    """Takes losses and gradients of batches, in as many parts as fit into memory.

    Args:
        device: where batches and parameters are.
        allowed: may a batch be cut into more parts than so far?
        report: told whenever that happens.
        precision: of products of matrices and the like, under `torch.autocast` where it is not float32.

    Attributes:
        count: the number of parts, 1 as long as a whole batch fits.
    """

    def __init__(
        self,
        device: torch.device,
        allowed: bool = False,
        report: Callable[[str], None] = lambda text: None,
        precision: torch.dtype = torch.float32,
    ):
        self.device, self.allowed, self.report, self.count = device, allowed, report, 1
        self.precision = precision

    def take(self, objective: nn.Module, batch: Any, size: int) -> Tensor:
        """The loss of a batch, (), summed over its data and detached; adds its gradient to the parameters'.

        Args:
            objective: `OBJ(model, guide)`, whose parameters have no gradients yet.
            batch: with any number of rows, none included.
            size: by which gradients are divided, so that they are means.

        Raises:
            ResourceError: the batch does not fit into memory and may not be cut, or not even a single datum
                does.
        """
        if not self.allowed and self.count == 1:
            with memory_advice("in a training step", _LESS):
                return self._accumulate(objective, batch, size)
        while True:
            before, state = _buffers(objective), self._random_state()
            try:
                return self._in_parts(objective, batch, size, before)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                why = first_line(error)
            # Here, since as long as the error is known its frames hold what fills the memory.
            self._cut(batch.size, why)
            objective.zero_grad(set_to_none=True)
            _put_back(objective, before)
            self._set_random_state(state)

    def _cut(self, rows: int, why: str) -> None:
        if not self.allowed:
            raise ResourceError(f"out of memory in a training step ({why})", _LESS)
        if self.count >= rows:
            raise ResourceError(f"out of memory with one datum at a time ({why})", _SMALLER)
        self.count *= 2
        into = f"from here on a batch is cut into {self.count} parts, whose gradients are added up"
        self.report(f"out of memory ({why}): {into}")

    def _in_parts(self, objective: nn.Module, batch: Any, size: int, before: dict[str, Tensor]) -> Tensor:
        count = max(1, min(self.count, batch.size))
        if count == 1:
            return self._accumulate(objective, batch, size)
        losses, estimates, moves = list[Tensor](), list[Estimate](), dict[str, Tensor]()
        elbo: Any = getattr(objective, "elbo", None)
        for part in range(count):
            rows = Ranks(part, count).share(batch)
            _put_back(objective, before)
            losses.append(self._accumulate(objective, rows, size))
            if (estimate := getattr(elbo, "latest", None)) is not None:
                estimates.append(estimate)
            for name, buffer in objective.named_buffers():
                if name in before and buffer.is_floating_point():
                    move = (buffer - before[name]) * (rows.size / batch.size)
                    moves[name] = moves[name] + move if name in moves else move
        for name, buffer in objective.named_buffers():
            if name in moves:
                buffer.copy_(torch.where(moves[name] == 0, before[name], before[name] + moves[name]))
        if len(estimates) == count:
            elbo.latest = joined(estimates)
        return torch.stack(losses).sum()

    def _accumulate(self, objective: nn.Module, batch: Any, size: int) -> Tensor:
        if not batch.size:
            return torch.zeros((), device=self.device)
        with autocast(self.device, self.precision):
            loss: Tensor = objective(batch)
        if loss.requires_grad:  # a batch may have nothing to learn from, but not all of them
            (loss / size).backward()
        return loss.detach()

    def _random_state(self) -> tuple[Tensor, Tensor | None]:
        cuda = self.device.type == "cuda"
        return torch.get_rng_state(), torch.cuda.get_rng_state(self.device) if cuda else None

    def _set_random_state(self, state: tuple[Tensor, Tensor | None]) -> None:
        torch.set_rng_state(state[0])
        if state[1] is not None:
            torch.cuda.empty_cache()
            torch.cuda.set_rng_state(state[1], self.device)


def joined(estimates: list[Estimate]) -> Estimate:
    """The estimate of a whole batch from those of its parts, row by row where they were."""
    first, count = estimates[0], len(estimates)
    rows = [len(each.bound) for each in estimates]

    def interleave(parts: list[Tensor], dim: int) -> Tensor:
        shape = list(parts[0].shape)
        shape[dim] = sum(rows)
        whole = parts[0].new_empty(shape)
        for place, part in enumerate(parts):
            whole[(slice(None),) * dim + (slice(place, None, count),)] = part
        return whole

    diagnostics = {}
    for name, value in first.diagnostics.items():
        values = [each.diagnostics[name] for each in estimates]
        per_datum = value.shape == first.bound.shape
        diagnostics[name] = interleave(values, 0) if per_datum else torch.stack(values).float().mean(0)
    weights = [each.log_weights for each in estimates if each.log_weights is not None]
    return Estimate(
        interleave([each.bound for each in estimates], 0),
        torch.stack([each.surrogate for each in estimates]).sum(),
        interleave(weights, 1) if weights else None,
        diagnostics,
    )


def _buffers(module: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


def _put_back(module: nn.Module, before: dict[str, Tensor]) -> None:
    for name, buffer in module.named_buffers():
        if name in before:
            buffer.copy_(before[name])
