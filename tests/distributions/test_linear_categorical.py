"""LinearCategorical against Categorical with the same logits, alone and in programs."""

from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import Predictive, TraceEnum_ELBO, config_enumerate
from pyro.nn import PyroModule
from pyro.ops.provenance import get_provenance, track_provenance
from torch import Tensor, nn

from hardpp.distributions.linear_categorical import LinearCategorical
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.tracegraph import TraceGraph

H, V = 3, 5
DOUBLE = torch.float64
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-10}


def normal(*shape: int, seed: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE))


def pair(*leading: int, **options: Any) -> tuple[LinearCategorical, dist.Categorical]:
    features, weight, bias = normal(*leading, H, seed=1), normal(V, H, seed=2), normal(V, seed=3)
    return LinearCategorical(features, weight, bias, **{"written_out": 0, **options}), dist.Categorical(
        logits=features @ weight.T + bias
    )


# --- a distribution ----------------------------------------------------------------------------------


@pytest.mark.parametrize("written_out", [V - 1, V])
@pytest.mark.parametrize("leading", [(), (4,), (2, 1, 4)])
def test_what_a_categorical_says(leading: tuple[int, ...], written_out: int) -> None:
    ours, theirs = pair(*leading, written_out=written_out)
    assert ours.batch_shape == theirs.batch_shape
    assert ours.event_shape == theirs.event_shape == ()
    assert (ours.support.lower_bound, ours.support.upper_bound) == (0, V - 1)
    assert ours.has_enumerate_support
    assert not ours.has_rsample
    torch.testing.assert_close(ours.logits, theirs.logits, **CLOSE)
    torch.testing.assert_close(ours.probs, theirs.probs, **CLOSE)
    for expand in (False, True):
        values = ours.enumerate_support(expand)
        assert torch.equal(values, theirs.enumerate_support(expand))
        torch.testing.assert_close(ours.log_prob(values), theirs.log_prob(values), **CLOSE)
    for sample_shape in ((), (3,), (2, 3)):
        value = ours.sample(sample_shape)
        assert value.shape == theirs.sample(sample_shape).shape
        torch.testing.assert_close(ours.log_prob(value), theirs.log_prob(value), **CLOSE)
    assert ours().shape == ours.shape()


def test_without_bias() -> None:
    features, weight = normal(4, H, seed=1), normal(V, H, seed=2)
    ours = LinearCategorical(features, weight)
    torch.testing.assert_close(ours.logits, (features @ weight.T).log_softmax(-1), **CLOSE)
    ours.log_prob(torch.arange(4)).sum().backward()
    assert features.grad is not None
    assert weight.grad is not None


@pytest.mark.parametrize("written_out", [0, V])
@pytest.mark.parametrize("shape", [(4,), (2, 4), (3, 2, 4), (3, 1, 1), ()])
def test_expanded(shape: tuple[int, ...], written_out: int) -> None:
    options = {"chunk_bytes": 1, "negligible": 0.5, "written_out": written_out}
    ours, theirs = (each.expand((2, 4)) for each in pair(1, **options))
    assert ours.batch_shape == (2, 4)
    assert ours.features.shape == (1, H)
    assert (ours.options["chunk_bytes"], ours.options["negligible"]) == (1, 0.5)
    value = torch.randint(V, shape)
    torch.testing.assert_close(ours.log_prob(value), theirs.log_prob(value), **CLOSE)
    torch.testing.assert_close(ours.logits, theirs.logits, **CLOSE)
    assert ours.sample((7,)).shape == (7, 2, 4)
    assert ours.expand_by((3,)).batch_shape == (3, 2, 4)
    assert torch.equal(ours.enumerate_support(), theirs.enumerate_support())


def test_as_one_event() -> None:
    ours, theirs = (each.to_event(1) for each in pair(2, 4))
    value = torch.randint(V, (2, 4))
    assert ours.event_shape == (4,)
    torch.testing.assert_close(ours.log_prob(value), theirs.log_prob(value), **CLOSE)


