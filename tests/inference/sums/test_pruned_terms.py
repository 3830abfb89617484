"""Terms that do not count in a sum over a latent are left out only where that is allowed, and all agree."""

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp.distributions.linear_categorical import LinearCategorical
from hardpp.errors import UsageError
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.score_function import ScoreFunctionELBO

H, V, S = 4, 30, 6
DOUBLE = torch.float64
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-6}
MASK = torch.tensor([[True, True, True], [True, False, False]])
SYMBOLS = torch.tensor([[0, 4, 2], [11, 3, 3]])


def normal(*shape: int, seed: int, scale: float = 1.0) -> nn.Parameter:
    generator = torch.Generator().manual_seed(seed)
    return nn.Parameter(torch.randn(*shape, generator=generator, dtype=DOUBLE) * scale)


class Asked(LinearCategorical):
    """Remembers how often it was asked for the terms that count, and how many it gave."""

    calls: list[int] = []  # noqa: RUF012

    def expand(self, batch_shape: Any, _instance: Any = None) -> LinearCategorical:
        return super().expand(batch_shape, self._get_checked_instance(Asked, _instance))

    def mixture_terms(self, value: Tensor, log_weight: Tensor, dim: int, tolerance: float) -> Tensor:
        terms = super().mixture_terms(value, log_weight, dim, tolerance)
        self.calls.append(int((terms > -torch.inf).sum()))
        return terms

    def mean_terms(self, value: Tensor, log_weight: Tensor, dim: int, tolerance: float) -> Tensor:
        terms = super().mean_terms(value, log_weight, dim, tolerance)
        self.calls.append(int((terms != 0).sum()))
        return terms


@pytest.fixture(autouse=True)
def calls() -> list[int]:
    Asked.calls = []
    return Asked.calls


class Alignment(PyroModule):
    """A peaked position for each (datum, step) and the symbol that it emits, in variants."""

    max_plate_nesting = 2

    def __init__(self, variant: str = "plain", written_out: int = 0):
        super().__init__()
        self.scores, self.memory = normal(2, 3, S, seed=1, scale=8.0), normal(S, H, seed=2)
        self.query, self.weight = normal(2, 3, H, seed=3), normal(V, H, seed=4, scale=2.0)
        self.more, self.table = normal(S, V, seed=5), normal(S, S, seed=6)
        self.variant, self.options = variant, {"written_out": written_out, "validate_args": False}

    def forward(self, symbols: Tensor = SYMBOLS, mask: Tensor = MASK) -> None:
        plates = pyro.plate("data", 2, dim=-2), pyro.plate("steps", 3, dim=-1)
        with plates[0], plates[1], poutine.mask(mask=mask):
            z = pyro.sample("z", dist.Categorical(logits=self.scores))
            if self.variant == "parent":
                z = pyro.sample("w", dist.Categorical(logits=self.table[z]))
            features = torch.tanh(self.memory[z] + self.query)
            emission = Asked(features, self.weight, **self.options)
            if self.variant == "masked":
                pyro.sample("y", emission.mask(mask), obs=symbols)
            else:
                pyro.sample("y", emission, obs=symbols)
            if self.variant == "child":
                pyro.sample("w", dist.Categorical(logits=self.table[z]))
            if self.variant == "ordinary twin":
                pyro.sample("x", dist.Categorical(logits=self.more[z]), obs=symbols)
            if self.variant == "twin":
                pyro.sample("x", Asked(-features, self.weight, **self.options), obs=symbols)


class Outside(PyroModule):
    """The latent is in fewer plates than what it explains."""

    max_plate_nesting = 2

    def __init__(self) -> None:
        super().__init__()
        self.scores, self.memory = normal(2, 1, S, seed=1, scale=8.0), normal(S, H, seed=2)
        self.query, self.weight = normal(2, 3, H, seed=3), normal(V, H, seed=4, scale=2.0)

    def forward(self) -> None:
        with pyro.plate("data", 2, dim=-2):
            z = pyro.sample("z", dist.Categorical(logits=self.scores))
            with pyro.plate("steps", 3, dim=-1):
                features = torch.tanh(self.memory[z] + self.query)
                pyro.sample("y", Asked(features, self.weight, written_out=0), obs=SYMBOLS)


class Guide(PyroModule):
    def __init__(self, variant: str = "plain") -> None:
        super().__init__()
        self.scores, self.table = normal(2, 3, S, seed=7, scale=30.0), normal(S, S, seed=8)
        self.variant = variant

    def forward(self) -> None:
        with pyro.plate("data", 2, dim=-2), pyro.plate("steps", 3, dim=-1), poutine.mask(mask=MASK):
            if self.variant == "parent":
                w = pyro.sample("w", dist.Categorical(logits=self.scores))
                pyro.sample("z", dist.Categorical(logits=30 * self.table[w]))
                return
            z = pyro.sample("z", dist.Categorical(logits=self.scores))
            if self.variant == "child":
                pyro.sample("w", dist.Categorical(logits=30 * self.table[z]))


