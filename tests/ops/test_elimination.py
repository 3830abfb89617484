"""Elimination, and what is read off it, against sums written out."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hardpp.ops.elimination import CrossedPlates, eliminate, elimination_order, expectation, trace_back
from hardpp.ops.marginal import DRAWS, Factor, at, drawn, infinite, largest, spread

SIZES = {"a": 2, "b": 3, "c": 2, "x": 2, "y": 3}
NONE: frozenset[str] = frozenset()
LETTERS = st.sets(st.sampled_from("abc"), min_size=1)
CLOSE = {"rtol": 0, "atol": 1e-12}


def brute_force(factors: list[Factor], letters: str) -> Tensor:
    """The product at every assignment of the letters, one dim a letter."""
    total = []
    for values in itertools.product(*(range(SIZES[letter]) for letter in letters)):
        index = dict(zip(letters, values, strict=True))
        total.append(sum(f.log_value[tuple(index[d] for d in f.dims)] for f in factors))
    return torch.stack(total).reshape([SIZES[letter] for letter in letters])


def random_factor(dims: str, generator: torch.Generator) -> Factor:
    value = torch.randn(*(SIZES[d] for d in dims), generator=generator, dtype=torch.float64)
    return Factor(value.requires_grad_(), dims)


def random_factors(groups: list[set[str]], order: list[str], seed: int) -> tuple[list[Factor], str]:
    generator = torch.Generator().manual_seed(seed)
    factors = [random_factor("".join(sorted(group, key=order.index)), generator) for group in groups]
    return factors, "".join(sorted({d for f in factors for d in f.dims}))


PROBLEM = given(
    groups=st.lists(LETTERS, min_size=1, max_size=4), order=st.permutations("abc"), seed=st.integers(0, 999)
)


@settings(max_examples=40, deadline=None)
@PROBLEM
def test_the_sum_and_its_gradient(groups: list[set[str]], order: list[str], seed: int) -> None:
    factors, held = random_factors(groups, order, seed)
    _, left = eliminate(factors, dict.fromkeys(order, NONE))
    assert all(f.dims == "" for f in left)
    total = sum(f.log_value for f in left)
    exact = brute_force(factors, held).logsumexp(list(range(len(held))))
    torch.testing.assert_close(total, exact, **CLOSE)
    leaves = [f.log_value for f in factors]
    found, expected = torch.autograd.grad(total, leaves), torch.autograd.grad(exact, leaves)
    torch.testing.assert_close(found, expected, **CLOSE)


@settings(max_examples=40, deadline=None)
@PROBLEM
def test_the_conditionals_multiply_to_the_joint(groups: list[set[str]], order: list[str], seed: int) -> None:
    factors, held = random_factors(groups, order, seed)
    steps, _ = eliminate(factors, dict.fromkeys(order, NONE))
    assert sorted(step.variable for step in steps) == list(held)
    exact = brute_force(factors, held)
    tuples = torch.tensor(list(itertools.product(*(range(SIZES[d]) for d in held))))
    values = {d: Factor(tuples[:, i], DRAWS) for i, d in enumerate(held)}
    terms = []

    def choose(variable: str, factor: Factor) -> Factor:
        log_p = factor.log_value.log_softmax(factor.dims.index(variable))
        terms.append(at(Factor(log_p, factor.dims), {variable: values[variable]}).log_value)
        return values[variable]

    trace_back(steps, choose)
    torch.testing.assert_close(sum(terms), exact.flatten().log_softmax(0), **CLOSE)


@settings(max_examples=40, deadline=None)
@PROBLEM
def test_the_mode(groups: list[set[str]], order: list[str], seed: int) -> None:
    factors, held = random_factors(groups, order, seed)
    steps, left = eliminate(factors, dict.fromkeys(order, NONE), torch.amax)
    exact = brute_force(factors, held)
    torch.testing.assert_close(sum(f.log_value for f in left), exact.max(), **CLOSE)
    values = trace_back(steps, largest)
    assert exact[tuple(values[d].log_value for d in held)] == exact.max()


@settings(max_examples=40, deadline=None)
@given(
    groups=st.lists(LETTERS, min_size=1, max_size=4),
    terms=st.lists(LETTERS, min_size=1, max_size=3),
    order=st.permutations("abc"),
    seed=st.integers(0, 999),
)
def test_expectations(groups: list[set[str]], terms: list[set[str]], order: list[str], seed: int) -> None:
    """Of any terms under any distribution, though the elimination is not of normalised factors."""
    factors, _ = random_factors([*groups, set("abc")], order, seed)
    values, _ = random_factors(terms, order, seed + 1)
    steps, _ = eliminate(factors, dict.fromkeys(order, NONE))
    mean = sum(f.log_value for f in expectation(steps, values, dict.fromkeys(order, NONE)))
    weights = brute_force(factors, "abc").flatten().softmax(0).reshape(2, 3, 2)
    exact = sum((weights * spread(term, "abc")).sum() for term in values)
    torch.testing.assert_close(mean, exact, **CLOSE)
    leaves = [f.log_value for f in [*factors, *values]]
    found, expected = torch.autograd.grad(mean, leaves), torch.autograd.grad(exact, leaves)
    torch.testing.assert_close(found, expected, **CLOSE)


# --- plates -----------------------------------------------------------------------------------------


def test_factors_in_a_plate_multiply_before_a_variable_outside_is_summed() -> None:
    prior = torch.randn(2, dtype=torch.float64)
    terms = torch.randn(3, 2, dtype=torch.float64)  # a plate y of 3, a variable a of 2
    (left,) = eliminate([Factor(prior, "a"), Factor(terms, "ya")], {"a": NONE}).left
    assert left.dims == ""
    torch.testing.assert_close(left.log_value, (prior + terms.sum(0)).logsumexp(0))


def test_a_variable_inside_a_plate_keeps_the_plate() -> None:
    terms = torch.randn(3, 2, dtype=torch.float64)
    (left,) = eliminate([Factor(terms, "ya")], {"a": frozenset("y")}).left
    assert left.dims == "y"
    torch.testing.assert_close(left.log_value, terms.logsumexp(-1))


def test_variables_inside_plates_go_first() -> None:
    assert elimination_order([], {"a": NONE, "b": frozenset("xy"), "c": frozenset("x")}) == ["b", "c", "a"]


def test_crossed_plates_have_no_order() -> None:
    factors = [Factor(torch.randn(2, 3, 2, 3), "abxy")]
    with pytest.raises(CrossedPlates) as fault:
        eliminate(factors, {"a": frozenset("x"), "b": frozenset("y")})
    assert fault.value.variables == ("a", "b")


def test_means_need_no_order_over_crossed_plates() -> None:
    """E over independent a[x] and b[y] of sum over x and y of h(a[x], b[y], x, y)."""
    p, q = torch.randn(2, 2).log_softmax(-1), torch.randn(3, 3).log_softmax(-1)
    h = torch.randn(2, 3, 2, 3)
    plates = {"a": frozenset("x"), "b": frozenset("y")}
    steps, _ = eliminate([Factor(p, "xa"), Factor(q, "yb")], plates)
    mean = sum(f.log_value.sum() for f in expectation(steps, [Factor(h, "abxy")], plates))
    torch.testing.assert_close(mean, torch.einsum("xa,yb,abxy->", p.exp(), q.exp(), h))


# --- order ------------------------------------------------------------------------------------------


def test_a_chain_goes_in_program_order() -> None:
    pairs = [Factor(torch.zeros(()), a + b) for a, b in itertools.pairwise("abcdefgh")]
    assert "".join(elimination_order(pairs, dict.fromkeys("abcdefgh", NONE))) == "abcdefgh"


def test_what_much_depends_on_waits() -> None:
    star = [Factor(torch.zeros(()), "a" + other) for other in "bcdefgh"]
    assert elimination_order(star, dict.fromkeys("abcdefgh", NONE))[-2:] == ["a", "h"]
    ladder = [Factor(torch.zeros(()), "z" + a + b) for a, b in itertools.pairwise("abcdefgh")]
    assert "".join(elimination_order(ladder, dict.fromkeys("zabcdefgh", NONE)))[:6] == "abcdef"


def test_a_sum_ties_its_neighbours() -> None:
    """A ring: with a gone, p and s are neighbours, and have no fewer than q."""
    ring = [Factor(torch.zeros(()), pair) for pair in ("ap", "pq", "qr", "rs", "sa")]
    assert "".join(elimination_order(ring, dict.fromkeys("aqprs", NONE))) == "aqprs"


def test_a_variable_that_no_factor_holds_leaves_them_alone() -> None:
    factor = Factor(torch.zeros(2), "y")
    steps, left = eliminate([factor], {"b": NONE})
    assert steps == []
    assert left[0] is factor


# --- infinities -------------------------------------------------------------------------------------


def test_what_cannot_be_adds_nothing_to_a_mean() -> None:
    """Neither at a value of probability zero, nor through a value that is worth minus infinity there."""
    p = torch.tensor([0.3, 0.7, 0.0], dtype=torch.float64).log().requires_grad_()
    q = torch.tensor([0.0, 1.0], dtype=torch.float64).log().requires_grad_()
    h = torch.zeros(3, 2, dtype=torch.float64)
    h[:, 0], h[2, :], h[0, 1] = -torch.inf, torch.inf, 2.0
    plates = {"b": NONE, "a": NONE}
    steps, _ = eliminate([Factor(p, "b"), Factor(q, "a")], plates)
    (mean,) = expectation(steps, [Factor(h, "ba")], plates)
    torch.testing.assert_close(mean.log_value.detach(), torch.tensor(0.6, dtype=torch.float64))
    for gradient in torch.autograd.grad(mean.log_value, [p, q]):
        assert gradient.isfinite().all()


def test_a_mean_of_minus_infinity() -> None:
    h = torch.tensor([-torch.inf, 1.0])
    steps, _ = eliminate([Factor(torch.tensor([0.5, 0.5]).log(), "a")], {"a": NONE})
    (mean,) = expectation(steps, [Factor(h, "a")], {"a": NONE})
    assert mean.log_value == -torch.inf


def test_an_impossible_chain_is_minus_infinity() -> None:
    never = torch.full((2, 2), -torch.inf, requires_grad=True)
    value = torch.randn(2, requires_grad=True)
    _, (left,) = eliminate([Factor(value, "a"), Factor(never, "ab")], {"a": NONE, "b": NONE})
    total = infinite(left.log_value)
    assert total == -torch.inf
    for gradient in torch.autograd.grad(total, [value, never]):
        assert (gradient == 0).all()


# --- draws ------------------------------------------------------------------------------------------


def test_draws_differ_by_draw_and_by_element() -> None:
    """A fair coin that knows nothing of its plate is tossed anew for each element and draw."""
    coin = Factor(torch.zeros(2, dtype=torch.float64), "a")
    choose = drawn({"a": frozenset("x")}, {"x": 50, DRAWS: 40})
    value, dims = trace_back(eliminate([coin], {"a": frozenset("x")}).steps, choose)["a"]
    assert dims == DRAWS + "x"
    assert value.shape == (40, 50)
    # The chance that 40 coins, or 50, fall alike: rows and columns 90 times 2^-39.
    assert all(0 < int(row.sum()) < len(row) for row in [*value, *value.T])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_noise_is_gumbel(dtype: torch.dtype) -> None:
    """The share of draws of each value; with this seed within 4 standard errors (chance 1 - 3e-4)."""
    p = torch.tensor([0.05, 0.0, 0.6, 0.35], dtype=dtype)
    K = 40_000
    choose = drawn({"a": NONE}, {DRAWS: K})
    share = torch.bincount(choose("a", Factor(p.log(), "a")).log_value, minlength=4) / K
    assert share[1] == 0
    for found, true in zip(share.tolist(), p.tolist(), strict=True):
        assert abs(found - true) <= 4 * math.sqrt(true * (1 - true) / K)
