"""Steps that are not finite: asked about late or at once, named by their datum."""

import math

import pytest
import torch

from hardpp.errors import NumericalError
from hardpp.runs.nonfinite import MOST, NonFiniteGuard
from hardpp.types import Estimate

GOOD, BAD = torch.tensor(1.0), torch.tensor(math.nan)


def soundness(policy: str, bounds: list[float] | None = None) -> NonFiniteGuard:
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
    watch = soundness("stop", bounds)
    for step, number in enumerate((GOOD, BAD, GOOD, BAD), start=1):
        assert watch.passes(step, lambda step=step: f"batch {step}", number)
    with pytest.raises(NumericalError, match=told):
        watch.check()


def test_nothing_is_kept_of_steps_that_were_sound() -> None:
    watch = soundness("stop")
    for step in (1, 2):
        watch.passes(step, lambda: "batch", GOOD)
    watch.check()
    assert watch.batches == {}


def test_a_step_is_left_out_and_told_of() -> None:
    watch = soundness("skip", [math.inf])
    assert watch.passes(1, lambda: "batch", GOOD)
    assert not watch.passes(2, lambda: "batch", BAD)
    watch.check()
    assert watch.forgive().endswith("at step 2: the bound of batch[0] is no finite number")
    assert watch.passes(3, lambda: "batch", GOOD)
    watch.check()


def test_more_than_ten_in_a_row_are_too_many() -> None:
    watch = soundness("skip")
    for step in range(1, MOST + 1):
        assert not watch.passes(step, lambda: "batch", BAD)
        watch.forgive()
    with pytest.raises(NumericalError, match=f"at step {MOST + 1}"):
        watch.passes(MOST + 1, lambda: "batch", BAD)
