"""Sums over the support of a sparse guide: exact while they fit, unbiased where they do not."""

import itertools
from collections.abc import Iterator
from math import log
from types import SimpleNamespace
from typing import Any

import cases
import oracles
import pyro
import pytest
import torch
from inference.test_learning import LENGTH, programs, reversals
from objective_settings import ALIGNMENTS, OBJECTIVES
from pyro import poutine
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions import Categorical, SparseCategorical, StepIndependent
from hardpp.errors import UsageError
from hardpp.guides.prior import Prior
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.importance_weighted import IWAE, VIMCO
from hardpp.inference.objective import SampledObjective
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.sum_and_sample import SumAndSample
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.nn.attention import SparseScorer
from hardpp.ops.sparse_softmax import Sparsity
from hardpp.types import Program

CLOSE = {"rtol": 0, "atol": 1e-9}
NONE = -torch.inf
B, T, S, V = 3, 2, 8, 4

every_sparsity = pytest.mark.parametrize("sparsity", ["sparsemax", "entmax15", 3])


@pytest.fixture(autouse=True)
def _run_once() -> Iterator[None]:
    """Validation would run the programs again, to check them, and these tests count the runs."""
    with pyro.validation_enabled(False):
        yield


class Toy:
    """z[b, t] and y[b, t] given it; all logits are leaves, some positions and one step are padding.

    Attributes:
        sizes: how many particles each run of the model had.
    """

    def __init__(self, sparsity: Sparsity | None, prior: Sparsity | None = None, dtype: Any = torch.float64):
        self.sparsity, self.prior_sparsity = sparsity, prior
        generator = torch.Generator().manual_seed(7)
        shapes = ((B, T, S), (B, T, S, V), (B, T, S))
        leaves = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
        self.leaves = [leaf.to(dtype).requires_grad_() for leaf in leaves]
        self.positions = cases.ragged([S, 2, 5]).unsqueeze(1)  # (B, 1, S)
        self.mask = torch.tensor([[True, True], [True, True], [True, False]])
        self.y = torch.randint(V, (B, T), generator=generator)
        self.sizes: list[int] = []

    def latent(self, logits: Tensor, sparsity: Sparsity | None) -> Any:
        logits = logits.masked_fill(~self.positions, NONE)
        return Categorical(logits) if sparsity is None else SparseCategorical(logits, sparsity)

    def model(self) -> None:
        with sites.output_steps(self.mask):
            z = pyro.sample("z", self.latent(self.leaves[0], self.prior_sparsity))
            self.sizes.append(len(z) if z.dim() > 2 else 1)
            logits = self.leaves[1]
            if z.is_floating_point():
                logits = (z.unsqueeze(-2) @ logits).squeeze(-2)
            else:
                logits = logits[torch.arange(B).unsqueeze(-1), torch.arange(T), z]
            pyro.sample("y", Categorical(logits), obs=self.y)

    def guide(self) -> None:
        with sites.output_steps(self.mask):
            pyro.sample("z", self.latent(self.leaves[2], self.sparsity))

    @property
    def support(self) -> Tensor:
        """(B, T), of the guide."""
        return (self.latent(self.leaves[2], self.sparsity).probs > 0).sum(-1)

    def tables(self) -> tuple[Tensor, Tensor, Tensor]:
        """log p(z), log p(y | z) and log q(z), (B, T, S)."""
        p, q = (
            self.latent(self.leaves[0], self.prior_sparsity).logits,
            self.latent(self.leaves[2], self.sparsity).logits,
        )
        y = self.y[..., None, None].expand(B, T, S, 1)
        return p, self.leaves[1].log_softmax(-1).gather(-1, y).squeeze(-1), q

    def bound(self) -> Tensor:
        """E_q[log p - log q], by hand, (B,)."""
        p, likelihood, q = self.tables()
        terms = (p + likelihood - q).where(q > NONE, 0.0)
        return ((q.exp() * terms).sum(-1) * self.mask).sum(-1)

    def gradient(self, value: Tensor) -> Tensor:
        return oracles.flat_gradient(value, self.leaves)


def support(most: int) -> SumAndSample:
    return SumAndSample(most, top="support", max_plate_nesting=2)


# --- exact ------------------------------------------------------------------------------------------


