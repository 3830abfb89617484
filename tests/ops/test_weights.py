"""Sums and means over stages and particles, against loops."""

import pytest
import torch

from hardpp.ops.weights import mean_of_others, suffix_sums


@pytest.mark.parametrize("shape", [(4,), (2, 1), (3, 2, 5)])
def test_suffix_sums(shape: tuple[int, ...]) -> None:
    terms = torch.randn(shape, dtype=torch.float64)
    expected = torch.stack([terms[..., s:].sum(-1) for s in range(shape[-1])], -1)
    torch.testing.assert_close(suffix_sums(terms), expected)


@pytest.mark.parametrize("shift", [0.0, -1e6])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-9), (torch.float32, 0.125)])
@pytest.mark.parametrize("shape", [(2,), (3, 2), (5, 1, 4)])
def test_mean_of_others(shape: tuple[int, ...], dtype: torch.dtype, close: float, shift: float) -> None:
    """In float32 a shift of a million leaves a grid of 1/16: two roundings on it are allowed."""
    terms = torch.randn(shape, dtype=torch.float64).to(dtype) + shift
    rows = range(shape[0])
    expected = torch.stack([torch.stack([terms[j].double() for j in rows if j != k]).mean(0) for k in rows])
    torch.testing.assert_close(mean_of_others(terms).double(), expected, rtol=0, atol=close)


@pytest.mark.parametrize("K", [2, 3, 8])
def test_equal_rows_leave_no_signal(K: int) -> None:
    terms = torch.full((K, 3), -1e6)
    assert (terms - mean_of_others(terms) == 0).all()


def test_a_row_does_not_enter_its_own_mean() -> None:
    terms = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(mean_of_others(terms)[1].sum(), [terms])
    expected = torch.tensor([[0.5, 0.5], [0.0, 0.0], [0.5, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)
