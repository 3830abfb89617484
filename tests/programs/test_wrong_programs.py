"""Programs that are wrong are refused with one sentence, with Pyro's validation on and off."""

from collections.abc import Callable
from typing import Any

import pyro
import pytest
from programs.wrong import WRONG

from hardpp.errors import UsageError
from hardpp.inference import (
    IWAE,
    VIMCO,
    DisARM,
    EnumeratedELBO,
    ExactMarginal,
    ReweightedWakeSleep,
    ScoreFunctionELBO,
)

OBJECTIVES: dict[str, list[Callable[..., Any]]] = {
    "one": [ScoreFunctionELBO, lambda **kw: IWAE(1, **kw)],
    "several": [
        lambda **kw: ScoreFunctionELBO(3, baseline="leave-one-out", **kw),
        lambda **kw: VIMCO(3, **kw),
        lambda **kw: ReweightedWakeSleep(3, **kw),
        lambda **kw: DisARM(2, **kw),
    ],
    "sums": [EnumeratedELBO],
    "marginal": [ExactMarginal],
}
OBJECTIVES["draws"] = OBJECTIVES["one"] + OBJECTIVES["several"]


@pytest.mark.parametrize("validation", [True, False])
@pytest.mark.parametrize("title", WRONG)
def test_one_sentence_says_what_is_wrong(title: str, validation: bool) -> None:
    wrong = WRONG[title]
    if wrong.validation and not validation:
        return
    with pyro.validation_enabled(validation):
        for make in [make for kind in wrong.by for make in OBJECTIVES[kind]]:
            with pytest.raises(UsageError) as refusal:
                make().estimate(wrong.model, wrong.guide)
            sentence = str(refusal.value)
            assert all(part in sentence for part in wrong.says), sentence
            assert "\n" not in sentence


@pytest.mark.parametrize("title", ["a plate of another size", "an observation with a dim too many"])
def test_it_is_said_where_the_nesting_is_given_and_after_a_program_that_was_right(title: str) -> None:
    """What a check needs is not remembered from the first call."""
    wrong, right = WRONG[title], WRONG["a plate of another size"].model
    for make in OBJECTIVES["draws"]:
        objective = make(max_plate_nesting=1)
        objective.estimate(right, WRONG["a name used twice"].guide)
        with pytest.raises(UsageError) as refusal:
            objective.estimate(wrong.model, wrong.guide)
        assert all(part in str(refusal.value) for part in wrong.says)
