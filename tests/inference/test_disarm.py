"""Antithetic draws, weighed by their joint distribution: all K of the latent tuples are forced once."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import normal, ragged
from oracles import Latent, Twin
from pyro import poutine
from torch import Tensor, nn

from hardpp.distributions.step_independent import StepIndependent
from hardpp.errors import UsageError
from hardpp.inference import disarm
from hardpp.inference.disarm import DisARM
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.weights.particles import particle_trace

CLOSE = {"rtol": 0, "atol": 1e-9}
Run = Callable[..., None]


class Case(NamedTuple):
    model: Run
    guide: Run
    args: tuple[Any, ...]
    of_model: list[nn.Parameter]
    of_guide: list[nn.Parameter]
    twin: Twin
    coupled: dict[str, Callable[[], Tensor]]  # probabilities of each coupled site, (*plates, S)
    dtype: torch.dtype = torch.int64  # of a draw
    nesting: int = 1


def draws(case: Case, K: int = 2, independent: bool = False) -> Iterator[tuple[Tensor, Run, Run]]:
    """The probability of every K of the tuples, and a model and a guide that draw them."""
    coupled = {} if independent else {name: q().detach() for name, q in case.coupled.items()}
    for probability, values in oracles.antithetic_draws(case.twin, K, coupled):
        drawn = {name: value.to(case.dtype) for name, value in values.items()}
        force = oracles.Force({name: lambda fn, v=value: v for name, value in drawn.items()})
        model, guide = case.model, force(case.guide)
        if hasattr(case.guide, "prior_of"):  # whose model is run to draw as well as to score
            guide.prior_of = model = force(model)
        yield probability, model, guide


# --- programs ---------------------------------------------------------------------------------------


def chain_under_independent_steps(lengths: tuple[int, ...], S: int = 2) -> Case:
    case = cases.chain_under_independent_steps(lengths, S)
    table = case.guide.table
    return prefix_guided(case, {f"z_{t}": lambda t=t: table[t].softmax(-1) for t in range(len(table))})


MASK = ragged([2, 1])
STYLES = ["plates", "inner-plate", "event", "steps", "masked-steps"]


def bernoulli(style: str) -> Case:
    """Binary z[b, t] of a ragged batch and y[b, t] given z[b, : t + 1], as plates, events or steps."""
    B, T = MASK.shape
    prior, q, effect = normal(T, seed=4), normal(B, T, seed=5), normal(T, 2, seed=6)
    y = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)

    plates = 2 if style in ("plates", "inner-plate") else 1

    def wrap(fn: Any) -> Any:
        return (StepIndependent if "steps" in style else lambda fn: fn.to_event(1))(fn.mask(MASK))

    def latent(logits: Tensor, step: Any) -> Tensor:
        if plates == 2:
            with step, poutine.mask(mask=MASK):
                return pyro.sample("z", dist.Bernoulli(logits=logits))
        return pyro.sample("z", wrap(dist.Bernoulli(logits=logits)))

    def seen(z: Tensor) -> Tensor:
        past = z if style == "plates" else (z * MASK).cumsum(-1)
        return effect[:, 0] * past + effect[:, 1] * past**2

    def model() -> None:
        step = pyro.plate("step", T, dim=-1)
        with pyro.plate("data", B, dim=-plates):
            z = latent(prior, step)
            if style == "plates":
                with step, poutine.mask(mask=MASK):
                    pyro.sample("y", dist.Bernoulli(logits=seen(z)), obs=y)
            elif style == "inner-plate":  # the data are the only instances: z is summed over its steps
                mean = (seen(z) * MASK).sum(-1, keepdim=True)
                pyro.sample("y", dist.Bernoulli(logits=mean), obs=y[:, :1])
            else:
                pyro.sample("y", wrap(dist.Bernoulli(logits=seen(z))), obs=y)

    def guide() -> None:
        with pyro.plate("data", B, dim=-plates):
            latent(q, pyro.plate("step", T, dim=-1))

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        z = values["z"].double()  # (C, B, T)

        def term(logits: Tensor, x: Tensor) -> Tensor:
            return (x * logits - nn.functional.softplus(logits)) * MASK

        log_p = term(prior, z).sum(-1)
        if style == "inner-plate":
            mean = (seen(z) * MASK).sum(-1)
            log_p = log_p + y[:, 0] * mean - nn.functional.softplus(mean)
        else:
            log_p = log_p + term(seen(z), y).sum(-1)
        return log_p, term(q, z).sum(-1)

    twin = Twin({"z": Latent(2, MASK)}, joint)
    return Case(
        model,
        guide,
        (),
        [prior, effect],
        [q],
        twin,
        {"z": lambda: torch.stack([(-q).sigmoid(), q.sigmoid()], -1)},
        torch.float64,
        plates,
    )


def prefix_guided(case: cases.Case, coupled: dict[str, Callable[[], Tensor]]) -> Case:
    return Case(case.model, case.guide, case.args, case.of_model, case.of_guide, case.twin, coupled)


def history() -> Case:
    case = cases.history(2)
    return prefix_guided(case, {"z_0": lambda: case.guide.prior[0][:1].softmax(-1)})


def two_supports() -> Case:
    case = cases.two_supports()
    return prefix_guided(case, {"colour": lambda: case.guide.first.softmax(-1).unsqueeze(0)})


def alignment(guide: str) -> Case:
    """Two words of three positions and a padded one, which the values of the tuples leave out."""
    batch = cases.alignment_batch((3,), (2,), padded=(1, 1))
    case = cases.alignment(guide, batch)

    def q() -> Tensor:
        logits = poutine.trace(case.guide).get_trace(batch).nodes["alignment"]["fn"].logits
        return logits[..., :3].softmax(-1)

    return prefix_guided(case, {"alignment": q})._replace(nesting=2)


PROGRAMS: dict[str, Callable[[], Case]] = {
    "chain": lambda: chain_under_independent_steps((3,)),
    "chain-ragged": lambda: chain_under_independent_steps((2, 1)),
    "chain-three-values": lambda: chain_under_independent_steps((2,), 3),
    **{style: (lambda style=style: bernoulli(style)) for style in STYLES},
    "autoregressive": history,
    "beside-three-values": two_supports,
    "alignment-variational": lambda: alignment("variational"),
    "alignment-prior": lambda: alignment("prior"),
}
THREE = ["chain-ragged", "chain-three-values", "masked-steps", "beside-three-values", "alignment-prior"]
MANY = [(name, 2) for name in PROGRAMS] + [(name, 3) for name in THREE]


# --- expectations -----------------------------------------------------------------------------------


def test_two_particles_of_two_values_are_an_antithetic_pair() -> None:
    """b = 1[u < p] and c = 1[u > 1 - p]."""
    for p in (0.0, 0.2, 0.5, 0.9, 1.0):
        both, one = max(0.0, 2 * p - 1), min(p, 1 - p)
        pair = torch.tensor([[1 - both - 2 * one, one], [one, both]], dtype=torch.float64)
        torch.testing.assert_close(
            oracles.antithetic_law(torch.tensor([1 - p, p], dtype=torch.float64), 2), pair, **CLOSE
        )


@pytest.mark.parametrize(("name", "K"), MANY)
def test_the_expectation_is_exact(name: str, K: int) -> None:
    case = PROGRAMS[name]()
    bound = surrogate = torch.zeros(())
    for probability, model, guide in draws(case, K):
        estimate = DisARM(K, max_plate_nesting=case.nesting).estimate(model, guide, *case.args)
        bound = bound + probability * estimate.bound
        surrogate = surrogate + probability * estimate.surrogate
    exact = oracles.bound_per_datum(case.twin)
    torch.testing.assert_close(bound, exact.detach(), **CLOSE)
    for parameters in (case.of_model, case.of_guide):
        expected = oracles.flat_gradient(exact.sum(), parameters)
        assert not parameters or expected.abs().max() > 1e-2  # otherwise the check is empty
        torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)


# --- variance ---------------------------------------------------------------------------------------


class Problems(NamedTuple):
    """Problems of one latent each, all in one plate."""

    q: nn.Parameter  # (B, S)
    program: Callable[[Tensor, bool], None]
    prior: nn.Parameter

    def moments(self, objective: SurrogateObjective, coupled: bool) -> tuple[Tensor, Tensor]:
        """Exact first and second moments of the gradient of q, (B, S) each."""
        K, (B, S) = objective.num_particles, self.q.shape
        own = self.q.detach().softmax(-1)
        laws = torch.stack([oracles.antithetic_law(q, K) for q in own]) if coupled else None
        first = second = torch.zeros(())
        for values in itertools.product(range(S), repeat=K):
            probability = own[:, list(values)].prod(-1) if laws is None else laws[(slice(None), *values)]
            value = torch.tensor(values).unsqueeze(-1).expand(K, B)
            forced = oracles.Force({"z": lambda fn, value=value: value})
            surrogate = objective.estimate(
                lambda: self.program(self.prior, True), forced(lambda: self.program(self.q, False))
            ).surrogate
            gradient = torch.autograd.grad(surrogate, self.q)[0]
            first = first + probability.unsqueeze(-1) * gradient
            second = second + probability.unsqueeze(-1) * gradient**2
        return first, second


def problems(B: int, S: int) -> Problems:
    prior, q, effect = (normal(B, S, seed=seed) for seed in (7, 8, 9))

    def program(logits: Tensor, observed: bool) -> None:
        with pyro.plate("data", B, dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=logits))
            if observed:
                rate = 3 * effect.gather(1, z.movedim(0, -1)).movedim(-1, 0)
                pyro.sample("y", dist.Bernoulli(logits=rate), obs=torch.ones(B, dtype=torch.float64))

    return Problems(q, program, prior)


def leave_one_out(K: int) -> ScoreFunctionELBO:
    return ScoreFunctionELBO(K, baseline="leave-one-out", max_plate_nesting=1)


def test_one_latent_of_two_values_keeps_this_share_of_the_second_moment() -> None:
    """max(p, 1 - p) of leave-one-out's, for two particles."""
    each = problems(300, 2)
    mean, square = each.moments(DisARM(max_plate_nesting=1), True)
    same, of_two = each.moments(leave_one_out(2), False)
    torch.testing.assert_close(mean, same, **CLOSE)
    certain = each.q.softmax(-1).amax(-1, keepdim=True).detach()
    torch.testing.assert_close(square, certain * of_two, **CLOSE)
    assert (square - mean**2 < of_two - same**2).all()


