"""Elimination against the sum written out."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hardpp.ops.marginal import Factor, align, eliminate, spread, without

SIZES = {"a": 2, "b": 3, "c": 2, "x": 2, "y": 3}
LETTERS = st.sets(st.sampled_from("abc"), min_size=1)


def brute_force(factors: list[Factor], letters: str) -> Tensor:
    """logsumexp over every assignment of the letters."""
    total = []
    for values in itertools.product(*(range(SIZES[letter]) for letter in letters)):
        index = dict(zip(letters, values, strict=True))
        total.append(sum(f.log_value[tuple(index[d] for d in f.dims)] for f in factors))
    return torch.stack(total).logsumexp(0)


def random_factor(dims: str, generator: torch.Generator) -> Factor:
    return Factor(
        torch.randn(*(SIZES[d] for d in dims), generator=generator, dtype=torch.float64).requires_grad_(),
        dims,
    )


@settings(max_examples=40, deadline=None)
@given(
    groups=st.lists(LETTERS, min_size=1, max_size=4), order=st.permutations("abc"), seed=st.integers(0, 999)
)
def test_any_order_of_elimination(groups: list[set[str]], order: list[str], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    factors = [random_factor("".join(sorted(group, key=order.index)), generator) for group in groups]
    held = "".join(sorted({d for f in factors for d in f.dims}))
    remaining = factors
    for letter in order:
        remaining = eliminate(remaining, letter, frozenset())
    assert all(f.dims == "" for f in remaining)
    total = sum(f.log_value for f in remaining)
    exact = brute_force(factors, held)
    torch.testing.assert_close(total, exact, rtol=0, atol=1e-12)
    leaves = [f.log_value for f in factors]
    found, expected = torch.autograd.grad(total, leaves), torch.autograd.grad(exact, leaves)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_factors_in_a_plate_multiply_before_a_variable_outside_is_summed() -> None:
    prior = torch.randn(2, dtype=torch.float64)
    terms = torch.randn(3, 2, dtype=torch.float64)  # a plate y of 3, a variable a of 2
    (left,) = eliminate([Factor(prior, "a"), Factor(terms, "ya")], "a", frozenset("y"))
    assert left.dims == ""
    torch.testing.assert_close(left.log_value, (prior + terms.sum(0)).logsumexp(0))


def test_a_variable_inside_a_plate_keeps_the_plate() -> None:
    terms = torch.randn(3, 2, dtype=torch.float64)
    (left,) = eliminate([Factor(terms, "ya")], "a", frozenset())
    assert left.dims == "y"
    torch.testing.assert_close(left.log_value, terms.logsumexp(-1))


def test_a_variable_that_no_factor_holds_leaves_them_alone() -> None:
    factors = [Factor(torch.zeros(2), "a")]
    assert eliminate(factors, "b", frozenset()) is not None
    assert eliminate(factors, "b", frozenset())[0] is factors[0]


def test_impossible_sums_have_no_gradient() -> None:
    never = torch.full((2, 3), -torch.inf, dtype=torch.float64)
    never[0, 1] = 0.5
    value = never.requires_grad_()
    total = without(Factor(value, "ab"), "b", log_space=True)
    assert total.log_value[1] == -torch.inf
    torch.testing.assert_close(total.log_value[0].detach(), torch.tensor(0.5, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(total.log_value.exp().sum(), [value])
    expected = torch.zeros(2, 3, dtype=torch.float64)
    expected[0, 1] = torch.tensor(0.5, dtype=torch.float64).exp()
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize(("dims", "shape"), [("ba", (3, 2)), ("bxa", (3, 1, 2)), ("xab", (1, 2, 3))])
def test_spread_moves_and_adds_dims(dims: str, shape: tuple[int, ...]) -> None:
    value = torch.arange(6.0).reshape(2, 3)
    out = spread(Factor(value, "ab"), dims)
    assert out.shape == shape
    assert out.flatten()[1 if dims != "xab" else 3] == value[1, 0]


def test_align_is_the_product_over_the_union() -> None:
    a, ab = torch.randn(2), torch.randn(3, 2)
    out = align([Factor(a, "a"), Factor(ab, "ba")])
    assert out.dims == "ab"
    torch.testing.assert_close(out.log_value, a.unsqueeze(-1) + ab.T)


def test_no_factors_have_no_product() -> None:
    with pytest.raises(ValueError, match="no factors"):
        align([])
