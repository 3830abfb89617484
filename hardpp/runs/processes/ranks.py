"""Several processes train one run: `torchrun --nproc_per_node=N -m hardpp train ...`.

All have the same weights and go through the same batches. Each takes its rows of a batch (those whose place
modulo N is its rank) and draws random numbers of its own; gradients are summed over all rows, so that a step
is that of one process with the same batch: its size, schedule and bounds stay what they are, for any N, and a
run may be gone on with by another number of processes. Then draws are others, and the run is the same in
distribution only; with the same number it goes on bit for bit.

What a run decides, all of them decide alike: numbers that are not finite are those of the sum, a signal to
one is a signal to all, and the dev bound, of which each computes its share, ends the training for all. What
the objective remembers (baselines, running moments, statistics of batch normalisation) moves by the mean of
what it moves on each, weighted by rows. Rank 0 writes; all read the same folder.

Torch does the work: `torch.distributed`, with gloo on CPUs and nccl on GPUs.
"""

import atexit
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from hardpp.diagnostics.seeds import stream
from hardpp.errors import NumericalError, ResourceError, UsageError
from hardpp.runs.processes import process_rank

T = TypeVar("T")


class Ranks(NamedTuple):
    """This process among those that train a run, by default the only one: then all of this does nothing.

    Args:
        rank: which, from 0.
        size: N, how many there are.
        seed: of the draws of all.
    """

    rank: int = 0
    size: int = 1
    seed: int = 0

    @property
    def writes(self) -> bool:
        """Does this one write files and say what is going on?"""
        return self.rank == 0

    def share(self, batch: Any) -> Any:
        """The rows of a batch that are this one's; there may be none.

        Raises:
            UsageError: the batch is no NamedTuple of tensors with the data first.
        """
        if self.size == 1:
            return batch
        if not (isinstance(batch, tuple) and hasattr(batch, "_fields")):
            what = f"a {type(batch).__name__} cannot be shared by processes"
            raise UsageError(what, "batches are NamedTuples of tensors, the data first")
        rows = slice(self.rank, None, self.size)
        return type(batch)(*(part[rows] if isinstance(part, Tensor) else part for part in batch))

    def mine(self, items: Sequence[T]) -> Sequence[T]:
        """Those of some items that are this one's."""
        return items[self.rank :: self.size]

    def seed_step(self, step: int, again: int = 0) -> None:
        """Begins a step with random numbers of its own, which no other step or process has.

        `again` counts how often training has gone back: a step that is taken again draws others.
        """
        if self.size > 1:
            seed = stream(self.seed, again) if again else self.seed
            torch.manual_seed(stream(seed, step * self.size + self.rank))

    def sum(self, number: Tensor) -> Tensor:
        """The sum of a tensor over all processes, on each."""
        if self.size == 1:
            return number
        total = number.detach().clone()
        _talk(lambda: dist.all_reduce(total))
        return total

    def largest(self, number: int) -> int:
        """The largest of the numbers that they give."""
        if self.size == 1:
            return number
        most = torch.tensor(number, device=meeting_device())
        _talk(lambda: dist.all_reduce(most, dist.ReduceOp.MAX))
        return int(most)

    def first_row(self, row: Tensor) -> Tensor:
        """The place in the whole batch of a row of this one's share; where that is -1, of another's."""
        if self.size == 1:
            return row
        place = torch.where(row < 0, row, self.rank + self.size * row)
        _talk(lambda: dist.all_reduce(place, dist.ReduceOp.MAX))
        return place

    def none_failing(self, compute: Callable[[], T]) -> T:
        """What a computation of this one's gives; where it fails in one of them, it fails in all.

        Raises:
            NumericalError: it failed in another one.
        """
        failure: Exception | None = None
        try:
            value = compute()
        except Exception as error:
            failure = error
        failed = self.largest(int(failure is not None))
        if failure is not None:
            raise failure
        if failed:
            raise NumericalError("another process failed in its share")
        return value

    def wait(self) -> None:
        """Waits for all of them to come so far."""
        self.largest(0)

    def sum_gradients(self, parameters: Sequence[Tensor]) -> bool:
        """Sums the gradients of parameters; those that have none anywhere keep none. Has any a gradient?"""
        if self.size == 1:
            return any(parameter.grad is not None for parameter in parameters)
        has = torch.tensor(
            [float(parameter.grad is not None) for parameter in parameters], device=meeting_device()
        )
        taught = [p for p, some in zip(parameters, self.sum(has).tolist(), strict=True) if some]
        for parameter in taught:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in taught if parameter.grad is not None]
        for gradient, total in zip(gradients, self.sum_each(gradients), strict=True):
            gradient.copy_(total)
        return bool(taught)

    @contextmanager
    def agreeing_buffers(self, module: nn.Module, rows: int) -> Iterator[None]:
        """Moves a module's buffers by the mean of what the block moves them on each, weighted by rows."""
        if self.size == 1:
            yield
            return
        before = {name: buffer.clone() for name, buffer in _buffers(module)}
        yield
        pairs = [(buffer, before[name]) for name, buffer in _buffers(module) if name in before]
        weight = self.sum(torch.tensor(float(rows), device=meeting_device())).clamp(min=1)
        # What did not move is not touched: to divide and multiply it would change its last bits.
        moves = [torch.where(buffer == old, 0, buffer - old) * rows for buffer, old in pairs]
        for (buffer, old), total in zip(pairs, self.sum_each(moves), strict=True):
            buffer.copy_(old + total / weight.to(total))

    def sum_each(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The sums of several tensors over all processes, made as few at a time as their types allow."""
        alike: dict[tuple[torch.dtype, torch.device], list[int]] = {}
        for index, tensor in enumerate(tensors):
            alike.setdefault((tensor.dtype, tensor.device), []).append(index)
        totals = list(tensors)
        for indices in alike.values():
            flat = self.sum(torch.cat([tensors[index].flatten() for index in indices]))
            parts = flat.split([tensors[index].numel() for index in indices])
            for index, part in zip(indices, parts, strict=True):
                totals[index] = part.view_as(tensors[index])
        return totals


ALONE = Ranks()


@contextmanager
def joined_ranks(seed: int, device: str) -> Iterator[Ranks]:
    """The processes that torchrun started, of which this is one; or this one alone.

    Args:
        seed: of the draws of all.
        device: "auto", "cpu" or "cuda"; each process has a GPU of its own.

    Raises:
        ResourceError: they cannot be reached.
    """
    if dist.is_available() and dist.is_initialized():
        yield Ranks(dist.get_rank(), dist.get_world_size(), seed)
        return
    if process_rank.size() == 1:
        yield Ranks(seed=seed)
        return
    cuda = device != "cpu" and torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(process_rank.local() % torch.cuda.device_count())
    _talk(lambda: dist.init_process_group("nccl" if cuda else "gloo"))
    atexit.register(dist.destroy_process_group)
    yield Ranks(dist.get_rank(), dist.get_world_size(), seed)


def wait_for_all() -> None:
    """Waits for all processes that have joined, if any have."""
    if dist.is_available() and dist.is_initialized():
        Ranks(dist.get_rank(), dist.get_world_size()).wait()


def meeting_device() -> torch.device:
    """Where tensors lie that processes hand to one another."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def _buffers(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return ((name, buffer) for name, buffer in module.named_buffers() if buffer.is_floating_point())


# Another process that has ended is noticed by those who talk to it.
def _talk(call: Callable[[], Any]) -> None:
    try:
        call()
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        what = f"process {process_rank.rank()} lost the others, of which one has ended ({first})"
        raise ResourceError(what, "the same command goes on from the last checkpoint") from error