@pytest.mark.parametrize(("S", "K", "share"), [(3, 2, 0.7), (6, 2, 0.9), (3, 4, 0.6), (5, 3, 0.75)])
def test_one_latent_of_many_values_has_less_variance(S: int, K: int, share: float) -> None:
    """In 60 problems together, and in most of them one by one."""
    each = problems(60, S)
    mean, square = each.moments(DisARM(K, max_plate_nesting=1), True)
    same, of_loo = each.moments(leave_one_out(K), False)
    torch.testing.assert_close(mean, same, **CLOSE)
    ours, theirs = (square - mean**2).sum(-1), (of_loo - same**2).sum(-1)
    assert ours.sum() < share * theirs.sum()
    assert (ours < theirs).double().mean() > 0.85


LESS = [(name, 2) for name in ("plates", "inner-plate", "autoregressive", "alignment-prior", *THREE[1:4])]
LESS += [("chain-ragged", 3), ("beside-three-values", 3)]


def variance(case: Case, coupled: bool, K: int = 2) -> Tensor:
    nesting = {"max_plate_nesting": case.nesting}
    objective = DisARM(K, **nesting) if coupled else ScoreFunctionELBO(K, baseline="leave-one-out", **nesting)
    parameters = [*case.of_model, *case.of_guide]
    first = second = torch.zeros(())
    for probability, model, guide in draws(case, K, independent=not coupled):
        surrogate = objective.estimate(model, guide, *case.args).surrogate
        gradient = oracles.flat_gradient(surrogate, parameters)
        first, second = first + probability * gradient, second + probability * gradient**2
    return (second - first**2).sum()


