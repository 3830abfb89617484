"""Sums over stages, against loops."""

import pytest
import torch

from hardpp.ops.weights import suffix_sums


@pytest.mark.parametrize("shape", [(4,), (2, 1), (3, 2, 5)])
def test_suffix_sums(shape: tuple[int, ...]) -> None:
    terms = torch.randn(shape, dtype=torch.float64)
    expected = torch.stack([terms[..., s:].sum(-1) for s in range(shape[-1])], -1)
    torch.testing.assert_close(suffix_sums(terms), expected)
