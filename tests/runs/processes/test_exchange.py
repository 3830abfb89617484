"""Values that processes hand to one another come out as they went in, and nothing else goes in."""

from decimal import Decimal
from math import inf, isnan, nan
from typing import Any, NamedTuple

import pytest
import torch

from hardpp.runs.processes.exchange import decoded, encoded


class Named(NamedTuple):
    text: str
    number: Any


@pytest.mark.parametrize(
    "value",
    [
        None,
        [1, 2.5, "ω\u2028", True, inf, 1e-320],
        {"a": (1, [2, ()]), 3: None, (4, 5): {}},
        [Named("x", 1), Named("y", [Named("z", -inf)])],
    ],
)
def test_plain_values(value: Any) -> None:
    found = decoded(encoded(value))
    assert found == value
    assert repr(found) == repr(value)  # of the same types
    assert isnan(decoded(encoded(nan)))


def test_tensors() -> None:
    whole = torch.arange(12.0).view(3, 4)
    value = {
        "part": whole[:, 1:3],
        "same": whole,
        "mask": whole > 3,
        "none": torch.zeros(0, 2),
        "one": whole[0, 0],
    }
    found = decoded(encoded([value, whole.long()]))
    for name, tensor in value.items():
        assert torch.equal(found[0][name], tensor)
        assert found[0][name].dtype == tensor.dtype
    assert torch.equal(found[1], whole.long())


def test_what_is_no_plain_value_is_refused() -> None:
    for value in (Decimal(1), {1, 2}, [object()], b"bytes"):
        with pytest.raises(TypeError, match="is not handed from one process to another"):
            encoded(value)


@pytest.mark.parametrize("other", ["pytest", "torch", "nobody"])  # a function, a module, nothing
def test_only_named_tuples_are_made(other: str) -> None:
    module = __name__.encode()
    content = encoded(Named("x", 1)).replace(b'"Named"', f'"{other}"'.encode())
    assert module in content
    size = int.from_bytes(content[:8], "big") + len(other) - len("Named")
    with pytest.raises(TypeError, match=f"there is no named tuple {__name__}.{other}"):
        decoded(size.to_bytes(8, "big") + content[8:])