def test_options_reach_the_backward_pass() -> None:
    ours, _ = pair(2, negligible=0.3)
    ours.log_prob(torch.tensor([0, 1])).backward(torch.tensor([1.0, 0.25], dtype=DOUBLE))
    assert ours.features.grad[0].any()
    assert not ours.features.grad[1].any()


@pytest.mark.parametrize("value", [(), (4,), (1, 4), (3, 4), (2, 3, 4)])
def test_nothing_is_learnt_from_the_last_rows(value: tuple[int, ...]) -> None:
    ours, theirs = pair(3, 4)
    constant = ours.last_constant(1).expand((3, 4))
    index = torch.randint(V, value)
    found = constant.log_prob(index)
    torch.testing.assert_close(found, theirs.log_prob(index), **CLOSE)
    leaves = [ours.features, ours.weight, ours.bias]
    given = torch.randn(found.shape, dtype=DOUBLE)
    if len(value) < 2:  # else rows of features are not told apart by the leftmost dim of the result
        learnt = torch.autograd.grad(found, leaves, given)
        given[-1] = 0.0
        for g, exact in zip(learnt, torch.autograd.grad(theirs.log_prob(index), leaves, given), strict=True):
            torch.testing.assert_close(g, exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", ["mixture_terms", "mean_terms"])
@pytest.mark.parametrize("written_out", [V - 1, V])
def test_terms_of_a_sum(method: str, written_out: int) -> None:
    ours, theirs = pair(4, 2, written_out=written_out)
    value = torch.randint(V, (2,))
    log_weight = torch.full((4, 1), -1000.0, dtype=DOUBLE)
    log_weight[1] = 0.0
    found = getattr(ours, method)(value, log_weight, -2, 1e-6)
    expected = theirs.log_prob(value)
    if written_out < V:
        left_out = {"mixture_terms": -torch.inf, "mean_terms": 0.0}[method]
        expected[[0, 2, 3]] = left_out
    torch.testing.assert_close(found, expected, **CLOSE)
    checked = LinearCategorical(ours.features, ours.weight, written_out=written_out, validate_args=True)
    with pytest.raises(ValueError, match="support"):
        getattr(checked, method)(torch.full((2,), V), log_weight, -2, 1e-6)


def test_readable() -> None:
    ours, _ = pair(4)
    assert repr(ours) == (
        "LinearCategorical(features: torch.Size([4, 3]), weight: torch.Size([5, 3]), bias: torch.Size([5]))"
    )
    shapes = {"features": (2, 4, H), "weight": (V, H), "bias": (V,)}
    assert LinearCategorical.infer_shapes(**shapes) == ((2, 4), ())


@pytest.mark.parametrize(
    ("features", "weight", "bias", "message"),
    [
        ((4, 2), (V, H), (V,), r"features must have shape \(\.\.\., 3\) with a weight .* got \(4, 2\)"),
        ((), (V, H), None, r"features must have shape \(\.\.\., 3\) .* got \(\)"),
        ((4, H), (H,), None, r"weight must have shape \(V, H\), got \(3,\)"),
        ((4, H), (V, H), (H,), r"bias must have shape \(5,\) with a weight of shape \(5, 3\), got \(3,\)"),
        ((4, H), (V, H), (1, V), r"bias must have shape \(5,\) .* got \(1, 5\)"),
    ],
)
def test_shapes_that_do_not_fit(features: Any, weight: Any, bias: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LinearCategorical(
            torch.zeros(features), torch.zeros(weight), None if bias is None else torch.ones(bias)
        )


def test_expanding_to_a_shape_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"\(2, 4\) cannot be expanded to \(2, 1\)"):
        pair(2, 4)[0].expand((2, 1))


def test_validation() -> None:
    bad = torch.full((4, H), torch.nan)
    with pytest.raises(ValueError, match="features"):
        LinearCategorical(bad, torch.zeros(V, H), validate_args=True)
    LinearCategorical(bad, torch.zeros(V, H), validate_args=False)
    impossible = torch.zeros(V)
    impossible[0] = -torch.inf
    ours = LinearCategorical(torch.zeros(4, H), torch.zeros(V, H), impossible, validate_args=True)
    for each in (ours, ours.expand((2, 4))):
        with pytest.raises(ValueError, match="support"):
            each.log_prob(torch.full((4,), V))
        with pytest.raises(ValueError, match="broadcast"):
            each.log_prob(torch.zeros(3, dtype=torch.int64))


def test_provenance_is_kept() -> None:
    """Pyro's TraceGraph_ELBO tells from it what depends on which latent."""
    ours, _ = pair(4)
    told = LinearCategorical(track_provenance(ours.features.detach(), frozenset({"z"})), ours.weight)
    assert get_provenance(told.log_prob(torch.zeros(4, dtype=torch.int64))) == {"z"}
    assert get_provenance(told.expand((2, 4)).sample()) == {"z"}
    told = told.expand((4,))
    told.written_out = 0
    terms = told.mixture_terms(torch.zeros((), dtype=torch.int64), torch.zeros(4), -1, 1e-3)
    assert get_provenance(terms) == {"z"}


# --- in programs -------------------------------------------------------------------------------------


class Mixture(PyroModule):
    """A position for each (datum, step), and a symbol that it emits.

    The features are (S, B, T, H) where the steps differ, else (S, 1, 1, H).
    """

    max_plate_nesting = 2

    def __init__(self, emission: Callable[[Tensor, Tensor, Tensor], Any], steps_differ: bool = True):
        super().__init__()
        self.scores, self.memory = normal(2, 3, 4, seed=4), normal(4, H, seed=5)
        self.query = normal(2, 3, H, seed=6) if steps_differ else None
        self.weight, self.bias = normal(V, H, seed=7), normal(V, seed=8)
        self.emission = emission

    def forward(self, symbols: Tensor, mask: Tensor) -> None:
        with pyro.plate("data", 2, dim=-2), pyro.plate("steps", 3, dim=-1), poutine.mask(mask=mask):
            z = pyro.sample("z", dist.Categorical(logits=self.scores))
            features = self.memory[z]
            if self.query is not None:  # what is masked out may hold anything
                features = torch.tanh(features + self.query).where(mask.unsqueeze(-1), torch.inf)
            pyro.sample("y", self.emission(features, self.weight, self.bias), obs=symbols)


class Guide(PyroModule):
    def __init__(self) -> None:
        super().__init__()
        self.scores = normal(2, 3, 4, seed=9)

    def forward(self, symbols: Tensor, mask: Tensor) -> None:
        with pyro.plate("data", 2, dim=-2), pyro.plate("steps", 3, dim=-1), poutine.mask(mask=mask):
            pyro.sample("z", dist.Categorical(logits=self.scores))


def naive(features: Tensor, weight: Tensor, bias: Tensor) -> dist.Categorical:
    return dist.Categorical(logits=features.nan_to_num(posinf=0.0) @ weight.T + bias)


def linear(features: Tensor, weight: Tensor, bias: Tensor) -> LinearCategorical:
    return LinearCategorical(
        features, weight, bias, chunk_bytes=16 * V, negligible=0.0, written_out=0, validate_args=False
    )


MASK = torch.tensor([[True, True, True], [True, False, False]])
SYMBOLS = torch.tensor([[0, 4, 2], [1, 3, 3]])


@pytest.mark.parametrize("mask", [MASK, torch.ones_like(MASK)], ids=["masked", "whole"])
@pytest.mark.parametrize("steps_differ", [True, False], ids=["(S, B, T) rows", "(S, 1, 1) rows"])
@pytest.mark.parametrize(
    "objective",
    [ExactMarginal, EnumeratedELBO, ScoreFunctionELBO, TraceGraph, lambda: ScoreFunctionELBO(4)],
    ids=["exact", "enum", "elbo", "tracegraph", "4 particles"],
)
def test_every_objective_sees_a_categorical(
    objective: Callable[[], Any], steps_differ: bool, mask: Tensor
) -> None:
    found = []
    for emission in (linear, naive):
        model, guide = Mixture(emission, steps_differ), Guide()
        pyro.set_rng_seed(3)  # the same draws
        loss = objective().differentiable_loss(model, guide, SYMBOLS, mask)
        loss.backward()
        found.append([loss.detach(), *(p.grad for p in [*model.parameters(), *guide.parameters()])])
    for ours, theirs in zip(*found, strict=True):
        assert (ours is None) == (theirs is None)
        torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize("mask", [MASK, torch.ones_like(MASK)], ids=["masked", "whole"])
@pytest.mark.parametrize(
    "objective", [lambda: ExactMarginal(tolerance=0.0), EnumeratedELBO], ids=["exact", "enum"]
)
def test_gradient_penalty_of_what_is_summed_out(objective: Callable[[], Any], mask: Tensor) -> None:
    found = []
    for emission in (linear, naive):
        model, guide = Mixture(emission), Guide()
        leaves = list(model.parameters())
        loss = objective().differentiable_loss(model, guide, SYMBOLS, mask)
        first = torch.autograd.grad(loss, leaves, create_graph=True)
        penalty = sum(each.square().sum() for each in first)
        found.append(torch.autograd.grad(penalty, leaves))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)
    assert all(each.abs().max() > 1e-2 for each in found[1])


