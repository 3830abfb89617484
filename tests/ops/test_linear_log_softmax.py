"""The chunked op against log_softmax of all logits: values, gradients, and how much work it does."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from hardpp.ops.linear_log_softmax import linear_draws, linear_log_probs, linear_log_softmax

H, V = 3, 7
DOUBLE = torch.float64
ROW = V * 8  # bytes of one row of logits
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-12}

# The leading dims of features and of value.
SHAPES = [
    ((), ()),
    ((5,), (5,)),
    ((1,), (6,)),
    ((), (2, 3)),
    ((4, 1, 1), (2, 3)),
    ((4, 2, 3), (2, 3)),
    ((2, 3), (4, 2, 3)),
    ((4, 1, 3), (5, 1, 2, 1)),
    ((2, 1), (1, 3)),
    ((0, 2), (2,)),
    ((2,), (0, 2)),
]


def inputs(leading: tuple[int, ...], shape: tuple[int, ...], device: torch.device) -> list[Tensor]:
    """Features, weight and bias that want gradients, and values."""
    generator = torch.Generator().manual_seed(1)
    sizes = ((*leading, H), (V, H), (V,))
    tensors = [torch.randn(*size, generator=generator, dtype=DOUBLE) * 2 for size in sizes]
    value = torch.randint(V, shape, generator=generator)
    return [t.to(device).requires_grad_() for t in tensors] + [value.to(device)]


def room(size: int) -> dict[str, int]:
    """As many bytes to work on at once as to keep."""
    return {"chunk_bytes": size, "kept_bytes": size}


def all_at_once(features: Tensor, weight: Tensor, bias: Tensor, value: Tensor) -> Tensor:
    shape = torch.broadcast_shapes(features.shape[:-1], value.shape)
    log_probs = (features @ weight.T + bias).log_softmax(-1).expand(*shape, len(weight))
    return log_probs.gather(-1, value.expand(shape).unsqueeze(-1)).squeeze(-1)


def random_gradient(out: Tensor) -> Tensor:
    return torch.randn(out.shape, generator=torch.Generator().manual_seed(2), dtype=out.dtype).to(out.device)


@pytest.mark.parametrize("rows", [1, 2, 100], ids=["a row", "two rows", "all rows"])
@pytest.mark.parametrize(("leading", "shape"), SHAPES)
def test_values_and_gradients(
    leading: tuple[int, ...], shape: tuple[int, ...], rows: int, device: torch.device
) -> None:
    *parameters, value = inputs(leading, shape, device)
    expected = all_at_once(*parameters, value)
    found = linear_log_softmax(*parameters, value, **room(rows * ROW), negligible=0.0)
    torch.testing.assert_close(found, expected, **CLOSE)
    gradient = random_gradient(expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, parameters, gradient),
        torch.autograd.grad(expected, parameters, gradient),
        **CLOSE,
    )


@pytest.mark.parametrize("chunk_bytes", [1, 10**6])
def test_gradcheck(chunk_bytes: int) -> None:
    *parameters, value = inputs((2, 1), (3, 1, 2), torch.device("cpu"))

    def run(*tensors: Tensor) -> Tensor:
        return linear_log_softmax(*tensors, value, **room(chunk_bytes), negligible=0.0)

    assert torch.autograd.gradcheck(run, parameters)


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2)])
@pytest.mark.parametrize("chunk_bytes", [2 * ROW, 10**6])
def test_only_the_gradients_that_are_wanted(wanted: tuple[int, ...], chunk_bytes: int) -> None:
    *parameters, value = inputs((5,), (5,), torch.device("cpu"))
    for i, parameter in enumerate(parameters):
        parameter.requires_grad_(i in wanted)
    found = linear_log_softmax(*parameters, value, **room(chunk_bytes), negligible=0.0)
    expected = all_at_once(*parameters, value)
    gradient = random_gradient(expected)
    found.backward(gradient)
    for i, parameter in enumerate(parameters):
        if i in wanted:
            (exact,) = torch.autograd.grad(expected, [parameter], gradient, retain_graph=True)
            torch.testing.assert_close(parameter.grad, exact, **CLOSE)
        else:
            assert parameter.grad is None


def test_nothing_wants_a_gradient() -> None:
    *parameters, value = inputs((5,), (5,), torch.device("cpu"))
    with torch.no_grad():
        assert not linear_log_softmax(*parameters, value).requires_grad
    frozen = [parameter.detach() for parameter in parameters]
    assert not linear_log_softmax(*frozen, value).requires_grad


@pytest.mark.parametrize("chunk_bytes", [ROW, 10**6])
def test_the_graph_can_be_used_twice(chunk_bytes: int) -> None:
    *parameters, value = inputs((5,), (5,), torch.device("cpu"))
    found = linear_log_softmax(*parameters, value, **room(chunk_bytes))
    first = torch.autograd.grad(found.sum(), parameters, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), parameters), first, rtol=0, atol=0)


@pytest.mark.parametrize("chunk_bytes", [ROW, 10**6])
def test_impossible_symbols(chunk_bytes: int) -> None:
    features, weight, bias, _ = inputs((4,), (4,), torch.device("cpu"))
    value = torch.tensor([0, 1, 2, 3])
    with torch.no_grad():
        bias[1] = bias[5] = -torch.inf
    parameters = [features, weight, bias]
    found = linear_log_softmax(*parameters, value, **room(chunk_bytes))
    assert found[1] == -torch.inf
    possible = torch.tensor([True, False, True, True])
    gradient = torch.autograd.grad(found[possible].sum(), parameters)
    exact = torch.autograd.grad(all_at_once(*parameters, value)[possible].sum(), parameters)
    assert all(g.isfinite().all() for g in gradient)
    torch.testing.assert_close(gradient, exact, **CLOSE)


# --- what is skipped ---------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk_bytes", [2 * ROW, 10**6])
@pytest.mark.parametrize(
    ("negligible", "dropped"),
    [(0.0, [1]), (0.029, [1]), (0.031, [1, 2]), (0.059, [1, 2]), (0.061, [1, 2, 4]), (1.0, [0, 1, 2, 3, 4])],
)
def test_rows_that_are_a_negligible_share_of_the_largest(
    negligible: float, dropped: list[int], chunk_bytes: int
) -> None:
    *parameters, value = inputs((5,), (5,), torch.device("cpu"))
    gradient = torch.tensor([-33.0, 0.0, 1.0, 33.0, -2.0], dtype=DOUBLE)
    check_dropped(parameters, value, gradient, negligible, dropped, chunk_bytes)


@pytest.mark.parametrize(
    ("negligible", "dropped"),
    [(0.01, []), (0.011, [0]), (0.02, [0, 2]), (0.03, [0, 2, 4]), (0.04, [0, 2, 4, 3])],
)
def test_rows_that_are_a_negligible_share_of_the_sum(negligible: float, dropped: list[int]) -> None:
    *parameters, value = inputs((5,), (5,), torch.device("cpu"))
    gradient = torch.tensor([1.01, -100.0, 1.02, -1.04, 1.03], dtype=DOUBLE)
    check_dropped(parameters, value, gradient, negligible, dropped, ROW)


def check_dropped(
    parameters: list[Tensor],
    value: Tensor,
    gradient: Tensor,
    negligible: float,
    dropped: list[int],
    chunk_bytes: int,
) -> None:
    """The gradients are those of `gradient` with the dropped rows set to zero, and of no other row."""
    kept = gradient.clone()
    kept[dropped] = 0.0
    found = linear_log_softmax(*parameters, value, **room(chunk_bytes), negligible=negligible)
    torch.testing.assert_close(
        torch.autograd.grad(found, parameters, gradient),
        torch.autograd.grad(all_at_once(*parameters, value), parameters, kept),
        **CLOSE,
    )


def test_a_row_counts_with_all_its_values() -> None:
    """Gradients that cancel in their sum still move the features."""
    *parameters, _ = inputs((2,), (2,), torch.device("cpu"))
    value = torch.tensor([[0, 1], [2, 3]])  # two values a row
    gradient = torch.tensor([[1.0, 1e-3], [-1.0, 1e-3]], dtype=DOUBLE)
    found = linear_log_softmax(*parameters, value, negligible=0.01)
    kept = gradient * torch.tensor([1.0, 0.0], dtype=DOUBLE)
    torch.testing.assert_close(
        torch.autograd.grad(found, parameters, gradient),
        torch.autograd.grad(all_at_once(*parameters, value), parameters, kept),
        **CLOSE,
    )


@pytest.mark.parametrize("chunk_bytes", [ROW, 10**6])
def test_rows_without_gradient_may_hold_anything(chunk_bytes: int) -> None:
    features, weight, bias, value = inputs((3,), (3,), torch.device("cpu"))
    with torch.no_grad():
        features[1] = torch.nan
    found = linear_log_softmax(features, weight, bias, value, **room(chunk_bytes), negligible=0.0)
    gradients = torch.autograd.grad(found[[0, 2]].sum(), [features, weight, bias])
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_bad_gradient_is_not_hidden(bad: float) -> None:
    features, weight, bias, value = inputs((3,), (3,), torch.device("cpu"))
    found = linear_log_softmax(features, weight, bias, value)
    gradient = torch.tensor([1.0, bad, 0.0], dtype=DOUBLE)
    d_features, d_weight, _ = torch.autograd.grad(found, [features, weight, bias], gradient)
    assert not d_features[1].isfinite().any()
    assert not d_weight.isfinite().all()


# --- how much work it is -----------------------------------------------------------------------------


class Work(TorchDispatchMode):
    """What the operators did: rows multiplied by the weight, the largest tensor made, host reads."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.largest, self.selections, self.reads = 0, 0, 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in ("addmm", "linear"):
            self.rows += out.shape[0]
        self.selections += name == "nonzero"
        self.reads += name in ("_local_scalar_dense", "item", "masked_select")
        if isinstance(out, Tensor) and out._base is None:
            self.largest = max(self.largest, out.numel())
        return out


