"""Sum and sample: unbiased by summing over every draw of the rest, exact where nothing is left to draw."""

import itertools
from collections.abc import Iterator
from typing import Any

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import normal
from pyro import poutine
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.inference.exact import EnumeratedELBO
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.sum_and_sample import SumAndSample
from hardpp.types import Program

CLOSE = {"rtol": 0, "atol": 1e-9}
SPLITS = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]  # values summed, values sampled

every_split = pytest.mark.parametrize(("top", "m"), SPLITS)


def draws_of_the_rest(
    guide: Program, args: Any, mask: Tensor, top: int, m: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Every way to draw m of the less likely values at each live element: probability, (K, B, T) values."""
    logits = poutine.trace(guide).get_trace(*args).nodes["alignment"]["fn"].logits.detach()
    best = logits.topk(top).indices
    live = mask.nonzero().tolist()
    options = []
    for b, t in live:
        chosen = best[b, t].tolist()
        left = [s for s in range(logits.shape[-1]) if s not in chosen and logits[b, t, s] > -torch.inf]
        rest = logits[b, t].exp()[left].sum()
        ways = list(itertools.product(left, repeat=m)) if left else [(chosen[0],) * m]
        weights = [
            (logits[b, t].exp()[list(way)] / rest).prod() if left else torch.tensor(1.0) for way in ways
        ]
        options.append([(chosen + list(way), w) for way, w in zip(ways, weights, strict=True)])
    for combination in itertools.product(*options):
        value = torch.zeros(top + m, *mask.shape, dtype=torch.int64)
        probability = torch.ones((), dtype=logits.dtype)
        for (b, t), (column, weight) in zip(live, combination, strict=True):
            value[:, b, t] = torch.tensor(column)
            probability = probability * weight
        yield probability, value


def forced(guide: Program, value: Tensor) -> Program:
    return oracles.Force({"alignment": lambda fn: value})(guide)


@pytest.mark.slow
@every_split
@pytest.mark.parametrize("guide", cases.ALIGNMENT_GUIDES)
def test_the_expectation_is_exact(guide: str, top: int, m: int) -> None:
    """One sentence of four positions, and one of two: padding is among the likeliest values there."""
    case = cases.alignment(guide, cases.alignment_batch((4, 2), (2, 1)))
    exact = EnumeratedELBO().estimate(case.model, case.guide, *case.args)
    objective = SumAndSample(top + m, top=top, max_plate_nesting=2)
    bound = surrogate = total = torch.zeros(())
    for probability, value in draws_of_the_rest(case.guide, case.args, case.args[0].target_mask, top, m):
        estimate = objective.estimate(case.model, forced(case.guide, value), *case.args)
        bound = bound + probability * estimate.bound
        surrogate = surrogate + probability * estimate.surrogate
        total = total + probability
    torch.testing.assert_close(total, torch.ones_like(total), **CLOSE)
    torch.testing.assert_close(bound, exact.bound, **CLOSE)
    for parameters in (case.of_model, case.of_guide):
        expected = oracles.flat_gradient(exact.surrogate, parameters)
        assert not parameters or expected.abs().max() > 1e-2  # otherwise the check is empty
        torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)


@pytest.mark.parametrize(("top", "particles"), [(4, 5), (4, 7), (6, 7), (9, 10)])
@pytest.mark.parametrize("guide", cases.ALIGNMENT_GUIDES)
def test_enough_values_are_the_enumerated_bound(guide: str, top: int, particles: int) -> None:
    """Draw by draw, without forcing; the longest source has four positions and one more of padding."""
    case = cases.alignment(guide, cases.alignment_batch((4, 1, 3), (2, 3, 1), padded=(1, 1)))
    exact = EnumeratedELBO().estimate(case.model, case.guide, *case.args)
    estimate = SumAndSample(particles, top=top).estimate(case.model, case.guide, *case.args)
    torch.testing.assert_close(estimate.bound, exact.bound, rtol=0, atol=1e-12)
    parameters = [*case.of_model, *case.of_guide]
    expected = oracles.flat_gradient(exact.surrogate, parameters)
    torch.testing.assert_close(
        oracles.flat_gradient(estimate.surrogate, parameters), expected, rtol=0, atol=1e-12
    )
    assert estimate.log_weights is None
    assert estimate.diagnostics == {}


# --- variance ---------------------------------------------------------------------------------------


def moments(spread: float, K: int, top: int, B: int = 200, S: int = 4) -> tuple[Tensor, Tensor]:
    """Mean and variance of the guide's gradient in B random problems at once; top 0 is leave-one-out."""
    q = nn.Parameter(spread * normal(B, S, seed=11).detach())
    likelihood, rows = normal(B, S, seed=12).detach(), torch.arange(B)
    by_rank = q.detach().argsort(-1, descending=True)  # (B, S)
    probability = q.detach().softmax(-1).gather(-1, by_rank)

    def model() -> None:
        with pyro.plate("data", B, dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=torch.zeros(S, dtype=torch.float64)))
            pyro.factor("y", likelihood[rows, z])

    def guide() -> None:
        with pyro.plate("data", B, dim=-1):
            pyro.sample("z", dist.Categorical(logits=q))

    objective: Any = ScoreFunctionELBO(K, baseline="leave-one-out", max_plate_nesting=1)
    if top:
        objective = SumAndSample(K, top=top, max_plate_nesting=1)
    mean = square = torch.zeros(())
    for ranks in itertools.product(range(top, S), repeat=K - top):
        value = by_rank[:, [*range(top), *ranks]].T
        weight = (probability[:, ranks] / probability[:, top:].sum(-1, keepdim=True)).prod(-1, keepdim=True)
        guided = oracles.Force({"z": lambda fn, value=value: value})(guide)
        (gradient,) = torch.autograd.grad(objective.estimate(model, guided).surrogate, q)
        mean, square = mean + weight * gradient, square + weight * gradient**2
    return mean, (square - mean**2).sum(-1)


