"""Mixtures of which only the terms that count are normalised, against all of them."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from hardpp.ops.pruned_mixture import pruned_mixture_terms

H, V = 4, 50
DOUBLE = torch.float64
ROW = V * 8  # bytes of one row of probabilities
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-11}
SHAPES = [((6, 3, 5), -3), ((6, 5), -2), ((6,), -1), ((6, 1, 3, 5), -4), ((3, 6, 5), -2), ((1, 3, 5), -3)]
ROOMS = {
    "all kept": {},
    "some kept": {"chunk_bytes": 3 * ROW, "kept_bytes": 25 * ROW},
    "none kept": {"chunk_bytes": ROW, "kept_bytes": 0},
}


class Mixtures:
    """Random ones, weights as peaked as asked for."""

    def __init__(self, shape: tuple[int, ...], dim: int, sharpness: float):
        normal = torch.Generator().manual_seed(3)
        tensors = (torch.randn(*s, generator=normal, dtype=DOUBLE) for s in ((*shape, H), (V, H), (V,)))
        self.features, self.weight, self.bias = (t.mul_(1.5).requires_grad_() for t in tensors)
        one = [1 if d == len(shape) + dim else size for d, size in enumerate(shape)]
        self.value = torch.randint(V, one, generator=normal)
        scores = torch.randn(shape, generator=normal, dtype=DOUBLE) * sharpness
        self.log_weight, self.dim, self.shape = scores.log_softmax(dim), dim, shape

    @property
    def parameters(self) -> list[Tensor]:
        return [self.features, self.weight, self.bias]

    def every_term(self) -> Tensor:
        log_probs = (self.features @ self.weight.T + self.bias).log_softmax(-1)
        return log_probs.gather(-1, self.value.expand(self.shape).unsqueeze(-1)).squeeze(-1)

    def terms(self, tolerance: float, **options: Any) -> Tensor:
        return pruned_mixture_terms(
            *self.parameters, self.value, self.log_weight, self.dim, tolerance=tolerance, **options
        )

    def log_p(self, terms: Tensor) -> Tensor:
        return (self.log_weight + terms).logsumexp(self.dim)


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("tolerance", [0.0, 1e-300])
@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_without_tolerance_it_is_every_term(
    shape: tuple[int, ...], dim: int, tolerance: float, room: str
) -> None:
    mixtures = Mixtures(shape, dim, 2.0)
    found, expected = mixtures.terms(tolerance, negligible=0.0, **ROOMS[room]), mixtures.every_term()
    torch.testing.assert_close(found, expected, **CLOSE)
    gradient = torch.randn(shape, generator=torch.Generator().manual_seed(4), dtype=DOUBLE)
    for ours, theirs in zip(
        torch.autograd.grad(found, mixtures.parameters, gradient),
        torch.autograd.grad(expected, mixtures.parameters, gradient),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("tolerance", [1e-9, 1e-6, 1e-3, 0.1])
@pytest.mark.parametrize("sharpness", [0.0, 3.0, 30.0])
@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_the_marginal_is_too_low_by_no_more_than_the_tolerance(
    shape: tuple[int, ...], dim: int, sharpness: float, tolerance: float, room: str
) -> None:
    mixtures = Mixtures(shape, dim, sharpness)
    found, expected = mixtures.terms(tolerance, negligible=0.0, **ROOMS[room]), mixtures.every_term()
    there = found > -torch.inf
    torch.testing.assert_close(found[there], expected[there], **CLOSE)
    low = mixtures.log_p(expected) - mixtures.log_p(found)
    assert low.min() >= -1e-12
    assert low.max() <= tolerance
    # A row's gradient is its posterior times at most |d logits|_1 = 2 entries of weight or feature.
    size = max(float(t.detach().abs().max()) for t in mixtures.parameters)
    for ours, theirs in zip(
        torch.autograd.grad(mixtures.log_p(found).sum(), mixtures.parameters),
        torch.autograd.grad(mixtures.log_p(expected).sum(), mixtures.parameters),
        strict=True,
    ):
        assert (ours - theirs).abs().max() <= 40 * tolerance * math.prod(shape) * max(size, 1.0)


@pytest.mark.parametrize("tolerance", [0.0, 1e-6, 1e-3, 0.1])
@pytest.mark.parametrize("sharpness", [0.0, 3.0, 30.0])
@pytest.mark.parametrize(("shape", "dim"), SHAPES)
def test_the_mean_is_off_by_no_more_than_the_tolerance(
    shape: tuple[int, ...], dim: int, sharpness: float, tolerance: float
) -> None:
    mixtures = Mixtures(shape, dim, sharpness)
    found, expected = mixtures.terms(tolerance, average=True), mixtures.every_term()
    means = [(mixtures.log_weight.exp() * terms).sum(dim) for terms in (found, expected)]
    assert (means[0] - means[1]).abs().max() <= max(tolerance, 1e-12)
    if sharpness == 30.0 and tolerance and shape[dim] > 1:
        assert (found == 0).any()


# --- how much work it is -----------------------------------------------------------------------------


class Products(TorchDispatchMode):
    """Counts the rows of logits that are formed, and what is read off the device."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.means, self.reads = 0, 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name == "addmm" and out.shape[-1] == V:
            self.rows += len(out)
        if name == "mm" and args[0].shape[-1] == V and out.shape == (len(args[0]), H):
            self.means += len(out)
        self.reads += name == "_local_scalar_dense"
        return out


