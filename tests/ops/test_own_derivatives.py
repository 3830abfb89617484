"""Derivatives that are written by hand: of second order, and within `torch.func`, against plain torch."""

import ast
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pyro.ops.provenance import get_provenance, track_provenance
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.autograd.functional import hessian
from torch.func import grad, jacrev, vmap

import hardpp
from hardpp.distributions.linear_categorical import LinearCategorical
from hardpp.ops.lattice import log_total
from hardpp.ops.lattice_ctc_total import ctc_log_total
from hardpp.ops.lattice_derivatives import ArcProbabilities
from hardpp.ops.lattice_messages import forward_messages
from hardpp.ops.linear_log_softmax import linear_log_softmax
from hardpp.ops.own_derivatives import run
from hardpp.ops.pruned_mixture import pruned_mixture_terms

DOUBLE = torch.float64
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-9}
H, V = 3, 7
Function = Callable[..., Tensor]


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


# --- twins in plain torch ----------------------------------------------------------------------------


def over_paths(arcs: Tensor, end: Tensor) -> Tensor:
    """The log total (...), every path written out."""
    N, S, J = arcs.shape[-3:]
    weights = []
    for path in itertools.product(range(J), repeat=N):
        states = [0, *itertools.accumulate(path)]
        if states[-1] < S:
            taken = [arcs[..., t, states[t], j] for t, j in enumerate(path)]
            weights.append(sum(taken, end[..., states[-1]]))
    return torch.stack(torch.broadcast_tensors(*weights)).logsumexp(0)


def written_out(features: Tensor, weight: Tensor, bias: Tensor, value: Tensor) -> Tensor:
    log_probs = (features @ weight.mT + bias).log_softmax(-1)
    shape = torch.broadcast_shapes(log_probs.shape[:-1], value.shape)
    index = value.expand(shape).unsqueeze(-1)
    return log_probs.expand(*shape, log_probs.shape[-1]).gather(-1, index).squeeze(-1)


def lattices() -> tuple[Tensor, Tensor]:
    """Five of them, of three steps, states and transitions; arcs and ends are missing here and there."""
    arcs, end = normal(5, 3, 3, 3, seed=1), normal(5, 3, seed=2)
    arcs[1, 1, 1, 1] = arcs[2, 0, 0, 0] = end[1, 0] = end[3, 2] = -torch.inf
    return arcs, end