@contextmanager
def counted() -> Iterator[Work]:
    with Work() as work:
        yield work


@pytest.mark.parametrize(
    ("leading", "shape", "products"),
    [((40,), (40,), 40), ((4, 1, 1), (2, 5), 4), ((2, 5), (4, 2, 5), 10), ((4, 2, 5), (2, 5), 40)],
)
def test_one_product_a_row_of_features_and_a_chunk_of_logits(
    leading: tuple[int, ...], shape: tuple[int, ...], products: int
) -> None:
    *parameters, value = inputs(leading, shape, torch.device("cpu"))
    with counted() as work:
        found = linear_log_softmax(*parameters, value, chunk_bytes=3 * ROW, kept_bytes=0)
    assert work.rows == products
    assert work.largest <= max(3 * V, products * H, math.prod(found.shape))
    assert work.selections == work.reads == 0
    with counted() as work:
        found.backward(torch.ones_like(found))
    assert work.rows == products
    assert work.largest <= max(3 * V, products * H, math.prod(found.shape))
    assert (work.selections, work.reads) == (1, 0)


def test_what_fits_into_one_chunk_is_not_formed_again() -> None:
    *parameters, value = inputs((5,), (5,), torch.device("cpu"))
    with counted() as work:
        found = linear_log_softmax(*parameters, value, **room(50 * ROW))
    assert work.largest == 5 * V
    with counted() as work:
        found.sum().backward()
    assert (work.rows, work.largest) == (0, 5 * V)
    assert (work.selections, work.reads) == (1, 0)


