"""Every number of every table of a configuration has a range, which its schema states and keeps."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from hardpp.config import OptimiserConfig, RunConfig, StageConfig, TrainingConfig
from hardpp.config.section import MOST, Section
from hardpp.tasks.catalogue import FAMILIES, family
from hardpp.tasks.designing import DesignOptions
from hardpp.tasks.objectives import OBJECTIVES, options_of

LIMITS = ({"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"})


def schemas() -> dict[str, type[BaseModel]]:
    found: dict[str, type[BaseModel]] = {"run": RunConfig, "stage": StageConfig, "design": DesignOptions}
    found |= {"optimiser": OptimiserConfig, "training": TrainingConfig}
    for name in FAMILIES:
        found |= {f"{name}.{part}": getattr(family(name), part) for part in ("data", "network", "decoding")}
    return found | {f"objective {name}": options_of(spec) for name, spec in OBJECTIVES.items()}


def numbers(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a JSON schema says of each number in a value of it."""
    for inside in (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())):
        yield from numbers(inside)
    if schema.get("type") in ("integer", "number"):
        yield schema


@pytest.mark.parametrize("name", schemas())
def test_every_number_has_a_range(name: str) -> None:
    for key, stated in schemas()[name].model_json_schema()["properties"].items():
        for number in numbers(stated):
            assert all(limit & number.keys() for limit in LIMITS), f"{name}: {key} has no range"


@pytest.mark.parametrize("name", schemas())
@pytest.mark.parametrize("value", [2**63, -(2**63), 1e300, -1e300, float("nan"), float("inf")])
def test_what_is_beyond_all_ranges_is_refused(name: str, value: float) -> None:
    schema = schemas()[name]
    for key, stated in schema.model_json_schema()["properties"].items():
        if not list(numbers(stated)):
            continue
        for given in (value, [value]):
            with pytest.raises(ValidationError) as caught:
                schema.model_validate({key: given})
            assert key in [error["loc"][0] for error in caught.value.errors()]


def test_a_number_without_a_range_of_its_own() -> None:
    class Own(Section):
        count: int = 1
        shares: list[float] = [0.5]  # noqa: RUF012 - pydantic copies it

    assert Own(count=MOST, shares=[-1.0 * MOST]).count == MOST
    for given in ({"count": MOST + 1}, {"shares": [0.5, 2.0 * MOST]}):
        with pytest.raises(ValidationError, match="numbers are from -1,000,000,000 to 1,000,000,000"):
            Own.model_validate(given)