def readout(*leading: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    value = torch.randint(V, leading, generator=torch.Generator().manual_seed(6))
    return normal(*leading, H, seed=3), normal(V, H, seed=4), normal(V, seed=5), value


ROOMS: dict[str, dict[str, int]] = {
    "kept": {},
    "some kept": {"chunk_bytes": 2 * V * 8, "kept_bytes": 3 * V * 8},
    "none kept": {"chunk_bytes": 1, "kept_bytes": 0},
}


def chunked(room: str = "kept", negligible: float = 0.0) -> Function:
    return lambda *inputs: linear_log_softmax(*inputs, negligible=negligible, **ROOMS[room])


def total(function: Function) -> Function:
    return lambda *inputs: function(*inputs).sum()


def gradient_penalty(function: Function, *inputs: Tensor) -> list[Tensor]:
    """The gradient of |gradient|^2 of the function of scaled inputs, and of what else is learnt."""
    leaves = [each.detach().requires_grad_() for each in inputs]
    first = torch.autograd.grad(function(*[x * x.sum() for x in leaves]).sum(), leaves, create_graph=True)
    return list(torch.autograd.grad(sum(each.square().sum() for each in first), leaves))


# --- every operation is here -------------------------------------------------------------------------


def probabilities(by_step: Tensor, end: Tensor) -> Tensor:
    found: Tensor = run(ArcProbabilities, by_step, end, forward_messages(by_step.detach())[0])
    return found


def gradient_of_rows(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    value = readout(2)[-1]
    with torch.enable_grad():
        log_probs = linear_log_softmax(features, weight, bias, value)
        return torch.autograd.grad(log_probs.square().sum(), features, create_graph=True)[0]


def alignments(log_probs: Tensor) -> Tensor:
    """The log total (2,) of two targets, one of them with a token twice."""
    frames, tokens = torch.tensor([4, 3]), torch.tensor([2, 1])
    return ctc_log_total(log_probs, frames, torch.tensor([[1, 1], [2, 0]]), tokens, 0)


RIGHT: dict[str, tuple[Function, Callable[[], tuple[Tensor, ...]]]] = {
    "LogTotal": (log_total, lambda: (normal(2, 3, 3, 2, seed=1), normal(2, 3, seed=2))),
    "ArcProbabilities": (probabilities, lambda: (normal(3, 2, 2, 3, seed=1), normal(2, 3, seed=2))),
    "CTCLogTotal": (alignments, lambda: (normal(2, 4, 3, seed=1),)),
    "RowLogSoftmax": (lambda *t: chunked()(*t, readout(2)[-1]), lambda: readout(2)[:3]),
}
REFUSED = {"RowDerivatives", "RowSecondDerivatives"}
# Recurrent loops, which are run plainly but in reverse mode, or have one derivative.
ELSEWHERE = {
    **dict.fromkeys(("_KnownLayer", "_ReluScan"), "test_known_layer.py"),
    **{"_Scan": "test_lstm_scan.py", "_Step": "test_step_linear.py", "_Weight": "test_step_linear.py"},
}


def test_every_operation_with_a_derivative_of_its_own_is_checked_here() -> None:
    found = set()
    for file in Path(next(iter(hardpp.__path__))).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef) and any(
                ast.unparse(b).split(".")[-1] == "Function" for b in node.bases
            ):
                found.add(node.name)
    assert found == RIGHT.keys() | REFUSED | ELSEWHERE.keys()
    assert all((Path(__file__).parent / file).exists() for file in ELSEWHERE.values())


@pytest.mark.parametrize("name", RIGHT)
def test_derivatives_are_those_of_differences(name: str) -> None:
    function, inputs = RIGHT[name]
    leaves = [each.requires_grad_() for each in inputs()]
    assert gradcheck(function, leaves)
    assert gradgradcheck(function, leaves)


@pytest.mark.parametrize("by", [0, 1, 2])
def test_a_third_derivative_of_a_readout_is_refused(by: int) -> None:
    leaves = [each.requires_grad_() for each in readout(2)[:3]]
    assert gradcheck(gradient_of_rows, leaves)
    second = torch.autograd.grad(gradient_of_rows(*leaves).square().sum(), leaves, create_graph=True)
    with pytest.raises(NotImplementedError, match="twice, and a third derivative of them was asked for"):
        second[by].sum().backward()


# --- lattices ----------------------------------------------------------------------------------------


def test_hessians_of_a_lattice() -> None:
    """By arcs and ends; of arcs that do not exist, too."""
    for arcs, end in zip(*lattices(), strict=True):
        found, expected = (hessian(f, (arcs, end)) for f in (log_total, over_paths))
        assert max(float(each.abs().max()) for row in expected for each in row) > 0.05
        torch.testing.assert_close(found, expected, **CLOSE)


def test_gradients_by_the_ends() -> None:
    arcs, end = lattices()
    for ends in (end, end[0], end[:, None]):  # broadcast to the data, and the data to them
        leaves = [arcs.clone().requires_grad_(), ends.clone().requires_grad_()]
        found, expected = log_total(*leaves), over_paths(*leaves)
        torch.testing.assert_close(found, expected, **CLOSE)
        weights = torch.arange(1.0, 1 + found.numel()).reshape(found.shape)
        torch.testing.assert_close(
            torch.autograd.grad((weights * found).sum(), leaves),
            torch.autograd.grad((weights * expected).sum(), leaves),
            **CLOSE,
        )


def test_gradient_penalty_of_a_lattice() -> None:
    arcs, end = normal(5, 3, 3, 3, seed=1), normal(5, 3, seed=2)
    torch.testing.assert_close(
        gradient_penalty(log_total, arcs, end), gradient_penalty(over_paths, arcs, end), **CLOSE
    )


def test_where_no_path_exists_every_derivative_is_zero() -> None:
    leaves = [torch.full((1, 2, 2, 2), -torch.inf, dtype=DOUBLE, requires_grad=True)]
    leaves.append(torch.zeros(1, 2, dtype=DOUBLE, requires_grad=True))
    first = torch.autograd.grad(log_total(*leaves).sum(), leaves, create_graph=True)
    second = torch.autograd.grad(sum((1 + each).square().sum() for each in first), leaves)
    assert all((each == 0).all() for each in [*first, *second])


def test_no_steps() -> None:
    arcs, end = torch.zeros(2, 0, 3, 2), torch.randn(2, 3, requires_grad=True)
    assert torch.equal(log_total(arcs, end), end[:, 0])


def test_second_derivatives_do_not_drift_in_float32() -> None:
    """Over 500 steps, along one direction."""
    found = []
    for dtype in (torch.float32, DOUBLE):
        arcs, along = (normal(1, 500, 20, 2, seed=seed).float().to(dtype) for seed in (1, 2))
        arcs.requires_grad_()
        first = torch.autograd.grad(log_total(arcs, arcs.new_zeros(1, 20)).sum(), arcs, create_graph=True)
        found.append(torch.autograd.grad((first[0] * along).sum(), arcs)[0].double())
    assert found[1].abs().max() > 0.1
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-4)


