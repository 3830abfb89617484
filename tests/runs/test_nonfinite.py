"""Steps that are not finite: asked about late or at once, named by their datum."""

import math
from typing import Any

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from hardpp.errors import NumericalError, UsageError
from hardpp.runs.finite_tensors import check_finite
from hardpp.runs.nonfinite import MOST, NonFiniteGuard
from hardpp.types import Estimate

GOOD, BAD = torch.tensor(1.0), torch.tensor(math.nan)


def guard(policy: str, bounds: list[float] | None = None) -> NonFiniteGuard:
    def latest() -> Estimate | None:
        return None if bounds is None else Estimate(torch.tensor(bounds), torch.tensor(0.0), None, {})

    def describe(batch: str, row: int) -> str:
        return f"{batch}[{row}]"

    return NonFiniteGuard(torch.device("cpu"), policy, latest=latest, describe=describe)


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        ([0.0, 1.0, -math.inf, math.nan], r"at step 2: the bound of batch 2\[2\] is no finite number"),
        ([0.0, 1.0], "at step 2$"),
        (None, "at step 2$"),
    ],
)
def test_the_first_fault_is_named_when_asked(bounds: list[float] | None, told: str) -> None:
    watch = guard("stop", bounds)
    for step, number in enumerate((GOOD, BAD, GOOD, BAD), start=1):
        assert watch.accept(step, lambda step=step: f"batch {step}", number)
    with pytest.raises(NumericalError, match=told):
        watch.check()


def test_nothing_is_kept_of_steps_that_were_sound() -> None:
    watch = guard("stop")
    for step in (1, 2):
        watch.accept(step, lambda: "batch", GOOD)
    watch.check()
    assert watch.batches == {}


def test_a_step_is_left_out_and_told_of() -> None:
    watch = guard("skip", [math.inf])
    assert watch.accept(1, lambda: "batch", GOOD)
    assert not watch.accept(2, lambda: "batch", BAD)
    watch.check()
    assert watch.sentence().endswith("at step 2: the bound of batch[0] is no finite number")
    watch.forget()
    assert watch.accept(3, lambda: "batch", GOOD)
    watch.check()


def test_more_than_ten_in_a_row_are_too_many() -> None:
    watch = guard("skip")
    for step in range(1, MOST + 1):
        assert not watch.accept(step, lambda: "batch", BAD)
        watch.forget()
    with pytest.raises(NumericalError, match=f"at step {MOST + 1}"):
        watch.accept(MOST + 1, lambda: "batch", BAD)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_tensors_that_are_not_finite_are_named(bad: float, dtype: torch.dtype, device: torch.device) -> None:
    tensors = {
        "random.cpu": torch.get_rng_state(),
        "step": torch.tensor(3.0),  # AdamW keeps it on the CPU
        "none": torch.zeros(0, device=device),
        "a": torch.ones(2, 3, device=device, dtype=dtype),
        "b": torch.ones(4, device=device, dtype=dtype),
    }
    check_finite(tensors, 7, device)
    tensors["b"][2] = bad
    with pytest.raises(NumericalError, match=r"^b stopped being finite by step 7,") as caught:
        check_finite(tensors, 7, device)
    assert "checkpoints are older than that, and sound" in caught.value.hint
    tensors["a"][1, 2] = bad
    with pytest.raises(NumericalError, match=r"^a \(and 1 other tensors\) stopped being finite"):
        check_finite(tensors, 7, device)


def test_a_checkpoint_without_numbers_is_finite() -> None:
    check_finite({"random.cpu": torch.get_rng_state()}, 0, torch.device("cpu"))


def test_memory_that_ran_out_is_not_blamed_on_numbers() -> None:
    weights = [torch.tensor([math.nan])]
    with pytest.raises(MemoryError), guard("stop").explaining_draws(weights, 3):
        raise MemoryError
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"), guard("stop").explaining_draws(weights, 3):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.")
    with pytest.raises(NumericalError), guard("stop").explaining_draws(weights, 3):
        raise RuntimeError("a draw failed")


def attempt(watch: NonFiniteGuard, loss: Any, *, weight: float = 1.0, excused: bool = False) -> float:
    weights = [torch.tensor([weight])]
    return float(watch.attempt(4, lambda: "batch", loss, weights, [], excused=excused))


def overflown() -> Tensor:
    logits = torch.tensor([math.nan, 0.0])
    return dist.Categorical(logits=logits, validate_args=True).sample()


def checked() -> Tensor:
    """As programs are checked: what they fail with is a fault of theirs."""
    try:
        return overflown()
    except ValueError as error:
        raise UsageError("the guide fails before its first site") from error


@pytest.mark.parametrize("loss", [overflown, checked])
def test_a_failure_of_numbers_ends_training_or_is_left_out(loss: Any) -> None:
    assert attempt(guard("stop"), lambda: GOOD) == 1
    for policy in ("stop", "rollback"):
        with pytest.raises(NumericalError, match="given stopped being finite after step 3, though no weight"):
            attempt(guard(policy), loss)
    assert math.isnan(attempt(guard("stop"), loss, excused=True))  # all of several processes are to decide
    watch = guard("skip", [math.nan])  # the bounds of an earlier step
    assert math.isnan(attempt(watch, loss))
    assert not watch.accept(4, lambda: "batch", BAD)
    assert "at step 4: what a distribution is given stopped being finite" in watch.sentence()
    assert "batch[0]" not in watch.sentence()


def test_weights_are_blamed_before_what_comes_of_them() -> None:
    def refused() -> Tensor:
        raise UsageError("both want the same poutine.mask")

    with pytest.raises(UsageError, match="poutine"):
        attempt(guard("stop"), refused)
    for loss in (refused, overflown):
        with pytest.raises(NumericalError, match="the weights stopped being finite by step 3"):
            attempt(guard("stop"), loss, weight=math.nan)


def test_a_step_that_is_left_out_leaves_no_trace() -> None:
    mean = torch.tensor([1.0, 2.0])

    def loss() -> Tensor:
        mean.fill_(math.nan)
        return BAD

    watch = guard("skip")
    watch.attempt(1, lambda: "batch", loss, [], [mean], excused=False)
    assert not watch.accept(1, lambda: "batch", BAD)
    assert mean.tolist() == [1, 2]
