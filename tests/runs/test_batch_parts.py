"""A step that is cut into parts is the step of the whole batch."""

from pathlib import Path
from typing import Any

import pytest
import torch
from corpora import fail, hardpp, train_command
from torch import Tensor, nn

from hardpp.errors import ResourceError
from hardpp.runs import checkpoint
from hardpp.runs.batch_parts import BatchParts, joined
from hardpp.types import Estimate, ImageBatch

CPU = torch.device("cpu")
FULL = "DefaultCPUAllocator: can't allocate memory"


class Lossy(nn.Module):
    """Squares of a regression, with what it remembers, in as much memory as `most` data take."""

    def __init__(self, most: int, noise: float = 0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.5, -1.0], dtype=torch.float64))
        self.register_buffer("mean", torch.tensor(0.25, dtype=torch.float64))
        self.register_buffer("estimates", torch.tensor(0))
        self.most, self.noise, self.sizes = most, noise, list[int]()
        self.elbo = self
        self.latest: Estimate | None = None

    def forward(self, batch: ImageBatch) -> Tensor:
        self.sizes.append(batch.size)
        losses = (batch.source @ self.weight - self.mean + self.noise * torch.randn(batch.size)) ** 2
        self.mean += 0.1 * (losses.detach().mean() - self.mean)
        self.estimates += 1
        if batch.size > self.most:
            raise RuntimeError(FULL)
        bound, weights = -losses.detach(), -torch.stack([losses.detach(), 2 * losses.detach()])
        self.latest = Estimate(bound, bound.sum(), weights, {"ess": bound + 1, "beta": torch.tensor(0.5)})
        return losses.sum()


def batch(size: int) -> ImageBatch:
    source = torch.randn(size, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(size))
    return ImageBatch(source, torch.zeros(size, dtype=torch.int64))


def taken(
    most: int, size: int = 7, *, auto: bool = True, **options: float
) -> tuple[Lossy, Tensor, BatchParts]:
    objective, told = Lossy(most, **options), list[str]()
    parts = BatchParts(CPU, auto, told.append)
    loss = parts.take(objective, batch(size), 10)
    assert len(told) == len(bin(parts.count)) - 3  # once each time that it doubled
    return objective, loss, parts


@pytest.mark.parametrize(("most", "count"), [(7, 1), (4, 2), (2, 4), (1, 8)])
def test_gradient_loss_and_statistics_are_those_of_the_whole_batch(most: int, count: int) -> None:
    whole, loss, _ = taken(7, auto=False)
    objective, summed, parts = taken(most)
    assert parts.count == count
    torch.testing.assert_close(summed, loss)
    torch.testing.assert_close(objective.weight.grad, whole.weight.grad)
    torch.testing.assert_close(objective.mean, whole.mean)
    assert objective.estimates == 1
    assert objective.latest is not None
    assert whole.latest is not None
    torch.testing.assert_close(objective.latest._asdict(), whole.latest._asdict())


def test_batches_that_fit_are_left_whole() -> None:
    objective, _, parts = taken(7)
    assert (objective.sizes, parts.count) == ([7], 1)


def test_the_steps_that_follow_keep_the_number_and_take_fewer_parts_of_small_batches() -> None:
    objective, _, parts = taken(4)
    for size in (8, 1, 0):
        parts.take(objective, batch(size), 8)
    assert objective.sizes == [7, 4, 3, 4, 4, 1]
    assert parts.count == 2


def test_what_parts_draw_does_not_depend_on_how_often_memory_ran_out() -> None:
    torch.manual_seed(0)
    found = taken(2, noise=1.0)[0]
    objective, parts = Lossy(2, noise=1.0), BatchParts(CPU)
    parts.count = 4  # as a run knows that is gone on with
    torch.manual_seed(0)
    parts.take(objective, batch(7), 10)
    assert torch.equal(found.weight.grad, objective.weight.grad)
    assert torch.equal(found.mean, objective.mean)


def refused(**options: bool) -> BaseException:
    with pytest.raises((RuntimeError, ResourceError)) as caught:
        taken(0, **options)
    return caught.value


def test_a_datum_that_does_not_fit_is_told_with_what_would() -> None:
    error = refused()
    assert isinstance(error, ResourceError)
    assert str(error) == f"out of memory with one datum at a time ({FULL})"
    assert "--particles" in error.hint


def test_without_leave_no_batch_is_cut() -> None:
    error = refused(auto=False)
    assert isinstance(error, ResourceError)
    assert "--auto-batch" in error.hint


def test_other_errors_stay_what_they_are() -> None:
    def fail(batch: ImageBatch) -> Tensor:
        raise RuntimeError("shapes do not match")

    objective = Lossy(7)
    objective.__dict__["forward"] = fail
    with pytest.raises(RuntimeError, match="shapes"):
        BatchParts(CPU, True).take(objective, batch(3), 3)


def test_joined_estimates_without_weights() -> None:
    parts = [Estimate(torch.tensor(each), torch.tensor(1.0), None, {}) for each in ([0.0, 2.0], [1.0])]
    assert joined(parts) == (pytest.approx(torch.tensor([0.0, 1.0, 2.0])), torch.tensor(2.0), None, {})


def test_a_training_that_runs_out_of_memory_goes_on_in_parts_and_keeps_their_number(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accumulate = BatchParts._accumulate

    def exhausted(self: BatchParts, objective: nn.Module, rows: Any, size: int) -> Tensor:
        if rows.size > 4:
            raise RuntimeError(FULL)
        return accumulate(self, objective, rows, size)

    monkeypatch.setattr(BatchParts, "_accumulate", exhausted)
    command = train_command(corpus, tmp_path / "run", "--max-steps", "2", "--evaluate", "none")
    assert "give --auto-batch" in fail(6, *command)
    told = hardpp(*command, "--auto-batch").stderr
    assert told.count("from here on a batch is cut into 2 parts") == 1
    states = [checkpoint.load(folder).state for folder in checkpoint.complete(tmp_path / "run")]
    assert states[-1]["parts"] == 2
    longer = command[: command.index("--max-steps")]
    told = hardpp(*longer, "--max-steps", "4", "--evaluate", "none").stderr  # and needs no leave any more
    assert "going on from step 2" in told
    assert "out of memory" not in told