@pytest.mark.parametrize("average", [False, True])
def test_each_term_is_normalised_once(average: bool) -> None:
    flat = Mixtures((6, 3, 5), -3, 0.0)
    with Products() as work:
        found = flat.terms(1e-300, average=average, negligible=0.0)
    assert work.rows == work.means == 90  # the gradients of the features, or a tangent, for every row
    sums = (flat.log_weight.exp() * found).sum(-3) if average else flat.log_p(found)
    with Products() as again:
        (3.0 * sums.sum()).backward()
    assert again.rows == again.means == 0
    assert again.reads == 1


def test_other_gradients_than_foreseen_are_formed_anew() -> None:
    """One mixture counts twice: kept are the terms of largest weight."""
    flat = Mixtures((6, 3, 5), -3, 0.0)
    found = flat.terms(1e-300, negligible=0.0)
    factor = torch.ones(3, 5, dtype=DOUBLE)
    factor[1, 1] = 2.0
    with Products() as again:
        ours = torch.autograd.grad((factor * flat.log_p(found)).sum(), flat.parameters)
    assert (again.rows, again.means) == (75, 75)
    total = (factor * flat.log_p(flat.every_term())).sum()
    for g, exact in zip(ours, torch.autograd.grad(total, flat.parameters), strict=True):
        torch.testing.assert_close(g, exact, **CLOSE)


def test_peaked_weights_leave_one_term() -> None:
    peaked = Mixtures((6, 3, 5), -3, 0.0)
    peaked.log_weight = torch.full((6, 3, 5), -100.0, dtype=DOUBLE)
    peaked.log_weight[2] = 0.0
    with Products() as work:
        found = peaked.terms(1e-6)
        peaked.log_p(found).sum().backward()
    assert (work.rows, work.means) == (15, 15)
    assert (found[2] > -torch.inf).all()
    assert (found[[0, 1, 3, 4, 5]] == -torch.inf).all()


def test_nothing_is_added_up_where_nobody_learns() -> None:
    flat = Mixtures((6, 3, 5), -3, 0.0)
    with torch.no_grad(), Products() as work:
        found = flat.terms(1e-300)
    assert (work.rows, work.means) == (90, 15)
    torch.testing.assert_close(found, flat.every_term().detach(), **CLOSE)


def test_tangents_of_neighbours_find_terms_that_cannot_say_the_symbol() -> None:
    """Flat weights: step t prefers position t a little, and position s is sure of symbol s."""
    mixtures = Mixtures((4, 1, 4), -3, 0.0)
    same = torch.eye(4, dtype=DOUBLE).unsqueeze(1)  # (S, 1, T)
    mixtures.log_weight = (0.1 * same).log_softmax(0)
    with torch.no_grad():
        mixtures.features.zero_().copy_(torch.eye(4, dtype=DOUBLE)[:, None, None].expand(4, 1, 4, 4))
        mixtures.weight.zero_()
        mixtures.weight[:4] = 40 * torch.eye(4, dtype=DOUBLE)
        mixtures.bias.zero_()
    mixtures.value = torch.arange(4).reshape(1, 1, 4)
    with Products() as work:
        found = mixtures.terms(1e-6)
    assert work.rows == 4
    assert torch.equal(found > -torch.inf, same > 0)


