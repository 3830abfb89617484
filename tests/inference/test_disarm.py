"""Antithetic pairs, weighed by their joint distribution: every pair of latent tuples is forced once."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import normal, ragged
from oracles import Latent, Twin
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
    coupled: dict[str, Callable[[], Tensor]]  # P(z = 1) of each coupled site, (*plates)
    dtype: torch.dtype = torch.int64  # of a draw
    nesting: int = 1


def antithetic(b: Tensor, c: Tensor, p: Tensor) -> Tensor:
    """P(b, c) of b = 1[u < p] and c = 1[u > 1 - p]."""
    same = torch.where(b > 0, 2 * p - 1, 1 - 2 * p).clamp(min=0)
    return torch.where(b == c, same, torch.minimum(p, 1 - p))


def joint_probability(case: Case, values: oracles.Values) -> Tensor:
    """Of every pair of tuples, (C, C)."""
    with torch.no_grad():
        q = case.twin.joint(values)[1].sum(-1).exp()
        joint = q.unsqueeze(1) * q
        for name, probability in case.coupled.items():
            z, p, mask = values[name], probability(), case.twin.latents[name].mask
            own = torch.where(z > 0, p, 1 - p).where(mask, 1.0).flatten(1).prod(-1)
            pair = antithetic(z.unsqueeze(1), z.unsqueeze(0), p).where(mask, 1.0)
            joint = joint / (own.unsqueeze(1) * own) * pair.flatten(2).prod(-1)
        return joint


def pairs(case: Case, independent: bool = False) -> Iterator[tuple[Tensor, Run]]:
    """The probability of every pair, and a guide that draws it."""
    values = oracles.tuples(case.twin.latents)
    joint = joint_probability(case._replace(coupled={}) if independent else case, values)
    torch.testing.assert_close(joint.sum(), torch.ones_like(joint.sum()), **CLOSE)
    for i, j in (joint > 0).nonzero().tolist():
        chosen = {name: value[[i, j]].to(case.dtype) for name, value in values.items()}
        forced = oracles.Force({name: lambda fn, v=value: v for name, value in chosen.items()})
        yield joint[i, j], forced(case.guide)


# --- programs ---------------------------------------------------------------------------------------


def chain_under_independent_steps(lengths: tuple[int, ...]) -> Case:
    """A chain whose guide knows nothing of it: sites of two values, one after the other."""
    chain = cases.chain(lengths)
    symbols, mask = chain.args
    T = symbols.shape[1]
    table = normal(T, symbols.shape[0], 2, seed=3)

    def guide(symbols: Tensor, mask: Tensor) -> None:
        with pyro.plate("data", len(symbols), dim=-1):
            for t in range(T):
                with pyro.poutine.mask(mask=mask[:, t]):
                    pyro.sample(f"z_{t}", dist.Categorical(logits=table[t]))

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        log_p, _ = chain.twin.joint(values)
        rows = torch.arange(len(symbols))
        log_q = sum(table[t].log_softmax(-1)[rows, values[f"z_{t}"]] * mask[:, t] for t in range(T))
        return log_p, log_q

    coupled = {f"z_{t}": lambda t=t: table[t].softmax(-1)[:, 1] for t in range(T)}
    twin = Twin(chain.twin.latents, joint)
    return Case(chain.model, guide, chain.args, chain.of_model, [table], twin, coupled)


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
            with step, pyro.poutine.mask(mask=MASK):
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
                with step, pyro.poutine.mask(mask=MASK):
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
    return Case(model, guide, (), [prior, effect], [q], twin, {"z": q.sigmoid}, torch.float64, plates)


def prefix_guided(case: cases.Case, coupled: dict[str, Callable[[], Tensor]]) -> Case:
    return Case(case.model, case.guide, case.args, case.of_model, case.of_guide, case.twin, coupled)


def history() -> Case:
    case = cases.history(2)
    return prefix_guided(case, {"z_0": lambda: case.guide.prior[0][0].softmax(-1)[1:]})


def two_supports() -> Case:
    case = cases.two_supports()
    return prefix_guided(case, {"colour": lambda: case.guide.first.softmax(-1)[1:]})


PROGRAMS: dict[str, Callable[[], Case]] = {
    "chain": lambda: chain_under_independent_steps((3,)),
    "chain-ragged": lambda: chain_under_independent_steps((2, 1)),
    **{style: (lambda style=style: bernoulli(style)) for style in STYLES},
    "autoregressive": history,
    "beside-three-values": two_supports,
}


# --- expectations -----------------------------------------------------------------------------------


def check(case: Case, bound: Tensor, surrogate: Tensor) -> None:
    exact = oracles.bound_per_datum(case.twin)
    torch.testing.assert_close(bound, exact.detach(), **CLOSE)
    for parameters in (case.of_model, case.of_guide):
        expected = oracles.flat_gradient(exact.sum(), parameters)
        assert expected.abs().max() > 1e-2  # otherwise the check is empty
        torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_expectation_is_exact(name: str) -> None:
    case = PROGRAMS[name]()
    bound = surrogate = torch.zeros(())
    for probability, guide in pairs(case):
        estimate = DisARM(max_plate_nesting=case.nesting).estimate(case.model, guide, *case.args)
        bound = bound + probability * estimate.bound
        surrogate = surrogate + probability * estimate.surrogate
    check(case, bound, surrogate)


def test_two_pairs() -> None:
    case = chain_under_independent_steps((2,))
    values = oracles.tuples(case.twin.latents)
    joint = joint_probability(case, values)
    bound = surrogate = torch.zeros(())
    couples = (joint > 0).nonzero().tolist()
    for (a, b), (c, d) in itertools.product(couples, couples):
        forced = oracles.Force({n: lambda fn, v=v[[a, c, b, d]]: v for n, v in values.items()})
        estimate = DisARM(4, max_plate_nesting=1).estimate(case.model, forced(case.guide), *case.args)
        probability = joint[a, b] * joint[c, d]
        bound = bound + probability * estimate.bound
        surrogate = surrogate + probability * estimate.surrogate
    check(case, bound, surrogate)


# --- variance ---------------------------------------------------------------------------------------


def test_one_latent_an_instance_keeps_this_share_of_the_second_moment() -> None:
    """max(p, 1 - p) of leave-one-out's, in each of 300 problems, all in one plate."""
    B = 300
    prior, q, effect = (normal(B, 2, seed=seed) for seed in (7, 8, 9))

    def program(logits: Tensor, observed: bool) -> None:
        with pyro.plate("data", B, dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=logits))
            if observed:
                rate = 3 * effect.gather(1, z.movedim(0, -1)).movedim(-1, 0)
                pyro.sample("y", dist.Bernoulli(logits=rate), obs=torch.ones(B, dtype=torch.float64))

    def moments(objective: SurrogateObjective, coupled: bool) -> tuple[Tensor, Tensor]:
        p = q.softmax(-1)[:, 1].detach()
        first = second = torch.zeros(())
        for b, c in torch.cartesian_prod(torch.arange(2), torch.arange(2)):
            own = torch.where(b > 0, p, 1 - p) * torch.where(c > 0, p, 1 - p)
            probability = antithetic(b, c, p) if coupled else own
            value = torch.stack([b, c]).unsqueeze(-1).expand(2, B)
            forced = oracles.Force({"z": lambda fn, value=value: value})
            surrogate = objective.estimate(
                lambda: program(prior, True), forced(lambda: program(q, False))
            ).surrogate
            gradient = torch.autograd.grad(surrogate, q)[0][:, 1]
            first, second = first + probability * gradient, second + probability * gradient**2
        return first, second

    mean, square = moments(DisARM(max_plate_nesting=1), True)
    same, of_two = moments(ScoreFunctionELBO(2, baseline="leave-one-out", max_plate_nesting=1), False)
    torch.testing.assert_close(mean, same, **CLOSE)
    certain = q.softmax(-1).amax(-1).detach()
    torch.testing.assert_close(square, certain * of_two, **CLOSE)
    assert (square - mean**2 < of_two - same**2).all()


