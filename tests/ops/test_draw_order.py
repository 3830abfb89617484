"""The order of draws without replacement, against every order written out in exact fractions."""

import itertools
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from hardpp.ops.draw_order import MOST, first_and_second

CLOSE = {"rtol": 0, "atol": 1e-12}


def normal(*shape: int, spread: float = 1.0) -> Tensor:
    return spread * torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def by_orders(p: list[Fraction], chosen: list[int]) -> tuple[Tensor, Tensor]:
    """`first` and `second` of the values `chosen` of a distribution, from the probability of every order."""
    orders = {}
    for order in itertools.permutations(range(len(chosen))):
        probability = left = Fraction(1)
        for k in order:
            probability, left = probability * p[chosen[k]] / left, left - p[chosen[k]]
        orders[order] = probability
    together, every = sum(orders.values()), range(len(chosen))
    starts = [sum(q for order, q in orders.items() if order[0] == k) for k in every]
    first = [float(each / together) for each in starts]
    second = [
        [
            float(p[chosen[k]])
            if j == k
            else float((1 - p[chosen[k]]) * sum(q for o, q in orders.items() if o[:2] == (k, j)) / starts[k])
            for j in every
        ]
        for k in every
    ]
    return torch.tensor(first, dtype=torch.float64), torch.tensor(second, dtype=torch.float64)


SPREADS: dict[str, Callable[[], Tensor]] = {
    "even": lambda: normal(30, 6, spread=0.1),
    "usual": lambda: normal(30, 6),
    "peaked": lambda: normal(30, 6, spread=6.0),
    "very peaked": lambda: normal(30, 6, spread=25.0),
}


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("K", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("likeliest", [True, False])
def test_every_order_in_fractions(K: int, spread: str, likeliest: bool) -> None:
    """Of the likeliest values, and of the first ones."""
    log_p = SPREADS[spread]().log_softmax(-1)
    for row in log_p:
        chosen = row.topk(K).indices.tolist() if likeliest else list(range(K))
        exact = [Fraction(float(q)) for q in row.exp()]
        p = [q / sum(exact) for q in exact]
        first, second = first_and_second(row[chosen])
        expected_first, expected_second = by_orders(p, chosen)
        assert_close(first, expected_first, **CLOSE)
        assert_close(second, expected_second, **CLOSE)


@pytest.mark.parametrize("K", [2, 5, MOST])
def test_instances_lie_side_by_side_and_all_adds_up_to_one(K: int) -> None:
    log_p = normal(20, 3, 2).log_softmax(0)[:K]
    first, second = first_and_second(log_p)
    assert first.shape == (K, 3, 2)
    assert second.shape == (K, K, 3, 2)
    one = torch.ones(3, 2, dtype=torch.float64)
    assert_close(first.sum(0), one, **CLOSE)
    assert_close(second.sum(1), one.expand(K, 3, 2), **CLOSE)
    assert_close(second.diagonal().movedim(-1, 0), log_p.exp(), **CLOSE)
    for i, j in itertools.product(range(3), range(2)):
        alone = first_and_second(log_p[:, i, j])
        assert_close(first[:, i, j], alone[0], **CLOSE)
        assert_close(second[..., i, j], alone[1], **CLOSE)


def test_values_that_are_missing_leave_a_smaller_set() -> None:
    log_p = normal(4, 3).log_softmax(0)[:3]
    few = torch.cat([log_p[:1], torch.full_like(log_p[:1], -torch.inf), log_p[1:]])
    rows = torch.tensor([0, 2, 3])
    first, second = first_and_second(few)
    expected_first, expected_second = first_and_second(log_p)
    assert_close(first[rows], expected_first, **CLOSE)
    assert_close(second[rows][:, rows], expected_second, **CLOSE)
    assert (first[1] == 0).all()
    assert (second[rows, 1] == 0).all()
    assert second.isfinite().all()


@pytest.mark.parametrize("K", [1, 2, 4])
def test_a_set_of_all_there_is_has_the_weights_of_the_sum(K: int) -> None:
    log_p = normal(K, 3).log_softmax(0)
    more = torch.cat([log_p, log_p.new_full((2, 3), -torch.inf)])
    for given in (log_p, more):
        first, second = first_and_second(given)
        assert_close(first, given.exp(), **CLOSE)
        assert_close(second[:K], given.exp().expand(K, *given.shape), **CLOSE)


def test_probabilities_that_no_float_holds() -> None:
    """Of sequences so unlikely that the rest is all, each may as well have come first."""
    log_p = torch.tensor([-1000.0, -1000.0, -2000.0], dtype=torch.float64)
    first, second = first_and_second(log_p)
    assert_close(first, torch.ones(3, dtype=torch.float64) / 3, **CLOSE)
    assert_close(second.sum(1), torch.ones(3, dtype=torch.float64), **CLOSE)
    certain = torch.tensor([0.0, -1000.0], dtype=torch.float64)
    first, second = first_and_second(certain)
    assert_close(first, torch.tensor([1.0, 0.0], dtype=torch.float64), **CLOSE)
    assert_close(second, torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64), **CLOSE)


def test_rounding_may_make_more_than_one_of_all() -> None:
    first, second = first_and_second(torch.tensor([0.6, 0.4 + 1e-4, 0.0]).log())
    assert_close(first.sum(), torch.ones((), dtype=torch.float64), **CLOSE)
    assert_close(second.sum(1), torch.ones(3, dtype=torch.float64), **CLOSE)


def test_single_precision_is_as_right_as_its_probabilities() -> None:
    log_p = normal(6, 50, spread=3.0).log_softmax(0)[:4]
    single = first_and_second(log_p.float())
    for found, expected in zip(single, first_and_second(log_p), strict=True):
        assert found.dtype == torch.float64
        assert_close(found, expected, rtol=0, atol=1e-6)