def test_provenance_of_a_lattice_is_kept() -> None:
    arcs, end = lattices()
    arcs.requires_grad_()
    found = log_total(track_provenance(arcs, frozenset({"z"})), end)
    assert get_provenance(found) == {"z"}
    (ours,) = torch.autograd.grad(found.sum(), arcs)
    torch.testing.assert_close(
        torch.as_tensor(ours), torch.autograd.grad(log_total(arcs, end).sum(), arcs)[0], **CLOSE
    )


# --- readouts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", ROOMS)
def test_hessians_of_a_readout(room: str) -> None:
    """Two values a row; by features, weight and bias."""
    features, weight, bias, _ = readout(4)
    value = torch.randint(V, (2, 4), generator=torch.Generator().manual_seed(8))
    weights = normal(2, 4, seed=9)  # negative ones, too
    found, expected = (
        hessian(lambda *t: (weights * function(*t, value)).sum(), (features, weight, bias))  # noqa: B023
        for function in (chunked(room), written_out)
    )
    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("room", ROOMS)
def test_gradient_penalty_of_a_readout(room: str) -> None:
    *parameters, value = readout(5)
    found, expected = (
        gradient_penalty(lambda *t: function(*t, value), *parameters)  # noqa: B023
        for function in (chunked(room), written_out)
    )
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("room", ROOMS)
def test_second_derivatives_of_impossible_symbols_and_of_rows_that_are_left_out(room: str) -> None:
    features, weight, bias, value = readout(5)
    bias[4] = -torch.inf
    features[1] = torch.nan
    value[:], value[2] = 0, 4
    counts = torch.tensor([1.0, 0.0, 0.0, 1.0, 2.0], dtype=DOUBLE)
    found, expected = [], []
    for into, function, rows in ((found, chunked(room), slice(None)), (expected, written_out, [0, 3, 4])):
        leaves = [each.clone().requires_grad_() for each in (features, weight, bias)]
        log_probs = function(leaves[0][rows], *leaves[1:], value[rows])
        loss = (counts[rows] * log_probs.where(counts[rows] > 0, 0.0)).sum()
        first = torch.autograd.grad(loss, leaves, create_graph=True)
        into += torch.autograd.grad(sum(each.square().sum() for each in first), leaves)
    assert all(each.isfinite().all() for each in found)
    torch.testing.assert_close(found, expected, **CLOSE)


def test_half_width_second_derivatives() -> None:
    """As near to float64 as the products allow, and of the inputs' dtype."""
    *parameters, value = readout(6)
    narrow = [each.bfloat16() for each in parameters]
    found = gradient_penalty(lambda *t: chunked()(*t, value), *narrow)
    expected = gradient_penalty(lambda *t: written_out(*t, value), *[each.double() for each in narrow])
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.bfloat16
        assert (ours - theirs).norm() < 0.05 * theirs.norm()


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("room", ROOMS)
def test_gradient_penalty_of_a_mixture(room: str, average: bool) -> None:
    features, weight, bias, value = readout(4, 5)
    log_weight = normal(4, 5, seed=7).log_softmax(0)

    def loss(terms: Tensor) -> Tensor:
        return (log_weight.exp() * terms).sum(0) if average else (log_weight + terms).logsumexp(0)

    def pruned(*tensors: Tensor) -> Tensor:
        options: dict[str, Any] = {"tolerance": 0.0, "negligible": 0.0, "average": average} | ROOMS[room]
        return loss(pruned_mixture_terms(*tensors, value[0], log_weight, -2, **options))

    torch.testing.assert_close(
        gradient_penalty(pruned, features, weight, bias),
        gradient_penalty(lambda *t: loss(written_out(*t, value[0])), features, weight, bias),
        rtol=1e-9,
        atol=1e-9,
    )


# --- torch.func --------------------------------------------------------------------------------------


def looped(function: Function, in_dims: tuple[int | None, ...], *inputs: Tensor) -> Tensor:
    """vmap, element by element."""
    n = next(x.shape[d] for x, d in zip(inputs, in_dims, strict=True) if d is not None)
    return torch.stack(
        [
            function(*[x if d is None else x.select(d, i) for x, d in zip(inputs, in_dims, strict=True)])
            for i in range(n)
        ]
    )


@pytest.mark.parametrize("in_dims", [(0, 0), (1, None), (None, 0)])
@pytest.mark.parametrize(
    "transform",
    [
        lambda f: f,
        grad,
        lambda f: grad(f, 1),
        lambda f: jacrev(jacrev(f)),
        lambda f: jacrev(grad(f, 1)),
        lambda f: grad(total(jacrev(jacrev(f)))),
    ],
    ids=["value", "grad", "grad by end", "hessian", "mixed", "third"],
)
def test_vmap_of_a_lattice(
    transform: Callable[[Function], Function], in_dims: tuple[int | None, ...]
) -> None:
    arcs, end = lattices()
    data = [
        each[0] if d is None else each.movedim(0, d) for each, d in zip((arcs, end), in_dims, strict=True)
    ]
    found = vmap(transform(log_total), in_dims)(*data)
    torch.testing.assert_close(found, looped(transform(over_paths), in_dims, *data), **CLOSE)