def test_skipped_rows_cost_no_product() -> None:
    *parameters, value = inputs((40,), (40,), torch.device("cpu"))
    found = linear_log_softmax(*parameters, value, chunk_bytes=3 * ROW, kept_bytes=0)
    gradient = torch.full((40,), 1e-9, dtype=DOUBLE)
    gradient[[3, 17, 18, 30]] = 1.0
    with counted() as work:
        found.backward(gradient)
    assert work.rows == 4


# --- precision ---------------------------------------------------------------------------------------


def small_integers(dtype: torch.dtype) -> list[Tensor]:
    """Inputs whose products bfloat16 holds exactly."""
    generator = torch.Generator().manual_seed(3)
    sizes = ((6, H), (V, H), (V,))
    tensors = [torch.randint(-3, 4, size, generator=generator).to(dtype) for size in sizes]
    return [t.requires_grad_() for t in tensors] + [torch.randint(V, (6,), generator=generator)]


@pytest.mark.parametrize("chunk_bytes", [1, 10**6])
@pytest.mark.parametrize("autocast", [False, True])
def test_half_width_products_full_width_softmax(autocast: bool, chunk_bytes: int) -> None:
    given = torch.float32 if autocast else torch.bfloat16
    *parameters, value = small_integers(given)
    *doubles, _ = small_integers(DOUBLE)
    expected = all_at_once(*doubles, value)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = linear_log_softmax(*parameters, value, **room(chunk_bytes), negligible=0.0)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-6)
    gradients = torch.autograd.grad(found.sum(), parameters)
    assert all(gradient.dtype == given for gradient in gradients)
    exact = torch.autograd.grad(expected.sum(), doubles)
    for gradient, reference in zip(gradients, exact, strict=True):
        # Each d logits is at most 1 and off by 2^-9 of itself, each feature at most 3; all sums in float32.
        torch.testing.assert_close(gradient.double(), reference, rtol=2**-7, atol=6 * 3 * 2**-9)


def test_half_width_gradients_add_up_at_full_width() -> None:
    """600 chunks, a half each: a bfloat16 sum would stop at 128."""
    features, weight, bias = (torch.zeros(size, dtype=torch.bfloat16) for size in ((600, 1), (2, 1), (2,)))
    parameters = [weight.requires_grad_(), bias.requires_grad_()]
    value = torch.zeros(600, dtype=torch.int64)
    found = linear_log_softmax(features + 1, *parameters, value, **room(1))
    for gradient in torch.autograd.grad(found.sum(), parameters):
        assert gradient.flatten().tolist() == [300, -300]


