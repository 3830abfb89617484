"""Factors: products, sums and reading off."""

import pytest
import torch

from hardpp.ops.marginal import IMPOSSIBLE, Factor, align, at, infinite, log_sum, spread, without


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_impossible_sums_have_no_gradient(dtype: torch.dtype) -> None:
    never = torch.full((2, 3), -torch.inf, dtype=dtype)
    never[0, 1] = 0.5
    value = never.requires_grad_()
    total = infinite(without(Factor(value, "ab"), "b", log_sum).log_value)
    assert total.tolist() == [0.5, -torch.inf]
    (gradient,) = torch.autograd.grad(total.exp().sum(), [value])
    expected = torch.zeros(2, 3, dtype=dtype)
    expected[0, 1] = torch.tensor(0.5, dtype=dtype).exp()
    torch.testing.assert_close(gradient, expected)


def test_impossible_stays_impossible_in_products() -> None:
    never = torch.full((2,), -torch.inf).logsumexp(0)
    sums = [log_sum(torch.full((2,), value), [0]) for value in (-torch.inf, IMPOSSIBLE)]
    total = sums[0] + sums[1] + 40.0
    assert total < -1e29
    assert infinite(total) == never
    assert infinite(torch.tensor(-1e6)) == -1e6


@pytest.mark.parametrize(("dims", "shape"), [("ba", (3, 2)), ("bxa", (3, 1, 2)), ("xab", (1, 2, 3))])
def test_spread_moves_and_adds_dims(dims: str, shape: tuple[int, ...]) -> None:
    value = torch.arange(6.0).reshape(2, 3)
    out = spread(Factor(value, "ab"), dims)
    assert out.shape == shape
    assert out.flatten()[1 if dims != "xab" else 3] == value[1, 0]


def test_align_is_the_product_over_the_union() -> None:
    a, ba, c = torch.randn(2), torch.randn(3, 2), torch.randn(4)
    out = align([Factor(a, "a"), Factor(ba, "ba"), Factor(c, "c")])
    assert sorted(out.dims) == ["a", "b", "c"]
    torch.testing.assert_close(spread(out, "bac"), (a + ba).unsqueeze(-1) + c)


def test_no_factors_have_no_product() -> None:
    with pytest.raises(ValueError, match="no factors"):
        align([])


def test_without_is_a_product_over_a_plate_or_a_sum_over_a_variable() -> None:
    value = torch.randn(2, 3, 4)
    product = without(Factor(value, "abc"), "cz")
    assert product.dims == "ab"
    torch.testing.assert_close(product.log_value, value.sum(-1))
    total = without(Factor(value, "abc"), "ca", log_sum)
    assert total.dims == "b"
    torch.testing.assert_close(total.log_value, value.logsumexp((0, 2)))
    assert without(product, "c") is product


def test_at_reads_a_factor_off() -> None:
    """f(a, b, plate p) at a value of a that differs by draw, and one of b by draw and plate."""
    f = torch.randn(2, 3, 4)
    a, b = torch.tensor([1, 0, 1, 1, 0]), torch.randint(3, (4, 5))
    out = at(Factor(f, "abp"), {"a": Factor(a, "*"), "b": Factor(b, "p*"), "c": Factor(a, "*")})
    assert out.dims == "*p"
    assert out.log_value.shape == (5, 4)
    for k in range(5):
        for p in range(4):
            assert out.log_value[k, p] == f[a[k], b[p, k], p]
    kept = at(Factor(f, "abp"), {"a": Factor(a, "*")})
    torch.testing.assert_close(spread(kept, "*bp"), f[a])
    factor = Factor(f, "abp")
    assert at(factor, {"c": Factor(a, "*")}) is factor