def variance(case: Case, coupled: bool) -> Tensor:
    nesting = {"max_plate_nesting": case.nesting}
    objective = DisARM(**nesting) if coupled else ScoreFunctionELBO(2, baseline="leave-one-out", **nesting)
    first = second = torch.zeros(())
    for probability, guide in pairs(case, independent=not coupled):
        surrogate = objective.estimate(case.model, guide, *case.args).surrogate
        gradient = oracles.flat_gradient(surrogate, case.of_guide)
        first, second = first + probability * gradient, second + probability * gradient**2
    return (second - first**2).sum()


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in ("chain", "masked-steps")])
def test_several_latents_have_less_variance_too(name: str) -> None:
    case = PROGRAMS[name]()
    assert variance(case, coupled=True) < 0.99 * variance(case, coupled=False)


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
    coupled = {f"z_{t}": lambda t=t: logits[t].softmax(-1)[1:] for t in range(4)}
    case = Case(lambda: program(True), lambda: program(False), (), [], logits, twin, coupled)
    assert variance(case, coupled=True) > 1.02 * variance(case, coupled=False)


# --- draws ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("categorical", [True, False])
def test_draws_have_the_antithetic_joint(categorical: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen pairs, one for each sixteenth of the unit interval, the lower end included."""
    n, p = 16, torch.arange(17, dtype=torch.float64) / 16
    grid = (torch.arange(n, dtype=torch.float64) / n).unsqueeze(-1).expand(n, 17)
    monkeypatch.setattr(disarm.torch, "rand", lambda *args, **kwargs: grid)
    drawn = {}

    def guide() -> None:
        with pyro.plate("data", 17, dim=-1):
            fn = dist.Categorical(probs=torch.stack([1 - p, p], -1)) if categorical else dist.Bernoulli(p)
            drawn["z"] = pyro.sample("z", fn)

    particle_trace(disarm.AntitheticPairs(n, 1)(guide), 2 * n, 1, (), {})
    z = drawn["z"]
    assert z.shape == (2 * n, 17)
    assert z.dtype == (torch.int64 if categorical else torch.float64)
    b, c = z[:n].long(), z[n:].long()
    for x, y in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = ((b == x) & (c == y)).double().mean(0)
        torch.testing.assert_close(share, antithetic(torch.tensor(x), torch.tensor(y), p), **CLOSE)


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
    with pytest.raises(UsageError, match="even number of particles, got 3"):
        DisARM(3)
    case = cases.chain(S=3)
    with pytest.raises(UsageError, match=r"two-valued latents, and the guide draws 'z_0' \(Categorical\)"):
        DisARM().estimate(case.model, case.guide, *case.args)