def test_impossible_terms_are_not_looked_at() -> None:
    mixtures = Mixtures((6, 3, 5), -3, 1.0)
    ruled_out = torch.zeros(6, 3, 5, dtype=torch.bool)
    ruled_out[4:] = ruled_out[:, 2] = True  # whole mixtures, too
    mixtures.log_weight = mixtures.log_weight.masked_fill(ruled_out, -torch.inf)
    expected = mixtures.every_term().detach()
    with torch.no_grad():
        mixtures.features[ruled_out] = torch.nan
    with Products() as work:
        found = mixtures.terms(1e-300)
    assert (found[ruled_out] == -torch.inf).all()
    torch.testing.assert_close(found[~ruled_out], expected[~ruled_out], **CLOSE)
    assert work.rows <= (~ruled_out).sum()
    found[~ruled_out].sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in mixtures.parameters)


def test_a_term_that_is_no_number_is_not_hidden() -> None:
    mixtures = Mixtures((6, 3, 5), -3, 0.0)
    with torch.no_grad():
        mixtures.features[1, 0, 0] = torch.nan
    log_p = mixtures.log_p(mixtures.terms(1e-6))
    assert log_p[0, 0].isnan()
    assert log_p.isfinite().sum() == 14


def test_impossible_symbols() -> None:
    mixtures = Mixtures((6, 3, 5), -3, 0.0)
    with torch.no_grad():
        mixtures.bias[mixtures.value[0, 0, 0]] = -torch.inf
    never = mixtures.value == mixtures.value[0, 0, 0]
    found = mixtures.log_p(mixtures.terms(1e-6))
    assert torch.equal(found == -torch.inf, never[0])
    mean = mixtures.terms(1e-6, average=True)
    assert torch.equal(mean == -torch.inf, never.expand(6, 3, 5))


@pytest.mark.parametrize("features", [(6, 1, 1), (1, 3, 5)])
def test_rows_of_several_mixtures_are_all_there(features: tuple[int, ...]) -> None:
    mixtures = Mixtures(features, -3, 0.0)
    value = torch.randint(V, (3, 5))
    log_weight = torch.full((6, 3, 5), -100.0, dtype=DOUBLE)
    log_weight[0] = 0.0
    found = pruned_mixture_terms(*mixtures.parameters, value, log_weight, -3, tolerance=1e-3)
    logits = mixtures.features @ mixtures.weight.T + mixtures.bias
    shape = torch.broadcast_shapes(features, value.shape)
    expected = logits.log_softmax(-1).expand(*shape, V).gather(-1, value.expand(shape).unsqueeze(-1))
    torch.testing.assert_close(found, expected.squeeze(-1), **CLOSE)


@pytest.mark.parametrize("autocast", [False, True])
def test_narrow_products(autocast: bool) -> None:
    """Integers that bfloat16 holds exactly."""
    mixtures = Mixtures((6, 3, 5), -3, 3.0)
    with torch.no_grad():
        for parameter in mixtures.parameters:
            parameter.round_()
    expected = mixtures.log_p(mixtures.every_term())
    given = torch.float32 if autocast else torch.bfloat16
    for name in ("features", "weight", "bias"):
        setattr(mixtures, name, getattr(mixtures, name).detach().to(given).requires_grad_())
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = mixtures.terms(1e-6)
    assert found.dtype == torch.float32
    torch.testing.assert_close(mixtures.log_p(found), expected, rtol=0, atol=1e-5)
    gradients = torch.autograd.grad(mixtures.log_p(found).sum(), mixtures.parameters)
    exact = Mixtures((6, 3, 5), -3, 3.0)
    with torch.no_grad():
        for parameter in exact.parameters:
            parameter.round_()
    for ours, theirs in zip(
        gradients, torch.autograd.grad(exact.log_p(exact.every_term()).sum(), exact.parameters), strict=True
    ):
        assert ours.dtype == given
        torch.testing.assert_close(ours.double(), theirs, rtol=2**-6, atol=0.05)