@every_sparsity
@pytest.mark.parametrize("spare", [0, 1, 20])
def test_it_is_the_enumerated_bound(sparsity: Sparsity, spare: int) -> None:
    toy = Toy(sparsity)
    largest = int(toy.support[toy.mask].max())
    assert 2 < largest < S
    objective = support(largest + spare)
    estimate, exact = objective.estimate(toy.model, toy.guide), toy.bound()
    assert toy.sizes == [largest]  # nothing is computed in vain
    enumerated = EnumeratedELBO(max_plate_nesting=2).estimate(toy.model, toy.guide)
    expected = toy.gradient(exact)
    for found in (estimate, enumerated):
        torch.testing.assert_close(found.bound, exact.detach(), **CLOSE)
        torch.testing.assert_close(toy.gradient(found.surrogate), expected, **CLOSE)
    for part in expected.split([leaf.numel() for leaf in toy.leaves]):
        assert part.abs().max() > 0.01
    assert estimate.log_weights is None


@every_sparsity
def test_the_gradient_is_a_finite_difference_of_the_bound(sparsity: Sparsity) -> None:
    toy, step = Toy(sparsity), 1e-6
    gradient = toy.gradient(support(S).estimate(toy.model, toy.guide).surrogate)
    found = []
    with torch.no_grad():
        for leaf in toy.leaves:
            flat = leaf.view(-1)
            for i in range(len(flat)):
                at, bounds = flat[i].item(), []
                for sign in (1, -1):
                    flat[i] = at + sign * step
                    bounds.append(support(S).estimate(toy.model, toy.guide).bound.sum())
                flat[i] = at
                found.append((bounds[0] - bounds[1]) / (2 * step))
    torch.testing.assert_close(gradient, torch.stack(found), rtol=0, atol=1e-7)


def test_a_support_of_one_value_needs_one_evaluation() -> None:
    toy = Toy(1)
    estimate = support(8).estimate(toy.model, toy.guide)
    assert toy.sizes == [1]
    torch.testing.assert_close(estimate.bound, toy.bound().detach(), **CLOSE)
    torch.testing.assert_close(toy.gradient(estimate.surrogate), toy.gradient(toy.bound()), **CLOSE)


def test_what_is_masked_does_not_count() -> None:
    """The masked step has equal scores, and so the largest support of all."""
    toy = Toy("sparsemax")
    with torch.no_grad():
        toy.leaves[2][2, 1] = 0.0
    assert int(toy.support[2, 1]) > int(toy.support[toy.mask].max())
    estimate = support(S).estimate(toy.model, toy.guide)
    assert toy.sizes == [int(toy.support[toy.mask].max())]
    torch.testing.assert_close(estimate.bound, toy.bound().detach(), **CLOSE)
    gradient = torch.autograd.grad(estimate.surrogate, toy.leaves)
    assert all((part[2, 1] == 0).all() for part in gradient)
    toy.mask = torch.zeros_like(toy.mask)
    assert (support(S).estimate(toy.model, toy.guide).bound == 0).all()


def test_single_precision() -> None:
    found = []
    for dtype in (torch.float32, torch.float64):
        toy = Toy("entmax15", dtype=dtype)
        estimate = support(S).estimate(toy.model, toy.guide)
        assert estimate.bound.dtype == dtype
        found.append((estimate.bound.double(), toy.gradient(estimate.surrogate).double()))
    for single, double in zip(*found, strict=True):
        torch.testing.assert_close(single, double, rtol=1e-4, atol=1e-4)


# --- too large a support ----------------------------------------------------------------------------


