"""The unordered set: unbiased by summing over every order of draws, exact where all values are drawn."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import Case, normal
from oracles import Latent, Twin
from pyro import poutine
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.inference.exact import EnumeratedELBO
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.sum_and_sample import SumAndSample
from hardpp.inference.unordered_set import UnorderedSet
from hardpp.types import Program

CLOSE = {"rtol": 0, "atol": 1e-9}

every_size = pytest.mark.parametrize("K", [2, 3])


def orders(probability: Tensor, K: int) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Every way to draw K of C values without replacement; all of them and the first again if C < K."""
    for order in itertools.permutations(range(len(probability)), min(K, len(probability))):
        weight = left = torch.ones((), dtype=probability.dtype)
        for chosen in order[: len(probability) - 1]:  # the last of all is certain
            weight, left = weight * probability[chosen] / left, left - probability[chosen]
        yield order + order[:1] * (K - len(order)), weight


def sets(probability: Tensor, K: int) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Every set of K of C values, in one order, with the probability of them all."""
    found: dict[frozenset[int], tuple[tuple[int, ...], Tensor]] = {}
    for order, weight in orders(probability, K):
        first, total = found.get(frozenset(order), (order, torch.zeros(())))
        found[frozenset(order)] = first, total + weight
    yield from found.values()


def forced(program: Program, values: dict[str, Tensor]) -> Program:
    return oracles.Force({name: lambda fn, value=value: value for name, value in values.items()})(program)


def check(case: Case, bound: Tensor, surrogate: Tensor) -> None:
    exact = oracles.bound_per_datum(case.twin)
    torch.testing.assert_close(bound, exact.detach(), **CLOSE)
    for parameters in (case.of_model, case.of_guide):
        expected = oracles.flat_gradient(exact.sum(), parameters)
        assert not parameters or expected.abs().max() > 1e-2  # otherwise the check is empty
        torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)


# --- one latent an instance -------------------------------------------------------------------------


def draws(guide: Program, args: Any, mask: Tensor, K: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Every set of K values at each live element of an alignment: probability, (K, B, T) values."""
    logits = poutine.trace(guide).get_trace(*args).nodes["alignment"]["fn"].logits.detach()
    live, options = mask.nonzero().tolist(), []
    for b, t in live:
        there = (logits[b, t] > -torch.inf).nonzero().squeeze(-1)
        ways = sets(logits[b, t][there].exp(), K)
        options.append([(there[list(chosen)], weight) for chosen, weight in ways])
    for combination in itertools.product(*options):
        value, probability = (
            torch.zeros(K, *mask.shape, dtype=torch.int64),
            torch.ones((), dtype=logits.dtype),
        )
        for (b, t), (column, weight) in zip(live, combination, strict=True):
            value[:, b, t] = column
            probability = probability * weight
        yield probability, value


@every_size
@pytest.mark.parametrize("guide", ["variational", "prior", "prior in one run"])
def test_the_expectation_is_exact_at_every_step_of_an_alignment(guide: str, K: int) -> None:
    """A sentence of four positions, and one of two, which for K = 3 are all there is."""
    case = cases.alignment(guide.split()[0], cases.alignment_batch((4, 2), (2, 1)))
    exact = EnumeratedELBO().estimate(case.model, case.guide, *case.args)
    objective = UnorderedSet(K, max_plate_nesting=2)
    bound = surrogate = total = torch.zeros(())
    for probability, value in draws(case.guide, case.args, case.args[0].target_mask, K):
        values = {"alignment": value}
        model, guided = case.model, forced(case.guide, values)
        if guide == "prior in one run":
            model = forced(case.model, values)
            guided = partial(case.guide)
            guided.prior_of = model  # type: ignore[attr-defined]
        estimate = objective.estimate(model, guided, *case.args)
        bound = bound + probability * estimate.bound
        surrogate = surrogate + probability * estimate.surrogate
        total = total + probability
    torch.testing.assert_close(total, torch.ones_like(total), **CLOSE)
    torch.testing.assert_close(bound, exact.bound, **CLOSE)
    for parameters in (case.of_model, case.of_guide):
        expected = oracles.flat_gradient(exact.surrogate, parameters)
        assert not parameters or expected.abs().max() > 1e-2
        torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)