def test_exact_posteriors() -> None:
    ours, theirs = (
        ExactMarginal().posterior(Mixture(emission), Guide(), SYMBOLS, MASK)["z"]
        for emission in (linear, naive)
    )
    torch.testing.assert_close(ours, theirs, **CLOSE)


def test_pyro_enumerates_it_as_a_latent() -> None:
    """z itself is a LinearCategorical, drawn and summed out by Pyro's own ELBO."""
    features, weight, says = normal(2, H, seed=1), normal(V, H, seed=2), normal(V, 3, seed=3)

    def losses(emission: Any) -> Tensor:
        @config_enumerate
        def model() -> None:
            with pyro.plate("data", 2):
                z = pyro.sample("z", emission)
                pyro.sample("y", dist.Categorical(logits=says[z]), obs=torch.tensor([0, 2]))

        elbo = TraceEnum_ELBO(max_plate_nesting=1)
        return elbo.differentiable_loss(model, lambda: None)

    ours = losses(LinearCategorical(features, weight))
    theirs = losses(dist.Categorical(logits=features @ weight.T))
    torch.testing.assert_close(ours, theirs, **CLOSE)
    leaves = [features, weight, says]
    torch.testing.assert_close(
        torch.autograd.grad(ours, leaves), torch.autograd.grad(theirs, leaves), **CLOSE
    )


@pytest.mark.parametrize("parallel", [False, True])
def test_predictive(parallel: bool) -> None:
    def model() -> None:
        with pyro.plate("data", 4, dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=torch.zeros(V)))
            pyro.sample(
                "y", LinearCategorical(nn.functional.one_hot(z, V).double(), 1e4 * torch.eye(V).double())
            )

    drawn = Predictive(model, num_samples=6, parallel=parallel)()
    assert drawn["y"].shape == (6, 4)
    assert torch.equal(drawn["y"], drawn["z"])


def test_a_plate_repeats_it() -> None:
    ours, theirs = pair()

    def model() -> Tensor:
        with pyro.plate("data", 6, dim=-1):
            return pyro.sample("y", ours)

    site = poutine.trace(model).get_trace().nodes["y"]
    assert site["value"].shape == (6,)
    assert site["fn"].features.shape == (H,)
    torch.testing.assert_close(site["fn"].log_prob(site["value"]), theirs.log_prob(site["value"]), **CLOSE)