def test_autocast_uses_its_dtype_for_the_products() -> None:
    *parameters, value = inputs((6,), (6,), torch.device("cpu"))
    features, weight, bias = (parameter.detach().float() for parameter in parameters)
    with torch.autocast("cpu", torch.bfloat16):
        found = linear_log_softmax(features, weight, bias, value)
        logits = torch.nn.functional.linear(features, weight, bias)
        every = linear_log_probs(features, weight, bias)
    assert logits.dtype == torch.bfloat16
    expected = logits.float().log_softmax(-1)
    assert torch.equal(every, expected)
    chosen = expected.gather(1, value.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(found, chosen, rtol=0, atol=1e-6)


def test_autocast_leaves_float64_alone() -> None:
    *parameters, value = inputs((6,), (6,), torch.device("cpu"))
    with torch.autocast("cpu", torch.bfloat16):
        found = linear_log_softmax(*parameters, value)
    torch.testing.assert_close(found, all_at_once(*parameters, value), **CLOSE)


def test_mixed_dtypes_promote() -> None:
    features, weight, bias, value = inputs((6,), (6,), torch.device("cpu"))
    narrow = features.detach().bfloat16()
    found = linear_log_softmax(narrow, weight, bias.float(), value)
    torch.testing.assert_close(found, all_at_once(narrow.double(), weight, bias.float(), value), **CLOSE)


def test_float32_gradients_are_as_exact_as_the_whole_softmax() -> None:
    """Many rows: the default share that is skipped is no more than what float32 loses anyway."""
    generator = torch.Generator().manual_seed(4)
    features = torch.randn(400, 8, generator=generator, dtype=DOUBLE)
    weight = torch.randn(50, 8, generator=generator, dtype=DOUBLE)
    bias = torch.randn(50, generator=generator, dtype=DOUBLE)
    value = torch.randint(50, (20, 20), generator=generator).reshape(-1)
    prior = (torch.randn(20, 20, generator=generator, dtype=DOUBLE) * 6).log_softmax(-1)

    def gradients(run: Any, dtype: torch.dtype) -> list[Tensor]:
        leaves = [t.to(dtype).requires_grad_() for t in (features, weight, bias)]
        joint = prior.to(dtype) + run(*leaves, value).reshape(20, 20)
        return list(torch.autograd.grad(joint.logsumexp(-1).sum(), leaves))

    exact = gradients(all_at_once, DOUBLE)
    found = gradients(linear_log_softmax, torch.float32)
    for gradient, reference in zip(found, exact, strict=True):
        error = (gradient - reference).abs().max() / reference.abs().max()
        assert error < 2e-6


# --- draws and all symbols ---------------------------------------------------------------------------


def test_all_log_probs() -> None:
    features, weight, bias, _ = inputs((2, 3), (), torch.device("cpu"))
    found = linear_log_probs(features, weight, bias)
    torch.testing.assert_close(found, (features @ weight.T + bias).log_softmax(-1), **CLOSE)
    assert found.requires_grad


@pytest.mark.parametrize("chunk_bytes", [1, 2 * ROW, 10**6])
@pytest.mark.parametrize(
    ("leading", "shape"), [((5,), (5,)), ((5,), (4, 5)), ((2, 1), (3, 2, 4)), ((), ()), ((0,), (0,))]
)
def test_draws_of_certain_symbols(
    leading: tuple[int, ...], shape: tuple[int, ...], chunk_bytes: int, device: torch.device
) -> None:
    """Every row is sure of one symbol."""
    wanted = torch.randint(V, leading, generator=torch.Generator().manual_seed(5)).to(device)
    features = torch.nn.functional.one_hot(wanted, V).double()
    weight = torch.eye(V, dtype=DOUBLE, device=device) * 1e4
    bias = torch.zeros(V, dtype=DOUBLE, device=device)
    draws = linear_draws(features, weight, bias, shape, chunk_bytes=chunk_bytes)
    assert torch.equal(draws, wanted.expand(shape))


def test_draws_are_those_of_a_multinomial() -> None:
    features, weight, bias, _ = inputs((5,), (), torch.device("cpu"))
    torch.manual_seed(6)
    found = linear_draws(features, weight, bias, (300, 5))
    torch.manual_seed(6)
    probs = (features @ weight.T + bias).softmax(-1)
    assert torch.equal(found, probs.multinomial(300, replacement=True).T)
    assert not found.requires_grad


def test_repeated_rows_are_drawn_independently() -> None:
    torch.manual_seed(7)
    zero = torch.zeros(1, H)
    draws = linear_draws(zero, torch.zeros(1000, H), torch.zeros(1000), (20, 1))
    assert len(draws.unique()) > 10


def test_draws_under_autocast() -> None:
    features = torch.nn.functional.one_hot(torch.arange(V), V).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        draws = linear_draws(features, torch.eye(V) * 1e4, torch.zeros(V), (V,))
    assert torch.equal(draws, torch.arange(V))
