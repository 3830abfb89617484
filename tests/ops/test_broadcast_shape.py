"""The shape of what is broadcast, beside `torch.broadcast_shapes`."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hardpp.ops.broadcast_shape import broadcast_shape

SHAPES = st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=3)


@given(SHAPES)
def test_it_is_that_of_torch(shapes: list[list[int]]) -> None:
    try:
        expected = torch.broadcast_shapes(*shapes)
    except RuntimeError:
        with pytest.raises(RuntimeError, match="cannot be broadcast"):
            broadcast_shape(*shapes)
    else:
        assert broadcast_shape(*shapes) == expected
        assert isinstance(broadcast_shape(*shapes), torch.Size)