@pytest.mark.parametrize(("name", "K"), LESS)
def test_several_latents_have_less_variance_too(name: str, K: int) -> None:
    case = PROGRAMS[name]()
    assert variance(case, True, K) < 0.95 * variance(case, False, K)


def test_but_latents_that_do_not_matter_may_cost_more_than_is_gained() -> None:
    """Three latents of probability 0.79 that say nothing, before one of 0.5 that says it all."""
    logits = [
        nn.Parameter(torch.tensor(x, dtype=torch.float64).log()) for x in [[0.21, 0.79]] * 3 + [[1.0, 1.0]]
    ]
    seen = torch.tensor([[0.8, 0.2], [0.2, 0.8]], dtype=torch.float64).log()

    def program(observed: bool) -> None:
        with pyro.plate("data", 1, dim=-1):
            for t in range(4):
                own = logits[t].detach() if observed else logits[t]
                z = pyro.sample(f"z_{t}", dist.Categorical(logits=own))
            if observed:
                pyro.sample("y", dist.Categorical(logits=seen[z]), obs=torch.zeros(1, dtype=torch.int64))

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        log_q = sum(logits[t].log_softmax(-1)[values[f"z_{t}"]] for t in range(4))
        return log_q.detach() + seen[values["z_3"], 0], log_q

    every = torch.ones(1, dtype=torch.bool)
    twin = Twin({f"z_{t}": Latent(2, every) for t in range(4)}, joint)
    coupled = {f"z_{t}": lambda t=t: logits[t].softmax(-1).unsqueeze(0) for t in range(4)}
    case = Case(lambda: program(True), lambda: program(False), (), [], logits, twin, coupled)
    assert variance(case, coupled=True) > 1.02 * variance(case, coupled=False)