def toy(logits: Tensor, mask: Tensor | None = None) -> tuple[Case, dict[str, Any]]:
    """z[b] ~ q, and y[b] given z[b]; the mask takes the latent out, but not what is observed."""
    B, S = logits.shape
    prior, likelihood = normal(S, seed=13), normal(B, S, seed=14)
    rows, q = torch.arange(B), nn.Parameter(logits)
    mask = torch.ones(B, dtype=torch.bool) if mask is None else mask

    def program(scores: Tensor, observed: bool) -> None:
        with pyro.plate("data", B, dim=-1):
            with poutine.mask(mask=mask):
                z = pyro.sample("z", dist.Categorical(logits=scores))
            if observed:
                pyro.factor("y", likelihood[rows, z])

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        z = values["z"]
        log_p = prior.log_softmax(-1)[z] * mask + likelihood[rows, z]
        return log_p, q.log_softmax(-1)[rows, z] * mask

    twin = Twin({"z": Latent(S, mask)}, joint)
    case = Case(lambda: program(prior, True), lambda: program(q, False), (), twin)
    return case, {"of_model": [prior, likelihood], "of_guide": [q]}


@every_size
@pytest.mark.parametrize("spread", [0.3, 1.0, 4.0])
def test_the_expectation_is_exact_for_four_values(K: int, spread: float) -> None:
    case, parameters = toy(spread * normal(1, 4, seed=15).detach())
    check_expectation(case, K, **parameters)


def check_expectation(case: Case, K: int, of_model: list[Any], of_guide: list[Any], nesting: int = 1) -> None:
    values = oracles.tuples(case.twin.latents)
    with torch.no_grad():
        probability = case.twin.joint(values)[1].sum(-1).exp()
    objective = UnorderedSet(K, max_plate_nesting=nesting)
    bound = surrogate = torch.zeros(())
    ways = orders if len(probability) < 8 else sets  # what the set is in another order is the same
    for order, weight in ways(probability, K):
        guide = forced(case.guide, {name: value[list(order)] for name, value in values.items()})
        estimate = objective.estimate(case.model, guide, *case.args)
        bound = bound + weight * estimate.bound
        surrogate = surrogate + weight * estimate.surrogate
    exact = oracles.bound_per_datum(case.twin)
    torch.testing.assert_close(bound, exact.detach(), **CLOSE)
    for parameters in (of_model, of_guide):
        expected = oracles.flat_gradient(exact.sum(), parameters)
        assert expected.abs().max() > 1e-2  # otherwise the check is empty
        torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)


# --- several latents --------------------------------------------------------------------------------

SEQUENCES: dict[str, Callable[[], Case]] = {
    "two steps of two values": lambda: cases.chain((2,)),
    "two steps of three values": lambda: cases.chain((2,), S=3),
    "three steps of two values": lambda: cases.chain((3,)),
    "all of the past": lambda: cases.history(3),
    "different supports": cases.two_supports,
}


@every_size
@pytest.mark.parametrize("name", SEQUENCES)
def test_the_expectation_is_exact_for_whole_sequences(name: str, K: int) -> None:
    case = SEQUENCES[name]()
    check_expectation(case, K, case.of_model, case.of_guide)


@every_size
def test_the_expectation_is_exact_where_one_sequence_is_shorter(K: int) -> None:
    """Each datum has draws of its own; of one with two values and K = 3 they are all there is."""
    case = cases.chain((2, 1))
    alone = [Latent(2, mask) for mask in case.args[1].T]
    _, log_q = case.twin.joint(values := oracles.tuples({f"z_{t}": each for t, each in enumerate(alone)}))
    ways = []
    for b, length in enumerate((2, 1)):
        other = values[f"z_{0}"][:, 1 - b] + (values["z_1"][:, 0] if b else 0)
        rows = (other == 0).nonzero().squeeze(-1)  # where the other datum has its first values
        assert len(rows) == 2**length
        ways.append([([rows[i] for i in order], w) for order, w in orders(log_q[rows, b].detach().exp(), K)])
    bound = surrogate = torch.zeros(())
    for first, second in itertools.product(*ways):
        chosen = {n: torch.stack([v[first[0], 0], v[second[0], 1]], -1) for n, v in values.items()}
        estimate = UnorderedSet(K, max_plate_nesting=1).estimate(
            case.model, forced(case.guide, chosen), *case.args
        )
        bound = bound + first[1] * second[1] * estimate.bound
        surrogate = surrogate + first[1] * second[1] * estimate.surrogate
    check(case, bound, surrogate)