def test_nested_vmap_of_a_lattice() -> None:
    arcs, end = lattices()
    found = vmap(vmap(grad(log_total), (None, 0)), (0, None))(arcs, end)
    expected = looped(lambda a, e: looped(grad(over_paths), (None, 0), a, e), (0, None), arcs, end)
    torch.testing.assert_close(found, expected, **CLOSE)


def test_derivatives_of_a_batch_of_lattices() -> None:
    arcs, end = lattices()
    torch.testing.assert_close(grad(total(log_total))(arcs, end), grad(total(over_paths))(arcs, end), **CLOSE)
    torch.testing.assert_close(jacrev(log_total)(arcs, end), jacrev(over_paths)(arcs, end), **CLOSE)


def distribution(features: Tensor, weight: Tensor, bias: Tensor, value: Tensor) -> Tensor:
    return LinearCategorical(features, weight, bias, written_out=0).log_prob(value)


def penalty(by: int) -> Callable[[Function], Function]:
    return lambda f: grad(lambda *inputs: grad(total(f), by)(*inputs).square().sum(), 1)


TRANSFORMS: dict[str, Callable[[Function], Function]] = {
    "value": lambda f: f,
    "grad by features": lambda f: grad(total(f)),
    "grad by weight": lambda f: grad(total(f), 1),
    "grad by bias": lambda f: grad(total(f), 2),
    "jacrev": lambda f: jacrev(f),
    "jacrev by weight": lambda f: jacrev(f, 1),
    "hessian": lambda f: jacrev(jacrev(total(f))),
    "penalty by features": penalty(0),
    "penalty by weight": penalty(1),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize(
    "in_dims",
    [
        (0, None, None, 0),
        (1, None, None, None),
        (None, None, None, 1),
        (0, 0, None, 0),
        (None, None, 0, None),
    ],
)
def test_vmap_of_a_readout(
    transform: Callable[[Function], Function], in_dims: tuple[int | None, ...]
) -> None:
    features, _, _, value = readout(4, 4)
    every = features, normal(4, V, H, seed=4), normal(4, V, seed=5), value
    data = [each[0] if d is None else each.movedim(0, d) for each, d in zip(every, in_dims, strict=True)]
    found = vmap(transform(distribution), in_dims)(*data)
    torch.testing.assert_close(found, looped(transform(written_out), in_dims, *data), **CLOSE)
    if in_dims[0] == 0:
        one = [each if d is None else each[0] for each, d in zip(data, in_dims, strict=True)]
        torch.testing.assert_close(transform(distribution)(*one), transform(written_out)(*one), **CLOSE)


def test_gradients_of_single_data_are_not_negligible_among_others() -> None:
    """One datum weighs 1e-9 of the other; within vmap each has its own gradient all the same."""
    features, weight, bias, value = readout(2, 3)
    scale = torch.tensor([1e-9, 1.0], dtype=DOUBLE)

    def loss(function: Function) -> Function:
        return lambda x, y, s: s * function(x, weight, bias, y).sum()

    found = vmap(grad(loss(chunked(negligible=1e-6))))(features, value, scale)
    expected = looped(grad(loss(written_out)), (0, 0, 0), features, value, scale)
    torch.testing.assert_close(found / scale[:, None, None], expected / scale[:, None, None], **CLOSE)


def test_vmap_of_a_mixture() -> None:
    """p(y); one mixture has no terms, so that less of it is normalised than of the others."""
    features, weight, bias, value = readout(4, 5)
    log_weight = normal(4, 5, seed=7).log_softmax(0)
    log_weight[:, 2] = -torch.inf
    options: dict[str, Any] = {"tolerance": 0.0, "negligible": 0.0}

    def pruned(x: Tensor, log_weight: Tensor, y: Tensor) -> Tensor:
        return (log_weight + pruned_mixture_terms(x, weight, bias, y, log_weight, -1, **options)).exp().sum()

    def every(x: Tensor, log_weight: Tensor, y: Tensor) -> Tensor:
        return (log_weight + written_out(x, weight, bias, y)).exp().sum()

    data = features, log_weight, value[0]
    for transform in (lambda f: f, grad, lambda f: jacrev(jacrev(f))):
        found = vmap(transform(pruned), (1, 1, 0))(*data)
        torch.testing.assert_close(found, looped(transform(every), (1, 1, 0), *data), **CLOSE)
        assert found.isfinite().all()