@pytest.mark.parametrize(("top", "share"), [(1, 0.25), (2, 0.1)])
def test_a_peaked_guide_has_far_less_variance_than_with_leave_one_out(top: int, share: float) -> None:
    """In each of 200 problems: three particles, four values, the likeliest of probability 0.7 on average."""
    mean, ours = moments(2.0, 3, top)
    same, others = moments(2.0, 3, 0)
    torch.testing.assert_close(mean, same, **CLOSE)
    assert (ours < others).all()
    assert ours.sum() < share * others.sum()


# --- edges ------------------------------------------------------------------------------------------


def toy(logits: Tensor, mask: Tensor | None = None, before: Tensor | None = None) -> tuple[Program, Program]:
    """z[b] ~ q, and y[b] given z[b]; the mask takes the latent out, but not what is observed."""
    B, S = logits.shape
    prior, likelihood, rows = normal(S, seed=13), normal(B, S, seed=14), torch.arange(B)

    def latent(logits: Tensor) -> Tensor:
        with poutine.mask(mask=True if mask is None else mask):
            return pyro.sample("z", dist.Categorical(logits=logits))

    def model() -> None:
        with pyro.plate("data", B, dim=-1):
            if before is not None:
                pyro.factor("x", before)
            z = latent(prior)
            pyro.factor("y", likelihood[rows, z])

    def guide() -> None:
        with pyro.plate("data", B, dim=-1):
            latent(logits)

    return model, guide


@every_split
def test_values_without_probability_have_no_part(top: int, m: int) -> None:
    nothing = -torch.inf
    logits = torch.tensor(
        [
            [nothing, 0.5, nothing, nothing],
            [nothing, nothing, 0.3, 0.7],
            [0.1, 0.2, nothing, 0.4],
            [0.0, 0.0, 0.0, 0.0],
        ],
        dtype=torch.float64,
    ).requires_grad_()
    programs = toy(logits)
    for _ in range(5):
        estimate = SumAndSample(top + m, top=top).estimate(*programs)
        (gradient,) = torch.autograd.grad(estimate.surrogate, logits)
        exact = EnumeratedELBO().estimate(*programs)
        (expected,) = torch.autograd.grad(exact.surrogate, logits)
        summed = (logits > nothing).sum(-1) <= top
        torch.testing.assert_close(estimate.bound[summed], exact.bound[summed], **CLOSE)
        torch.testing.assert_close(gradient[summed], expected[summed], **CLOSE)
        assert estimate.bound.isfinite().all()
        assert gradient.isfinite().all()
        assert (gradient[logits == nothing] == 0).all()


def test_what_is_drawn_follows_the_guide_without_the_likeliest_values() -> None:
    """Each frequency within 6 standard errors: fails by chance less than once in 10^8 runs."""
    N, logits = 20_000, torch.tensor([0.3, 1.5, -1.0, 0.0, -torch.inf, 2.0])
    seen = {}

    def guide() -> None:
        with pyro.plate("data", N, dim=-1):
            seen["z"] = pyro.sample("z", dist.Categorical(logits=logits))

    def model() -> None:
        with pyro.plate("data", N, dim=-1):
            pyro.sample("z", dist.Categorical(logits=torch.zeros(6)))

    with pyro.validation_enabled(False):  # which would run the guide again
        SumAndSample(4, top=2, max_plate_nesting=1).estimate(model, guide)
    assert (seen["z"][:2] == torch.tensor([[5], [1]])).all()
    rest = logits[[0, 2, 3]].softmax(-1)
    for row in seen["z"][2:]:
        frequency = torch.bincount(row, minlength=6)[[0, 2, 3]] / N
        assert frequency.sum() == 1
        assert ((frequency - rest).abs() < 6 * (rest * (1 - rest) / N).sqrt()).all()