@every_size
def test_a_reparameterised_latent_beside_it(K: int) -> None:
    """E over z by every order, and over x by Gauss and Hermite, exact for a quadratic."""
    model, guide, args = cases.mixed()
    noise = torch.tensor([-(3**0.5), 0.0, 3**0.5], dtype=torch.float64)
    weight = torch.tensor([1 / 6, 2 / 3, 1 / 6], dtype=torch.float64)

    def joint(z: Tensor, x: Tensor) -> Tensor:
        def latents(program: Any) -> Tensor:
            of_x = dist.Normal(program.mean[z], program.log_sd.exp()[z]).log_prob(x)
            return program.logits.log_softmax(-1)[z] + of_x

        return latents(model) + dist.Normal(model.slope[z] * x, 1.0).log_prob(args[0]) - latents(guide)

    z, e = (index.flatten() for index in torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij"))
    x = guide.mean[z] + guide.log_sd.exp()[z] * noise[e]
    exact = (guide.logits.softmax(-1)[z] * weight[e] * joint(z, x)).sum()

    bound = surrogate = torch.zeros(())
    for order, probability in orders(guide.logits.softmax(-1).detach(), K):
        for es in itertools.product(range(3), repeat=K):
            eps = noise[list(es)].unsqueeze(-1)
            given = {
                "z": lambda fn, order=order: torch.tensor(order).unsqueeze(-1),
                "x": lambda fn, eps=eps: fn.loc + fn.scale * eps,
            }
            estimate = UnorderedSet(K, max_plate_nesting=1).estimate(
                model, oracles.Force(given)(guide), *args
            )
            bound = bound + probability * weight[list(es)].prod() * estimate.bound.sum()
            surrogate = surrogate + probability * weight[list(es)].prod() * estimate.surrogate
    torch.testing.assert_close(bound, exact.detach(), **CLOSE)
    for program in (model, guide):
        parameters = list(program.parameters())
        expected = oracles.flat_gradient(exact, parameters)
        torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)


# --- all values are drawn ---------------------------------------------------------------------------


@pytest.mark.parametrize("particles", [4, 5, 9])
@pytest.mark.parametrize("guide", cases.ALIGNMENT_GUIDES)
def test_enough_values_are_the_enumerated_bound(guide: str, particles: int) -> None:
    """Draw by draw, without forcing; the longest source has four positions and one more of padding."""
    case = cases.alignment(guide, cases.alignment_batch((4, 1, 3), (2, 3, 1), padded=(1, 1)))
    exact = EnumeratedELBO().estimate(case.model, case.guide, *case.args)
    estimate = UnorderedSet(particles).estimate(case.model, case.guide, *case.args)
    torch.testing.assert_close(estimate.bound, exact.bound, rtol=0, atol=1e-12)
    parameters = [*case.of_model, *case.of_guide]
    expected = oracles.flat_gradient(exact.surrogate, parameters)
    found = oracles.flat_gradient(estimate.surrogate, parameters)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert estimate.log_weights is None
    assert estimate.diagnostics == {}


@pytest.mark.parametrize("particles", [8, 10])
@pytest.mark.parametrize("lengths", [(3,), (3, 1), (1, 3, 2)])
def test_enough_sequences_are_the_enumerated_bound(lengths: tuple[int, ...], particles: int) -> None:
    """Those that are missing have no part: of three steps there are eight, of fewer steps fewer."""
    case = cases.chain(lengths)
    exact = EnumeratedELBO().estimate(case.model, case.guide, *case.args)
    for _ in range(3):
        estimate = UnorderedSet(particles).estimate(case.model, case.guide, *case.args)
        check(case, estimate.bound, estimate.surrogate)
        torch.testing.assert_close(estimate.bound, exact.bound, rtol=0, atol=1e-12)


def test_a_prior_as_guide_in_steps_is_run_once() -> None:
    """Model and guide are one program, whose score has no part in the gradient of the model."""
    case = cases.chain((3, 2))
    guide = partial(poutine.block(case.model, hide_fn=lambda site: site["is_observed"]))
    guide.prior_of = case.model  # type: ignore[attr-defined]
    exact = EnumeratedELBO().estimate(case.model, guide, *case.args)
    estimate = UnorderedSet(8, max_plate_nesting=1).estimate(case.model, guide, *case.args)
    torch.testing.assert_close(estimate.bound, exact.bound, rtol=0, atol=1e-12)
    expected = oracles.flat_gradient(exact.surrogate, case.of_model)
    torch.testing.assert_close(oracles.flat_gradient(estimate.surrogate, case.of_model), expected, **CLOSE)


def test_the_score_of_a_prior_alone_is_nothing() -> None:
    """Draw by draw, if what is observed says nothing of the latent."""
    logits = normal(2, 5, seed=3)

    def model() -> None:
        with pyro.plate("data", 2, dim=-1):
            pyro.sample("z", dist.Categorical(logits=logits))
            pyro.sample("y", dist.Normal(0.0, 1.0), obs=torch.ones(2, dtype=torch.float64))

    guide = partial(poutine.block(model, hide_fn=lambda site: site["is_observed"]))
    guide.prior_of = model  # type: ignore[attr-defined]
    estimate = UnorderedSet(3).estimate(model, guide)
    (gradient,) = torch.autograd.grad(estimate.surrogate, logits)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-15)