# --- draws ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("q", "K", "binary"),
    [
        ([11, 5], 2, True),
        ([0, 16], 2, True),
        ([5, 11], 2, False),
        ([3, 0, 9, 4], 2, False),
        ([1, 1, 5, 2, 3], 3, False),
        ([12, 0], 3, False),
    ],
)
def test_draws_have_this_law(q: list[int], K: int, binary: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plate of all orders of strata, and all places in them in steps that add up to every value."""
    probabilities = torch.tensor(q, dtype=torch.float64) / sum(q)
    n, orders = sum(q) // K, torch.tensor(list(itertools.permutations(range(K))))
    places = torch.cartesian_prod(*[(torch.arange(n, dtype=torch.float64) + 0.5) / n] * K)
    random = [orders.repeat_interleave(len(places), 0).T, places.repeat(len(orders), 1).T]
    B, drawn = random[0].shape[1], {}
    monkeypatch.setattr(disarm.torch, "rand", lambda *args, **kwargs: random.pop(0))

    def guide() -> None:
        with pyro.plate("data", B, dim=-1):
            fn = dist.Bernoulli(probabilities[1]) if binary else dist.Categorical(probs=probabilities)
            drawn["z"] = pyro.sample("z", fn)

    particle_trace(disarm.AntitheticDraws(K, 1)(guide), K, 1, (), {})
    z = drawn["z"]
    assert z.shape == (K, B)
    assert z.dtype == (torch.float64 if binary else torch.int64)
    found = torch.zeros((len(q),) * K, dtype=torch.float64)
    found.index_put_(tuple(z.long()), torch.ones(B, dtype=torch.float64) / B, accumulate=True)
    torch.testing.assert_close(found, oracles.antithetic_law(probabilities, K), **CLOSE)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_gradient_step_from_real_draws(name: str) -> None:
    case = PROGRAMS[name]()
    torch.manual_seed(0)
    for _ in range(3):
        estimate = DisARM(6).estimate(case.model, case.guide, *case.args)
        assert estimate.log_weights is not None
        assert estimate.log_weights.shape == (6, len(estimate.bound))
        torch.testing.assert_close(estimate.log_weights.mean(0), estimate.bound)
        assert oracles.flat_gradient(estimate.surrogate, case.of_guide).isfinite().all()


def test_a_value_that_is_impossible_is_never_drawn_and_gets_no_gradient() -> None:
    logits = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0], [0.0, 0.0]]).requires_grad_()

    def program(observed: bool) -> None:
        with pyro.plate("data", 3, dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=torch.zeros(2) if observed else logits))
            if observed:
                pyro.sample("y", dist.Bernoulli(logits=z.float()), obs=torch.ones(3))

    for _ in range(10):
        estimate = DisARM(4).estimate(lambda: program(True), lambda: program(False))
        (gradient,) = torch.autograd.grad(estimate.surrogate, logits)
        assert estimate.bound.isfinite().all()
        assert (gradient[:2] == 0).all()
        assert gradient.isfinite().all()


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match="disarm compares particles: it needs at least 2, got 1"):
        DisARM(1)

    def program(data: Tensor, observed: bool) -> None:
        with pyro.plate("data", len(data), dim=-1):
            x = pyro.sample("x", dist.Normal(0.0, 1.0))
            if observed:
                pyro.sample("y", dist.Normal(x, 1.0), obs=data)

    with pytest.raises(UsageError, match=r"Categorical latents, and the guide draws 'x' \(Normal\)"):
        DisARM().estimate(partial(program, observed=True), partial(program, observed=False), torch.zeros(1))