def last_draws(toy: Toy, log_q: Tensor, most: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Every way to draw the last particle at each live element: probability, (most, B, T) values."""
    best = log_q.topk(most - 1).indices
    rest = log_q.exp().scatter(-1, best, 0.0)
    options = []
    for b, t in toy.mask.nonzero().tolist():
        left = rest[b, t].nonzero().squeeze(-1).tolist() or [int(best[b, t, 0])]
        total = rest[b, t].sum()
        options.append([(b, t, s, rest[b, t, s] / total if total > 0 else total + 1) for s in left])
    for ways in itertools.product(*options):
        value = torch.cat([best.movedim(-1, 0), best[..., 0].unsqueeze(0)])
        probability = torch.ones((), dtype=log_q.dtype)
        for b, t, s, weight in ways:
            value[-1, b, t], probability = s, probability * weight
        yield probability, value


@pytest.mark.parametrize("most", [2, 3])
@pytest.mark.parametrize("sparsity", ["sparsemax", "entmax15", 3, None])
@pytest.mark.parametrize("prior", [False, True])
def test_the_expectation_is_exact(sparsity: Sparsity | None, most: int, prior: bool) -> None:
    """With the guide, and with the prior as the guide."""
    toy = Toy(sparsity, sparsity if prior else None)
    if prior:
        toy.leaves[2] = toy.leaves[0]
    log_q = toy.tables()[2].detach()
    bound = surrogate = total = torch.zeros(())
    for probability, value in last_draws(toy, log_q, most):
        force = oracles.Force({"z": lambda fn, value=value: value})
        model: Program = toy.model
        guide: Any = force(toy.guide)
        if prior:
            model = force(model)
            guide = SimpleNamespace(prior_of=model)
        estimate = support(most).estimate(model, guide)
        bound = bound + probability * estimate.bound
        surrogate = surrogate + probability * estimate.surrogate
        total = total + probability
    torch.testing.assert_close(total, torch.ones_like(total), **CLOSE)
    assert set(toy.sizes) == {most}
    exact = toy.bound()
    torch.testing.assert_close(bound, exact.detach(), **CLOSE)
    torch.testing.assert_close(toy.gradient(surrogate), toy.gradient(exact), **CLOSE)


def test_small_supports_are_exact_beside_a_large_one() -> None:
    toy, most = Toy("entmax15"), 3
    small = (toy.support <= most).where(toy.mask, True).all(-1)
    assert small.tolist().count(True) not in (0, B)
    exact = toy.bound().detach()
    found = torch.stack([support(most).estimate(toy.model, toy.guide).bound for _ in range(30)])
    torch.testing.assert_close(found[:, small], exact[small].expand(30, -1), **CLOSE)
    assert (found[:, ~small].std(0) > 0.01).all()


# --- priors -----------------------------------------------------------------------------------------


@every_sparsity
def test_a_sparse_prior_summed_out(sparsity: Sparsity) -> None:
    toy = Toy(None, sparsity)
    p, likelihood, _ = toy.tables()
    log_p = ((p + likelihood).logsumexp(-1) * toy.mask).sum(-1)
    exact = ExactMarginal(tolerance=0.0, max_plate_nesting=2)
    estimate = exact.estimate(toy.model, toy.guide)
    torch.testing.assert_close(estimate.bound, log_p.detach(), **CLOSE)
    found, expected = toy.gradient(estimate.surrogate), toy.gradient(log_p)
    torch.testing.assert_close(found, expected, **CLOSE)
    assert expected[: toy.leaves[0].numel()].abs().max() > 0.01
    posterior = exact.posterior(toy.model, toy.guide)["z"]
    torch.testing.assert_close(posterior, (p + likelihood).softmax(-1).detach() * toy.mask.unsqueeze(-1))
    drawn = exact.sample_posterior(toy.model, toy.guide, num_samples=20)["z"]
    assert (p.expand(20, B, T, S).gather(-1, drawn.unsqueeze(-1)).squeeze(-1)[:, toy.mask] > NONE).all()


def test_a_guide_that_draws_what_the_prior_rules_out_has_no_bound() -> None:
    toy = Toy("sparsemax", 1)
    assert (support(S).estimate(toy.model, toy.guide).bound == NONE).all()
    assert (EnumeratedELBO(max_plate_nesting=2).estimate(toy.model, toy.guide).bound == NONE).all()


def test_the_prior_as_the_guide_runs_once() -> None:
    """Two runs of dropout would have different supports, and a bound of minus infinity."""

    class Model(nn.Module):
        max_plate_nesting = 2

        def __init__(self) -> None:
            super().__init__()
            self.toy, self.dropout = Toy(None, "sparsemax"), nn.Dropout(0.5)

        def forward(self) -> None:
            logits = self.toy.leaves[0]
            self.toy.leaves[0] = self.dropout(3 * logits)
            self.toy.model()
            self.toy.leaves[0] = logits

    model = Model()
    guide = Prior(model)
    for _ in range(20):
        estimate = support(S).estimate(model, guide)
        assert estimate.bound.isfinite().all()
    assert len(model.toy.sizes) == 20


# --- other objectives -------------------------------------------------------------------------------


@every_sparsity
@pytest.mark.parametrize("sparse", ["guide", "prior as guide"])
@pytest.mark.parametrize(
    "name", [name for name in ALIGNMENTS if name != "rws-dream"]
)  # dreams impossible values
def test_every_objective_takes_sparse_latents(name: str, sparse: str, sparsity: Sparsity) -> None:
    """But a Dirichlet with fewer values than the prior's has an infinite divergence from it."""
    toy = Toy(sparsity) if sparse == "guide" else Toy(None, sparsity)
    guide: Any = toy.guide if sparse == "guide" else Prior(poutine.mask(toy.model, mask=True))
    model = toy.model if sparse == "guide" else guide.model
    for _ in range(5):
        estimate = OBJECTIVES[name](max_plate_nesting=2).estimate(model, guide)
        assert estimate.bound.isfinite().all() or (name == "dirichlet" and sparse == "guide")
        assert toy.gradient(estimate.surrogate).isfinite().all()


@every_sparsity
@pytest.mark.parametrize(
    "objective",
    [
        ScoreFunctionELBO(2, baseline="leave-one-out", max_plate_nesting=2),
        IWAE(2, max_plate_nesting=2),
        VIMCO(2, max_plate_nesting=2),
    ],
    ids=lambda objective: objective.name,
)
def test_draws_of_a_sparse_guide_are_unbiased(objective: SampledObjective, sparsity: Sparsity) -> None:
    """Each instance by itself: the elements are independent, so each is summed over its own draws."""
    toy = Toy(sparsity)
    toy.mask = torch.tensor([[True, False], [False, False], [False, False]])
    p, likelihood, q = (table[0, 0] for table in toy.tables())
    log_w = (p + likelihood - q).where(q > NONE, 0.0)
    pairs = torch.cartesian_prod(torch.arange(S), torch.arange(S))
    if objective.bound == "elbo":
        exact = (q.exp() * log_w).sum()
    else:
        exact = (q.exp()[pairs].prod(-1) * (log_w[pairs].logsumexp(-1) - log(2))).sum()
    bound = surrogate = torch.zeros(())
    for pair in pairs.tolist():
        probability = q.detach().exp()[pair].prod()
        if probability > 0:
            value = torch.zeros(2, B, T, dtype=torch.int64)
            value[:, 0, 0] = torch.tensor(pair)
            with oracles.Force({"z": lambda fn, value=value: value}):
                estimate = objective.estimate(toy.model, toy.guide)
            bound = bound + probability * estimate.bound[0]
            surrogate = surrogate + probability * estimate.surrogate
    torch.testing.assert_close(bound, exact.detach(), **CLOSE)
    torch.testing.assert_close(toy.gradient(surrogate), toy.gradient(exact), **CLOSE)


# --- refusals ---------------------------------------------------------------------------------------


def test_refusals() -> None:
    with pytest.raises(UsageError, match="a sum over the support compares particles: it needs at least 2"):
        SumAndSample(1, top="support")
    with pytest.raises(UsageError, match="top is a number of values or 'support', not 'all'"):
        SumAndSample(4, top="all")  # type: ignore[arg-type]
    chain = cases.chain((2,))
    with pytest.raises(UsageError, match=r"the guide draws 'z_0' \(Categorical\), 'z_1' \(Categorical\)"):
        SumAndSample(4, top="support").estimate(chain.model, chain.guide, *chain.args)

    def stepwise() -> None:
        with pyro.plate("data", 2, dim=-1):
            pyro.sample("z", StepIndependent(SparseCategorical(torch.zeros(2, T, S))))

    with pytest.raises(UsageError, match=r"the guide draws 'z' \(StepIndependent\)"):
        SumAndSample(4, top="support").estimate(stepwise, stepwise)


# --- learning ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("sparsity", ["sparsemax", "entmax15"])
def test_reading_backwards_with_fewer_and_fewer_evaluations(sparsity: Sparsity) -> None:
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(0)
    model, guide = programs()
    guide.scorer = SparseScorer(guide.scorer, sparsity)
    sizes: list[int] = []

    class Counting(SumAndSample):
        def surrogate(self, table: WeightTable) -> tuple[Tensor, Tensor]:
            sizes.append(len(table.log_p))
            return super().surrogate(table)

    objective = Counting(LENGTH, top="support")
    parameters = list({id(p): p for p in [*model.parameters(), *guide.parameters()]}.values())
    optimiser = torch.optim.Adam(parameters, lr=0.02)
    for _ in range(150):
        optimiser.zero_grad()
        (objective(model, guide)(reversals(32, generator)) / 32).backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
    held_out = reversals(64, generator)
    with torch.no_grad():
        exact = ExactMarginal().estimate(model, guide, held_out).bound.mean()
        bound = EnumeratedELBO().estimate(model, guide, held_out).bound.mean()
    assert exact > -0.1  # a guess costs log 5 + log 4 + log 3 = 4.1 nats
    assert exact - bound < 0.1
    assert sizes[:10] == [LENGTH] * 10
    assert sum(sizes[-50:]) < 1.5 * 50
