"""Means over the other particles, and held-out bounds, against the sums written out in float64."""

from collections.abc import Callable
from math import log

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from hardpp.ops.leave_one_out import (
    held_out_bound,
    log_geometric_mean_of_others,
    log_mean_of_others,
    log_sum_of_others,
    mean_of_all_others,
    mean_of_others,
)

NEVER = -torch.inf


def weights(K: int, *shape: int, spread: float = 20.0) -> Tensor:
    """Log weights over some sixty nats, whose largest are not in one place."""
    return spread * torch.randn(K, *shape, generator=torch.Generator().manual_seed(K), dtype=torch.float64)


def some_impossible(K: int) -> Tensor:
    log_weights = weights(K, 5)
    log_weights[0, 0] = NEVER
    log_weights[: K // 2, 1] = NEVER
    log_weights[1:, 2] = NEVER
    log_weights[:-1, 3] = NEVER
    log_weights[:, 4] = NEVER
    return log_weights


WEIGHTS: dict[str, Callable[[int], Tensor]] = {
    "spread": lambda K: weights(K, 3, 2),
    "close": lambda K: weights(K, 3, spread=1e-3),
    "equal": lambda K: torch.full((K, 2), -3.0, dtype=torch.float64),
    "far-down": lambda K: weights(K, 3) - 1e4,
    "impossible": some_impossible,
}
every_weights = pytest.mark.parametrize("make", WEIGHTS.values(), ids=WEIGHTS)
every_number = pytest.mark.parametrize("K", [2, 3, 8, 65, 256])


def others(log_weights: Tensor, k: int) -> Tensor:
    return torch.stack([row for j, row in enumerate(log_weights.double()) if j != k])


def rows(of: Callable[[Tensor, int], Tensor], log_weights: Tensor) -> Tensor:
    return torch.stack([of(log_weights, k) for k in range(len(log_weights))])


@every_weights
@every_number
def test_means_of_others(K: int, make: Callable[[int], Tensor]) -> None:
    log_weights = make(K)
    total = rows(lambda w, k: others(w, k).logsumexp(0), log_weights)
    close = {"rtol": 1e-13, "atol": 1e-11}
    assert_close(log_sum_of_others(log_weights), total, **close)
    assert_close(log_mean_of_others(log_weights), total - log(K - 1), **close)
    geometric = rows(lambda w, k: others(w, k).mean(0), log_weights)
    assert_close(log_geometric_mean_of_others(log_weights), geometric, **close)


@every_weights
@every_number
def test_held_out_bound(K: int, make: Callable[[int], Tensor]) -> None:
    log_weights = make(K)
    stand_in = log_weights.roll(1, -1).unsqueeze(-1) + torch.tensor([-40.0, 0.0, NEVER, 40.0]).double()
    expected = torch.stack(
        [
            (torch.cat([others(log_weights, k), stand_in[k, ..., n].unsqueeze(0)]).logsumexp(0) - log(K))
            for k in range(K)
            for n in range(4)
        ]
    )
    expected = expected.unflatten(0, (K, 4)).movedim(1, -1)
    by_stage = held_out_bound(log_weights, stand_in)
    assert_close(by_stage, expected, rtol=1e-13, atol=1e-11)
    assert_close(held_out_bound(log_weights, stand_in[..., 1]), by_stage[..., 1], rtol=0, atol=0)


def test_one_large_weight_leaves_the_small_ones_exact() -> None:
    """log(e^-30 + e^-31 + e^-32) = -29.59; had by subtraction from 1 it would be -inf, in float64 too."""
    log_weights = torch.tensor([0.0, -30.0, -31.0, -32.0])
    expected = torch.tensor([-30.0, -31.0, -32.0]).double().logsumexp(0)
    assert abs(float(expected) + 29.592394) < 1e-6
    out = log_sum_of_others(log_weights)
    assert_close(out[0].double(), expected, rtol=2e-7, atol=0)
    assert (out[1:] >= 0).all()
    ahead = held_out_bound(log_weights, torch.full_like(log_weights, NEVER))
    assert_close(ahead[0].double(), expected - log(4), rtol=2e-7, atol=0)


@pytest.mark.parametrize("K", [2, 8, 256])
def test_float32(K: int, device: torch.device) -> None:
    """Of weights a thousand nats down float32 keeps a grid of 2^-14: four roundings on it are allowed."""
    exact = weights(K, 4) - 1e3
    log_weights = exact.float().to(device)
    out = log_sum_of_others(log_weights)
    assert out.dtype == torch.float32
    expected = rows(lambda w, k: others(w, k).logsumexp(0), log_weights.cpu())
    assert_close(out.cpu().double(), expected, rtol=0, atol=4 * 2**-14)


def test_there_are_no_others_of_one() -> None:
    assert (log_sum_of_others(weights(1, 3)) == NEVER).all()


@pytest.mark.parametrize("shift", [0.0, -1e6])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-9), (torch.float32, 0.125)])
@pytest.mark.parametrize("shape", [(2,), (3, 2), (5, 1, 4)])
def test_mean_of_others(shape: tuple[int, ...], dtype: torch.dtype, close: float, shift: float) -> None:
    """In float32 a shift of a million leaves a grid of 1/16: two roundings on it are allowed."""
    terms = torch.randn(shape, dtype=torch.float64).to(dtype) + shift
    rows = range(shape[0])
    expected = torch.stack([torch.stack([terms[j].double() for j in rows if j != k]).mean(0) for k in rows])
    assert_close(mean_of_others(terms).double(), expected, rtol=0, atol=close)