def test_a_masked_latent_is_averaged_over_all_the_same() -> None:
    """Its own probabilities do not count, what is observed given it does, and what came before it too."""
    q = normal(2, 3, seed=15)
    before, mask = torch.tensor([0.3, -0.4], dtype=torch.float64), torch.tensor([True, False])
    model, guide = toy(q, mask, before)
    bound = torch.zeros(2, dtype=torch.float64)
    best = q.argmax(-1)
    left = [[s for s in range(3) if s != best[b]] for b in range(2)]
    for s, t in itertools.product(range(2), repeat=2):
        drawn = torch.tensor([left[0][s], left[1][t]])
        p = q.detach().softmax(-1).gather(-1, drawn.unsqueeze(-1)).squeeze(-1)
        p = p / (1 - q.detach().softmax(-1).amax(-1))
        guided = oracles.Force({"z": lambda fn, drawn=drawn: torch.stack([best, drawn])})(guide)
        bound = bound + p.prod() * SumAndSample(2, top=1, max_plate_nesting=1).estimate(model, guided).bound
    log_q = q.log_softmax(-1)
    gain = normal(3, seed=13).log_softmax(-1) - log_q
    terms = gain * mask.unsqueeze(-1) + normal(2, 3, seed=14)
    torch.testing.assert_close(bound, before + (log_q.exp() * terms).sum(-1).detach(), **CLOSE)


def test_masked_elements_give_and_get_exactly_nothing() -> None:
    case = cases.alignment(batch=cases.alignment_batch((4, 2), (2, 1), padded=(1, 2)))
    (batch,) = case.args
    seen: dict[str, Tensor] = {}

    def guide(batch: Any) -> None:
        with poutine.trace() as record:
            case.guide(batch)
        seen["logits"] = record.trace.nodes["alignment"]["fn"].logits
        seen["logits"].retain_grad()

    objective = SumAndSample(3, top=1, max_plate_nesting=2)
    with pyro.validation_enabled(False):  # which would run the guide again
        estimate = objective.estimate(case.model, guide, *case.args)
    estimate.surrogate.backward()
    gradient = seen["logits"].grad
    assert gradient is not None
    assert (gradient[~batch.target_mask] == 0).all()
    assert gradient.abs().max() > 1e-4


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("particles", "top"), [(1, 1), (2, 2), (3, 4), (4, 0)])
def test_something_is_summed_and_something_sampled(particles: int, top: int) -> None:
    with pytest.raises(UsageError, match=f"top is at least 1 and below the {particles} particles, got {top}"):
        SumAndSample(particles, top=top)


def test_one_categorical_latent_an_instance() -> None:
    objective, chain, both = SumAndSample(3, top=1), cases.chain((2,)), cases.two_supports()
    with pytest.raises(UsageError, match=r"the guide draws 'z_0' \(Categorical\), 'z_1' \(Categorical\)"):
        objective.estimate(chain.model, chain.guide, *chain.args)
    with pytest.raises(UsageError, match=r"'colour' \(Categorical\), 'shape' \(Categorical\)"):
        objective.estimate(both.model, both.guide, *both.args)

    def normal_latent() -> None:
        with pyro.plate("data", 2, dim=-1):
            pyro.sample("z", dist.Normal(0.0, 1.0))

    def nothing() -> None:
        with pyro.plate("data", 2, dim=-1):
            pyro.sample("y", dist.Normal(0.0, 1.0), obs=torch.zeros(2))

    with pytest.raises(UsageError, match=r"the guide draws 'z' \(Normal\)"):
        objective.estimate(normal_latent, normal_latent)
    likelihood = dist.Normal(0.0, 1.0).log_prob(torch.zeros(2))
    torch.testing.assert_close(objective.estimate(nothing, lambda: None).bound, likelihood)


def test_a_latent_in_more_plates_than_the_data_is_refused() -> None:
    def program(observed: bool) -> None:
        with pyro.plate("data", 2, dim=-2):
            with pyro.plate("step", 3, dim=-1):
                z = pyro.sample("z", dist.Categorical(logits=torch.zeros(4)))
            if observed:
                pyro.sample("y", dist.Normal(z.sum(-1, keepdim=True).float(), 1.0), obs=torch.zeros(2, 1))

    with pytest.raises(UsageError, match="'z' has 0 event dims in the plates"):
        SumAndSample(3, top=1).estimate(lambda: program(True), lambda: program(False))