def gradients(objective: Any, *programs: nn.Module) -> list[Tensor]:
    """The bounds and all gradients."""
    parameters = [p for program in programs for p in program.parameters()]
    estimate = objective.estimate(*programs)
    found = torch.autograd.grad(estimate.surrogate, parameters, allow_unused=True)
    return [estimate.bound, *(g for g in found if g is not None)]


@pytest.mark.parametrize(
    ("variant", "asked"),
    [("plain", 1), ("ordinary twin", 1), ("twin", 1), ("child", 0), ("parent", 0), ("masked", 0)],
)
def test_marginals_agree_with_those_of_all_terms(variant: str, asked: int, calls: list[int]) -> None:
    model, guide = Alignment(variant), nn.Module()
    found = gradients(ExactMarginal(tolerance=1e-7), model, guide)
    assert len(calls) == asked
    assert all(count < 4 * S for count in calls)  # four elements are not masked
    for ours, theirs in zip(found, gradients(ExactMarginal(tolerance=0), model, guide), strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)
    assert len(calls) == asked  # without tolerance nobody is asked
    every = gradients(ExactMarginal(), Alignment(variant, written_out=V), guide)
    torch.testing.assert_close(found[0], every[0], **CLOSE)


def test_the_marginal_is_never_too_high() -> None:
    model, guide = Alignment(), nn.Module()
    exact = ExactMarginal(tolerance=0).estimate(model, guide).bound
    for tolerance in (1e-9, 1e-6, 1e-3, 0.5):
        low = exact - ExactMarginal(tolerance=tolerance).estimate(model, guide).bound
        assert (low >= -1e-12).all()
        assert (low <= tolerance * MASK.sum(-1)).all()


def test_posteriors_and_modes_agree(calls: list[int]) -> None:
    model, guide = Alignment(), nn.Module()
    every, some = ExactMarginal(tolerance=0), ExactMarginal(tolerance=1e-7)
    posterior = some.posterior(model, guide)["z"]
    torch.testing.assert_close(posterior, every.posterior(model, guide)["z"], **CLOSE)
    mode, log_p = some.mode(model, guide)
    expected, exact = every.mode(model, guide)
    assert torch.equal(mode["z"], expected["z"])
    torch.testing.assert_close(log_p, exact, **CLOSE)
    assert len(calls) == 2
    assert (some.sample_posterior(model, guide, num_samples=20)["z"][:, ~MASK] == 0).all()


def test_a_latent_outside_of_a_plate_is_summed_in_full(calls: list[int]) -> None:
    model, guide = Outside(), nn.Module()
    found = gradients(ExactMarginal(tolerance=0.5), model, guide)
    for ours, theirs in zip(found, gradients(ExactMarginal(tolerance=0), model, guide), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert calls == []


@pytest.mark.parametrize(
    ("variant", "of_guide", "asked"),
    [
        ("plain", "plain", 1),
        ("ordinary twin", "plain", 1),
        ("twin", "plain", 1),
        ("child", "child", 1),
        ("child", "parent", 0),
        ("parent", "child", 0),
    ],
)
def test_bounds_agree_with_those_of_all_terms(
    variant: str, of_guide: str, asked: int, calls: list[int]
) -> None:
    programs = Alignment(variant), Guide(of_guide)
    found = gradients(EnumeratedELBO(tolerance=1e-7), *programs)
    assert len(calls) == asked
    assert all(count < 4 * S for count in calls)
    for ours, theirs in zip(found, gradients(EnumeratedELBO(tolerance=0), *programs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)
    assert len(calls) == asked


@pytest.mark.parametrize("objective", [ExactMarginal, EnumeratedELBO])
@pytest.mark.parametrize("tolerance", [-1e-9, 1.0, float("nan")])
def test_impossible_tolerances(objective: Any, tolerance: float) -> None:
    with pytest.raises(UsageError, match="tolerance is at least 0 and below 1 nat, not"):
        objective(tolerance=tolerance)


@pytest.mark.parametrize("particles", [1, 3])
def test_the_soft_baseline_is_scored_without_gradient_and_nothing_else_is(particles: int) -> None:
    """The same draws through a distribution that tells the rows apart, and one that does not."""
    found = []
    for written_out in (0, V):
        model, guide = Relaxed(written_out), Guide()
        pyro.set_rng_seed(3)
        found.append(gradients(ScoreFunctionELBO(particles, baseline="soft-attention"), model, guide))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


class Relaxed(Alignment):
    """The same alignment, which takes weights over the positions, too."""

    def __init__(self, written_out: int):
        super().__init__(written_out=written_out)
        self.options |= {"negligible": 0.0}

    def forward(self, symbols: Tensor = SYMBOLS, mask: Tensor = MASK) -> None:
        with pyro.plate("data", 2, dim=-2), pyro.plate("steps", 3, dim=-1), poutine.mask(mask=mask):
            z = pyro.sample("z", dist.Categorical(logits=self.scores))
            read = z @ self.memory if z.is_floating_point() else self.memory[z]
            features = torch.tanh(read + self.query)
            pyro.sample("y", LinearCategorical(features, self.weight, **self.options), obs=symbols)