@pytest.mark.parametrize("K", [2, 3, 8])
def test_equal_rows_leave_no_signal(K: int) -> None:
    terms = torch.full((K, 3), -1e6)
    assert (terms - mean_of_others(terms) == 0).all()


def test_a_row_does_not_enter_its_own_mean() -> None:
    terms = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(mean_of_others(terms)[1].sum(), [terms])
    expected = torch.tensor([[0.5, 0.5], [0.0, 0.0], [0.5, 0.5]], dtype=torch.float64)
    assert_close(gradient, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3, 2), (3, 2), (3, 1, 2), (2, 2, 3, 2)])
def test_a_mean_over_all_others_is_written_out(shape: tuple[int, ...], beside: bool) -> None:
    """Shapes are (K, *I, N): the last dim is not averaged over."""
    generator = torch.Generator().manual_seed(len(shape))
    terms = 10 * torch.randn(shape, generator=generator, dtype=torch.float64)
    counts = torch.rand(shape, generator=generator) < 0.7
    terms = terms.where(counts, -torch.inf)  # what does not count is not read
    expected = torch.zeros_like(terms)
    places = [tuple(place) for place in torch.ones(shape[:-1]).nonzero().tolist()]
    for own in places:
        for n in range(shape[-1]):
            other = [(*p, n) for p in places if (p != own if beside else p[0] != own[0]) and counts[(*p, n)]]
            expected[(*own, n)] = sum(float(terms[p]) for p in other) / max(len(other), 1)
    assert_close(mean_of_all_others(terms, counts, beside=beside), expected, rtol=0, atol=1e-12)


def test_a_large_common_part_is_not_lost_among_all_others() -> None:
    terms = -1e6 + torch.tensor([[[0.0], [0.25]], [[0.5], [1.0]]])
    mean = mean_of_all_others(terms, torch.ones((), dtype=torch.bool))
    expected = (terms.double().sum() - terms.double()) / 3
    assert_close(mean.double(), expected, rtol=0, atol=0.07)  # half a unit of the last place


def test_counts_are_for_all_stages_where_they_have_one() -> None:
    terms = torch.tensor([[[1.0, 10.0]], [[2.0, 20.0]], [[4.0, 40.0]]])
    counts = torch.tensor([[[True]], [[False]], [[True]]])
    expected = torch.tensor([[[4.0, 40.0]], [[2.5, 25.0]], [[1.0, 10.0]]])
    assert_close(mean_of_all_others(terms, counts), expected)