# --- variance ---------------------------------------------------------------------------------------


def moments(objective: SurrogateObjective, spread: float, K: int, B: int = 200, S: int = 4) -> Any:
    """Mean and variance of the guide's gradient in B random problems at once."""
    q = nn.Parameter(spread * normal(B, S, seed=11).detach())
    likelihood, rows = normal(B, S, seed=12).detach(), torch.arange(B)

    def model() -> None:
        with pyro.plate("data", B, dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=torch.zeros(S, dtype=torch.float64)))
            pyro.factor("y", likelihood[rows, z])

    def guide() -> None:
        with pyro.plate("data", B, dim=-1):
            pyro.sample("z", dist.Categorical(logits=q))

    top = getattr(objective, "top", 0)
    by_rank = q.detach().argsort(-1, descending=True)  # (B, S)
    p = q.detach().softmax(-1).gather(-1, by_rank)
    mean = square = torch.zeros(())
    for ranks in itertools.product(range(top, S), repeat=K - top):
        if isinstance(objective, UnorderedSet):
            if len(set(ranks)) < K:
                continue
            left = 1 - torch.cat([torch.zeros(B, 1), p[:, ranks[:-1]].cumsum(-1)], -1)
        else:
            left = p[:, top:].sum(-1, keepdim=True)
        weight = (p[:, ranks] / left).prod(-1, keepdim=True)
        value = by_rank[:, [*range(top), *ranks]].T
        (gradient,) = torch.autograd.grad(objective.estimate(model, forced(guide, {"z": value})).surrogate, q)
        mean, square = mean + weight * gradient, square + weight * gradient**2
    return mean, (square - mean**2).sum(-1)


@pytest.mark.parametrize(("spread", "of_others", "of_summed"), [(0.5, 0.35, 0.6), (2.0, 0.1, 0.4)])
def test_it_has_far_less_variance(spread: float, of_others: float, of_summed: float) -> None:
    """Three particles, four values, 200 problems, a guide that is even or peaked.

    Less than leave-one-out in each problem, and than one value summed and two sampled in nearly all.
    """
    nesting = {"max_plate_nesting": 1}
    mean, ours = moments(UnorderedSet(3, **nesting), spread, 3)
    same, others = moments(ScoreFunctionELBO(3, baseline="leave-one-out", **nesting), spread, 3)
    also, summed = moments(SumAndSample(3, top=1, **nesting), spread, 3)
    torch.testing.assert_close(mean, same, **CLOSE)
    torch.testing.assert_close(mean, also, **CLOSE)
    assert (ours < others).all()
    assert ours.sum() < of_others * others.sum()
    assert (ours < summed).sum() >= 180
    assert ours.sum() < of_summed * summed.sum()


# --- edges ------------------------------------------------------------------------------------------


@every_size
def test_values_without_probability_have_no_part(K: int) -> None:
    nothing = -torch.inf
    logits = torch.tensor(
        [
            [nothing, 0.5, nothing, nothing],
            [nothing, nothing, 0.3, 0.7],
            [0.1, 0.2, nothing, 0.4],
            [0.0, 0.0, 0.0, 0.0],
        ],
        dtype=torch.float64,
    )
    case, parameters = toy(logits)
    (q,) = parameters["of_guide"]
    summed = (logits > nothing).sum(-1) <= K
    exact = EnumeratedELBO().estimate(case.model, case.guide)
    (expected,) = torch.autograd.grad(exact.surrogate, q)
    for _ in range(5):
        estimate = UnorderedSet(K).estimate(case.model, case.guide)
        (gradient,) = torch.autograd.grad(estimate.surrogate, q)
        torch.testing.assert_close(estimate.bound[summed], exact.bound[summed], **CLOSE)
        torch.testing.assert_close(gradient[summed], expected[summed], **CLOSE)
        assert estimate.bound.isfinite().all()
        assert gradient.isfinite().all()
        assert (gradient[logits == nothing] == 0).all()


def test_a_masked_latent_is_one_value_that_the_guide_draws() -> None:
    """Its own probabilities do not count, what is observed given it does."""
    N, p = 20_000, torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    case, parameters = toy(p.log().expand(N, 3).clone(), torch.zeros(N, dtype=torch.bool))
    estimate = UnorderedSet(2).estimate(case.model, case.guide)
    likelihood = parameters["of_model"][1].detach()
    expected = likelihood @ p
    error = (likelihood**2 @ p - expected**2).mean().sqrt() / N**0.5
    assert (estimate.bound - expected).mean().abs() < 6 * error  # by chance once in 10^8 runs
    (gradient,) = torch.autograd.grad(estimate.surrogate, parameters["of_guide"])
    assert (gradient == 0).all()


def test_masked_elements_give_and_get_exactly_nothing() -> None:
    case = cases.alignment(batch=cases.alignment_batch((4, 2), (2, 1), padded=(1, 2)))
    (batch,) = case.args
    seen: dict[str, Tensor] = {}

    def guide(batch: Any) -> None:
        with poutine.trace() as record:
            case.guide(batch)
        seen["logits"] = record.trace.nodes["alignment"]["fn"].logits
        seen["logits"].retain_grad()

    with pyro.validation_enabled(False):  # which would run the guide again
        estimate = UnorderedSet(3, max_plate_nesting=2).estimate(case.model, guide, *case.args)
    estimate.surrogate.backward()
    gradient = seen["logits"].grad
    assert gradient is not None
    assert (gradient[~batch.target_mask] == 0).all()
    assert gradient.abs().max() > 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_narrow_logits(dtype: torch.dtype) -> None:
    """Weights are computed in float64; value and gradient keep the precision of the programs."""
    wide, of_wide = toy(normal(3, 4, seed=15).detach().to(dtype).double())
    narrow, of_narrow = toy(normal(3, 4, seed=15).detach().to(dtype))
    exact = EnumeratedELBO().estimate(wide.model, wide.guide)
    estimate = UnorderedSet(4).estimate(narrow.model, narrow.guide)
    (expected,) = torch.autograd.grad(exact.surrogate, of_wide["of_guide"])
    (found,) = torch.autograd.grad(estimate.surrogate, of_narrow["of_guide"])
    atol = 1e-5 if dtype == torch.float32 else 1e-2
    torch.testing.assert_close(estimate.bound.double(), exact.bound, rtol=0, atol=atol)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=atol)


# --- refusals ---------------------------------------------------------------------------------------


def test_sizes() -> None:
    with pytest.raises(UsageError, match="unordered-set compares particles: it needs at least 2, got 1"):
        UnorderedSet(1)
    with pytest.raises(UsageError, match="unordered-set draws at most 12 values, got 13 particles"):
        UnorderedSet(13)


def test_categorical_latents_are_wanted() -> None:
    objective = UnorderedSet(3)

    def program(fn: Any) -> Program:
        def run() -> None:
            with pyro.plate("data", 2, dim=-1):
                pyro.sample("z", fn)

        return run

    def nothing() -> None:
        with pyro.plate("data", 2, dim=-1):
            pyro.sample("y", dist.Normal(0.0, 1.0), obs=torch.zeros(2))

    for fn in (dist.Normal(0.0, 1.0), dist.Bernoulli(0.5)):
        kind = type(fn).__name__
        with pytest.raises(UsageError, match=rf"takes Categorical latents, the guide draws 'z' \({kind}\)"):
            objective.estimate(program(fn), program(fn))
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
        UnorderedSet(3).estimate(lambda: program(True), lambda: program(False))


def test_a_guide_that_is_another_each_time_is_refused() -> None:
    """With dropout before the second of two latents, but not with one latent, for which it runs once."""
    weight = normal(2, 50, 3, seed=9)

    def guide(T: int) -> None:
        with pyro.plate("data", 4, dim=-1):
            for t in range(T):
                scores = nn.functional.dropout(torch.ones(4, 50, dtype=torch.float64)) @ weight[t]
                pyro.sample(f"z_{t}", dist.Categorical(logits=scores))

    UnorderedSet(3).estimate(lambda: guide(1), lambda: guide(1))
    with pytest.raises(UsageError, match="it needs a guide without dropout"):
        UnorderedSet(3).estimate(lambda: guide(2), lambda: guide(2))


@pytest.mark.parametrize("validation", [True, False])
def test_a_one_hot_latent_after_others_is_not_taken_for_dropout(validation: bool) -> None:
    def both() -> None:
        with pyro.plate("data", 2, dim=-1):
            a = pyro.sample("a", dist.Categorical(logits=torch.zeros(3)))
            pyro.sample("b", dist.Categorical(logits=torch.eye(3)[a]))
            pyro.sample("hot", dist.OneHotCategorical(logits=torch.zeros(4)))

    with (
        pyro.validation_enabled(validation),
        pytest.raises(UsageError, match=r"takes Categorical latents, the guide draws .*'hot' \(OneHotCateg"),
    ):
        UnorderedSet(3).estimate(both, both)
