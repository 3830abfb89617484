"""Filtering, summed over every draw and every resampling; against chains that are never resampled."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import StepChain, chain_in_steps, normal
from pyro import poutine
from pyro.infer import SVI
from pyro.nn import PyroModule
from pyro.optim import SGD
from torch import Tensor, nn

from hardpp.errors import NumericalError, UsageError
from hardpp.inference.exact import ExactMarginal
from hardpp.inference.fivo import FIVO, State, run
from hardpp.inference.importance_weighted import IWAE
from hardpp.inference.score_function import ScoreFunctionELBO

CLOSE = {"rtol": 0, "atol": 1e-9}


class Led(FIVO):
    """FIVO that draws what it is told, where it resamples; notes what that was, and how probable."""

    def __init__(
        self, K: int, values: Callable[[int], Tensor], parents: Callable[[int], Tensor], **kwargs: Any
    ):
        super().__init__(K, **kwargs)
        self.tell, self.tell_parents = values, parents
        self.values: list[Tensor] = []
        self.parents: list[Tensor] = []
        self.probability = torch.ones((), dtype=torch.float64)

    def ancestors(self, log_weights: Tensor) -> Tensor:
        K, w = len(log_weights), log_weights.softmax(0)
        stay, told = torch.arange(K).unsqueeze(-1).expand_as(w), None
        low = (w.sum(0) ** 2 / (w * w).sum(0)) < self.threshold * K
        if low.any():
            told = self.tell_parents(len(self.parents))
            law = systematic if self.resampling == "systematic" else multinomial
            for b in low.nonzero()[:, 0].tolist():
                self.probability = self.probability * law(w[:, b], told[:, b])
        self.parents.append(stay if told is None else told)
        return self.parents[-1]

    def led(self, model: Any, guide: Any, *args: Any, steps: int = 3) -> Any:
        def draw(fn: Any) -> Tensor:
            value = self.tell(len(self.values))
            self.values.append(value)
            self.probability = self.probability * fn.log_prob(value).detach().exp().prod()
            return value

        with oracles.Force({f"z_{t}": draw for t in range(steps)}):
            return self.estimate(model, guide, *args)


def told(values: list[Tensor], parents: list[Tensor], **kwargs: Any) -> Led:
    return Led(len(values[0]), values.__getitem__, parents.__getitem__, **kwargs)


def multinomial(w: Tensor, index: Tensor) -> Tensor:
    return w[index].prod()


def systematic(w: Tensor, index: Tensor) -> Tensor:
    """How long is the interval of u in which (k + u) / K falls to index[k] for every k?"""
    k, upper = torch.arange(len(w)), w.cumsum(0)
    lowest = (len(w) * (upper - w)[index] - k).max().clamp(min=0)
    highest = (len(w) * upper[index] - k).min().clamp(max=1)
    return (highest - lowest).clamp(min=0)


def paths(case: cases.Case, S: int = 2, K: int = 2, **kwargs: Any) -> Iterator[tuple[Led, Any]]:
    """FIVO led along every path there is through the draws and the resamplings of one datum."""
    draws, parents = (
        [torch.tensor(d).unsqueeze(-1) for d in itertools.product(range(n), repeat=K)] for n in (S, K)
    )
    path: list[int] = []
    while True:
        taken: list[tuple[int, int]] = []

        def choose(options: list[Tensor], path: list[int] = path, taken: Any = taken) -> Tensor:
            choice = path[len(taken)] if len(taken) < len(path) else 0
            taken.append((choice, len(options)))
            return options[choice]

        led = Led(
            K, lambda _, choose=choose: choose(draws), lambda _, choose=choose: choose(parents), **kwargs
        )
        with pyro.validation_enabled(not path):  # Pyro looks the programs over once
            estimate = led.led(case.model, case.guide, *case.args)
        yield led, estimate
        while taken and taken[-1][0] + 1 == taken[-1][1]:
            taken.pop()
        if not taken:
            return
        path = [choice for choice, _ in taken[:-1]] + [taken[-1][0] + 1]


# --- the bound --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("resampling", ["multinomial", "systematic"])
@pytest.mark.parametrize(("threshold", "most"), [(0.85, 1), (1.0, 2)])
def test_the_exponential_is_unbiased(threshold: float, most: int, resampling: Any) -> None:
    """Three steps; some paths are never resampled, some once, some at the higher threshold twice."""
    case = chain_in_steps((3,))
    total = mean = torch.zeros((), dtype=torch.float64)
    times = set()
    for led, estimate in paths(case, threshold=threshold, resampling=resampling):
        total = total + led.probability
        mean = mean + led.probability * estimate.bound.exp().sum()
        times.add(float(estimate.diagnostics["resampled"]))
    assert times == set(range(most + 1))
    torch.testing.assert_close(total, torch.ones_like(total), **CLOSE)
    torch.testing.assert_close(mean, oracles.log_marginal(case.twin).exp().detach(), **CLOSE)


def test_without_resampling_it_is_the_importance_weighted_bound() -> None:
    case = chain_in_steps((4, 2, 3), S=3)
    values = {f"z_{t}": torch.randint(0, 3, (5, 3)) for t in range(4)}
    with oracles.Force(values):
        ours = FIVO(5, threshold=0.0).estimate(case.model, case.guide, *case.args)
        other = IWAE(5).estimate(case.model, case.guide, *case.args)
    torch.testing.assert_close(ours.bound, other.bound, **CLOSE)
    assert (ours.diagnostics["resampled"] == 0).all()
    assert ours.log_weights is None


def test_a_long_chain_is_bounded_far_more_tightly() -> None:
    """Fifty steps, the guide the prior. The mean gain is 12 standard errors here (100 sequences), so that it
    comes out below 5 of them less than once in 10^9 seeds."""
    case, T = cases.chain((50,), S=3), 50
    model, guide = StepChain(case.model), StepChain(cases.ChainGuide(T, 3))
    symbols = torch.randint(0, 3, (100, T), generator=torch.Generator().manual_seed(4))
    args = (symbols, torch.ones(100, T, dtype=torch.bool))
    with torch.no_grad():
        guide.table.copy_(model.transition.expand(T, 4, 3))
        model.emission.mul_(6)
        exact = ExactMarginal().estimate(model, guide, *args).bound
        filtered = FIVO(8).estimate(model, guide, *args)
        whole = IWAE(8).estimate(model, guide, *args).bound
    print((exact - filtered.bound).mean(), (exact - whole).mean(), filtered.diagnostics["resampled"].mean())
    gain = filtered.bound - whole
    assert gain.mean() > 5 * gain.std() / 10
    assert 0 < (exact - filtered.bound).mean() < 0.5 * (exact - whole).mean()


# --- the gradient -----------------------------------------------------------------------------------


def filtered(case: cases.Case, led: Led, threshold: float, baseline: Any) -> tuple[Tensor, Tensor, Tensor]:
    """By hand, of one datum: its bound, log q of all draws, and the surrogate."""
    model, guide, (symbols, _) = case.model, case.guide, case.args
    K = len(led.values[0])
    previous, weights = torch.full((K,), model.S), torch.zeros(K, dtype=torch.float64)
    gains, scores, controls = [], [], []
    for t, value in enumerate(led.values):
        if t > 0:
            w = weights.detach().softmax(0)
            if 1 / (w * w).sum() < threshold * K:
                previous, weights = previous[led.parents[t - 1][:, 0]], torch.zeros_like(weights)
        z = value[:, 0]
        q = guide.table[t].log_softmax(-1)[previous, z]
        added = model.transition.log_softmax(-1)[previous, z] - q
        added = added + model.emission.log_softmax(-1)[z, symbols[0, t]]
        gains.append((weights + added).logsumexp(0) - weights.logsumexp(0))
        for k in range(K):
            replaced = added.detach().clone()
            replaced[k] = (added.detach().sum() - added[k].detach()) / (K - 1)
            held_out = (weights + replaced).logsumexp(0) - weights.logsumexp(0)
            controls.append(held_out.detach() if baseline else torch.zeros(()))
            scores.append((t, q[k]))
        weights, previous = weights + added, z
    surrogate = torch.stack(gains).sum()
    for (t, score), control in zip(scores, controls, strict=True):
        surrogate = surrogate + score * (torch.stack(gains[t:]).sum().detach() - control)
    return torch.stack(gains).sum(), torch.stack([score for _, score in scores]).sum(), surrogate


@pytest.mark.parametrize("baseline", [None, "leave-one-out"])
@pytest.mark.parametrize(("steps", "threshold"), [(2, 0.0), pytest.param(3, 1.0, marks=pytest.mark.slow)])
def test_the_expected_gradient_is_exact_but_for_the_resampling(
    steps: int, threshold: float, baseline: Any
) -> None:
    case = chain_in_steps((steps,))
    surrogate = exact = torch.zeros((), dtype=torch.float64)
    for led, estimate in paths(case, threshold=threshold, baseline=baseline, resampling="multinomial"):
        surrogate = surrogate + led.probability * estimate.surrogate
        bound, log_q, same = filtered(case, led, threshold, baseline)
        torch.testing.assert_close(estimate.bound.sum(), bound.detach(), **CLOSE)
        torch.testing.assert_close(estimate.surrogate.detach(), same.detach(), **CLOSE)
        exact = exact + led.probability * (log_q - log_q.detach()).exp() * bound
    for parameters in (case.of_model, case.of_guide):
        expected = oracles.flat_gradient(exact, parameters)
        assert expected.abs().max() > 1e-2
        torch.testing.assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)


def test_the_baseline_lowers_the_variance() -> None:
    case = chain_in_steps((2,))
    found = {}
    for baseline in (None, "leave-one-out"):
        first = second = torch.zeros(())
        for led, estimate in paths(case, threshold=1.0, baseline=baseline):
            gradient = oracles.flat_gradient(estimate.surrogate, case.of_guide)
            first = first + led.probability * gradient
            second = second + led.probability * gradient**2
        found[baseline] = float((second - first**2).sum())
    assert found["leave-one-out"] < 0.5 * found[None]


class Walk(PyroModule):
    """x[t] ~ Normal(slope x[t-1], 1), y[t] ~ Normal(x[t], 1); the guide has slopes and shifts."""

    max_plate_nesting = 1
    forward = run

    def __init__(self, observed: bool, seed: int):
        super().__init__()
        self.observed, self.slope, self.shift = observed, normal(3, seed=seed), normal(3, seed=seed + 1)

    def num_steps(self, y: Tensor) -> int:
        return y.shape[1]

    def init(self, state: State, y: Tensor) -> Any:
        state["x"] = torch.zeros(len(y), dtype=y.dtype)
        return pyro.plate("data", len(y), dim=-1)

    def step(self, state: State, t: int, y: Tensor) -> None:
        mean = self.slope[t] * state["x"] + self.shift[t] * (1 if self.observed else y[:, t])
        state["x"] = pyro.sample(f"x_{t}", dist.Normal(mean, 1.0))
        if self.observed:
            pyro.sample(f"y_{t}", dist.Normal(state["x"], 0.5), obs=y[:, t])


def test_reparameterised_latents_are_differentiated_along_their_paths_through_resampling() -> None:
    model, guide, K = Walk(True, 80), Walk(False, 90), 3
    y, noise = normal(2, 3, seed=1).detach(), normal(3, K, 2, seed=2).detach()
    parents = [torch.tensor([[0, 2], [0, 1], [2, 1]]), torch.tensor([[1, 0], [1, 2], [2, 2]])]
    values: dict[str, Any] = {f"x_{t}": lambda fn, t=t: fn.loc + fn.scale * noise[t] for t in range(3)}

    def estimate() -> Any:
        with oracles.Force(values):
            return told([noise[0]], parents, threshold=1.0).estimate(model, guide, y)

    found = estimate()
    assert (found.diagnostics["resampled"] == 2).all()
    parameters = [*model.parameters(), *guide.parameters()]
    gradients = torch.autograd.grad(found.surrogate, parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        assert gradient.abs().max() > 1e-2
        for i in range(len(parameter)):
            ends = []
            for sign in (1, -1):
                with torch.no_grad():
                    parameter[i] += sign * 1e-5
                    ends.append(estimate().bound.sum())
                    parameter[i] -= sign * 1e-5
            torch.testing.assert_close((ends[0] - ends[1]) / 2e-5, gradient[i], rtol=0, atol=1e-7)


# --- particles --------------------------------------------------------------------------------------


class Remembers(PyroModule):
    """A chain whose state is its whole past, as a number in base 10, beside what no particle changes."""

    max_plate_nesting = 1
    forward = run

    def __init__(self, B: int):
        super().__init__()
        self.B, self.seen = B, []

    def num_steps(self) -> int:
        return 3

    def init(self, state: State) -> Any:
        state["past"] = torch.zeros(self.B, dtype=torch.int64)
        state["data"] = torch.arange(self.B * self.B).reshape(self.B, self.B)  # as large as the particles
        state["features"] = torch.zeros(self.B, 2)
        return pyro.plate("data", self.B, dim=-1)

    def step(self, state: State, t: int) -> None:
        self.seen.append(dict(state))
        z = pyro.sample(f"z_{t}", dist.Categorical(logits=torch.zeros(10)))
        state["past"] = 10 * state["past"] + z
        state["features"] = torch.stack([z.float(), state["features"][..., 0].expand_as(z)], -1)
        pyro.factor(f"y_{t}", z * 0.1)


def test_states_are_permuted_by_datum() -> None:
    model, guide, values = (
        Remembers(2),
        Remembers(2),
        [
            torch.tensor([[1, 2], [3, 4]]),
            torch.tensor([[5, 6], [7, 8]]),
            torch.tensor([[0, 0], [0, 0]]),
        ],
    )
    guide.step = lambda state, t: poutine.block(Remembers.step, hide=[f"y_{t}"])(guide, state, t)
    parents = [torch.tensor([[1, 0], [1, 0]]), torch.tensor([[1, 1], [0, 0]])]
    told(values, parents, threshold=1.0).led(model, guide)
    for program in (model, guide):
        first, second, third = program.seen
        assert torch.equal(first["past"], torch.tensor([0, 0]))
        assert torch.equal(second["past"], torch.tensor([[3, 2], [3, 2]]))
        assert torch.equal(third["past"], torch.tensor([[37, 28], [35, 26]]))
        assert torch.equal(third["features"][..., 0], torch.tensor([[7.0, 8.0], [5.0, 6.0]]))
        assert torch.equal(third["features"][..., 1], torch.tensor([[3.0, 2.0], [3.0, 2.0]]))
        for state in program.seen:
            assert torch.equal(state["data"], torch.arange(4).reshape(2, 2))


def test_only_data_with_few_effective_particles_are_resampled() -> None:
    """The second datum's weights are equal, so it keeps the particles it has."""
    model, guide = Remembers(2), Remembers(2)
    guide.step = lambda state, t: poutine.block(Remembers.step, hide=[f"y_{t}"])(guide, state, t)
    values = [torch.tensor([[0, 4], [9, 4]])] + [torch.tensor([[5, 6], [7, 8]])] * 2
    parents = [torch.tensor([[1, 1], [1, 1]])] * 2
    estimate = told(values, parents, threshold=0.9).led(model, guide)
    assert torch.equal(model.seen[1]["past"], torch.tensor([[9, 4], [9, 4]]))
    assert torch.equal(model.seen[2]["past"], torch.tensor([[95, 46], [97, 48]]))
    assert torch.equal(estimate.diagnostics["resampled"], torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize("threshold", [0.0, 0.7, 1.0])
def test_a_ragged_batch_is_the_sum_of_its_data(threshold: float) -> None:
    """And what a datum does after its end changes neither its bound nor any gradient."""
    case, K = chain_in_steps((4, 1, 3), S=3), 3
    generator = torch.Generator().manual_seed(7)
    values = [torch.randint(0, 3, (K, 3), generator=generator) for _ in range(4)]
    parents = [torch.randint(0, K, (K, 3), generator=generator) for _ in range(3)]
    parameters = [*case.of_model, *case.of_guide]

    def led(rows: slice, steps: int) -> tuple[Tensor, Tensor, Tensor]:
        objective = told([v[:, rows] for v in values], [p[:, rows] for p in parents], threshold=threshold)
        args = (part[rows, :steps] for part in case.args)
        estimate = objective.led(case.model, case.guide, *args, steps=steps)
        gradient = oracles.flat_gradient(estimate.surrogate, parameters)
        return estimate.bound, gradient, estimate.diagnostics["resampled"]

    bound, gradient, resampled = led(slice(0, 3), 4)
    alone = [led(slice(b, b + 1), length) for b, length in enumerate((4, 1, 3))]
    torch.testing.assert_close(bound, torch.cat([one[0] for one in alone]), **CLOSE)
    torch.testing.assert_close(gradient, sum(one[1] for one in alone), **CLOSE)
    more = resampled - torch.cat([one[2] for one in alone])
    assert ((more == 0) | (more == 1)).all()
    assert more[0] == 0
    # What is drawn, and who survives, after the end of the second datum and of the third.
    values[1][:, 1], values[3][:, 2], parents[1][:, 1], parents[2][:, 2] = 2, 0, 0, 1
    again = led(slice(0, 3), 4)
    torch.testing.assert_close(again[0], bound, **CLOSE)
    torch.testing.assert_close(again[1], gradient, **CLOSE)


# --- resampling -------------------------------------------------------------------------------------


def grid(monkeypatch: pytest.MonkeyPatch, u: Tensor) -> None:
    monkeypatch.setattr(torch, "rand_like", lambda like: u.to(like))


def test_multinomial_ancestors_have_the_weights_as_their_law(monkeypatch: pytest.MonkeyPatch) -> None:
    n, w = 16, torch.tensor([3, 0, 5, 8], dtype=torch.float64) / 16
    grid(monkeypatch, ((torch.arange(n) + 0.5) / n).unsqueeze(-1).expand(n, 4))
    index = FIVO(4, resampling="multinomial").ancestors(w.log().unsqueeze(-1).expand(4, n))
    assert index.shape == (4, n)
    for k in range(4):
        torch.testing.assert_close(torch.bincount(index[k], minlength=4) / n, w.float(), **CLOSE)


def test_systematic_ancestors_are_as_many_as_the_weights_say(monkeypatch: pytest.MonkeyPatch) -> None:
    n, w = 32, torch.tensor([3, 0, 5, 8], dtype=torch.float64) / 16
    u = torch.rand(n, 4)
    u[:, 0] = (torch.arange(n) + 0.5) / n  # one number a datum is all that counts
    grid(monkeypatch, u)
    index = FIVO(4).ancestors(w.log().unsqueeze(-1).expand(4, n))
    counts = nn.functional.one_hot(index, 4).sum(0).double()  # (n, 4)
    torch.testing.assert_close(counts.mean(0), 4 * w, **CLOSE)
    assert ((counts - 4 * w).abs() < 1).all()


@pytest.mark.parametrize("resampling", ["multinomial", "systematic"])
@pytest.mark.parametrize("u", [0.0, 1 - 2**-24])
def test_a_weight_of_zero_is_never_an_ancestor(
    u: float, resampling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = -torch.inf
    log_weights = torch.tensor([[nothing, 0.1, nothing], [0.3, nothing, 0.2], [nothing, 0.4, nothing]])
    grid(monkeypatch, torch.full((3, 3), u))
    index = FIVO(3, resampling=resampling).ancestors(log_weights)
    assert (log_weights.gather(0, index) > nothing).all()


class Doomed(Walk):
    """The second datum's observation at step 1 is impossible for all particles, or for some."""

    def __init__(self, impossible: Tensor):
        super().__init__(True, 80)
        self.impossible = impossible

    def step(self, state: State, t: int, y: Tensor) -> None:
        super().step(state, t, y)
        if t == 1:
            pyro.factor("doom", torch.where(self.impossible, -torch.inf, torch.zeros(()).double()))


def test_the_last_number_of_all_does_not_round_to_a_weight_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Single precision sums to less than 1 - 2^-22 in some of these."""
    log_weights = torch.randn(50, 200)
    log_weights[-1] = -torch.inf
    grid(monkeypatch, torch.full((200, 50), 1 - 2**-24))
    assert FIVO(50, resampling="multinomial").ancestors(log_weights).max() < 49


def test_a_datum_without_a_possible_particle_has_no_gradient_and_spoils_no_other() -> None:
    guide, y = Walk(False, 90), normal(2, 3, seed=1).detach()
    noise = normal(3, 4, 2, seed=2).detach()
    model = Doomed(torch.tensor([False, True]))
    parameters = [*model.parameters(), *guide.parameters()]
    parents = [torch.tensor([[0, 2], [0, 1], [3, 1], [2, 2]])] * 2

    def estimate(rows: slice) -> Any:
        values: dict[str, Any] = {
            f"x_{t}": lambda fn, t=t: fn.loc + fn.scale * noise[t, :, rows] for t in range(3)
        }
        with oracles.Force(values):
            led = told([noise[0]], [p[:, rows] for p in parents], threshold=1.0)
            return led.estimate(model, guide, y[rows])

    both = estimate(slice(0, 2))
    model.impossible = torch.tensor([False])
    alone = estimate(slice(0, 1))
    torch.testing.assert_close(both.bound[:1], alone.bound, **CLOSE)
    assert both.bound[1] == -torch.inf
    found, expected = (oracles.flat_gradient(e.surrogate, parameters) for e in (both, alone))
    torch.testing.assert_close(found, expected, **CLOSE)
    model.impossible = torch.tensor([False, True])
    with pytest.raises(NumericalError, match="datum 1 of the batch has a bound of -inf"):
        FIVO(4).differentiable_loss(model, guide, y)


@pytest.mark.parametrize("alive", [1, 2])
def test_impossible_particles_among_others_leave_everything_finite(alive: int) -> None:
    case = chain_in_steps((3,))
    with torch.no_grad():
        case.model.emission[0, case.args[0][0, 0]] = -torch.inf
    first = torch.tensor([[1]] * alive + [[0]] * (3 - alive))
    with oracles.Force({"z_0": first}):
        estimate = FIVO(3).estimate(case.model, case.guide, *case.args)
    assert estimate.bound.isfinite().all()
    assert estimate.surrogate.isfinite()
    for parameters in (case.of_model, case.of_guide):
        gradient = oracles.flat_gradient(estimate.surrogate, parameters)
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 1e-2


# --- programs ---------------------------------------------------------------------------------------


def test_the_same_programs_run_under_every_other_objective() -> None:
    plain, case = cases.chain((3, 2)), chain_in_steps((3, 2))
    args = case.args
    for objective in (ExactMarginal(), ScoreFunctionELBO(2, baseline="leave-one-out"), IWAE(2)):
        values = {f"z_{t}": torch.tensor([[0, 1], [1, 1]]) for t in range(3)}
        with oracles.Force(values if objective.name != "exact" else {}):
            ours = objective.estimate(case.model, case.guide, *args)
            other = objective.estimate(plain.model, plain.guide, *args)
        torch.testing.assert_close(ours.bound, other.bound, **CLOSE)
        for ours_of, of in ((case.of_model, plain.of_model), (case.of_guide, plain.of_guide)):
            gradients = [oracles.flat_gradient(e.surrogate, p) for e, p in ((ours, ours_of), (other, of))]
            torch.testing.assert_close(*gradients, **CLOSE)


def test_three_entrances() -> None:
    case, K = chain_in_steps((3, 2)), 2
    parameters = [*case.of_model, *case.of_guide]
    values = {f"z_{t}": torch.tensor([[0, 1], [1, 1]]) for t in range(3)}
    objective = FIVO(K, threshold=0.0)
    with oracles.Force(values):
        estimate = objective.estimate(case.model, case.guide, *case.args)
        gradient = oracles.flat_gradient(estimate.surrogate, parameters)
        loss = objective(case.model, case.guide)(*case.args)
        torch.testing.assert_close(loss.detach(), -estimate.bound.sum(), **CLOSE)
        torch.testing.assert_close(-oracles.flat_gradient(loss, parameters), gradient, **CLOSE)
        assert objective.loss(case.model, case.guide, *case.args) == pytest.approx(loss.item(), rel=1e-12)
    assert gradient.abs().max() > 1e-2
    before = torch.cat([p.detach().flatten() for p in parameters])
    with oracles.Force(values), pyro.settings.context(module_local_params=False):
        SVI(case.model, case.guide, SGD({"lr": 0.5}), loss=objective).step(*case.args)
    after = torch.cat([p.detach().flatten() for p in parameters])
    torch.testing.assert_close(after, before + 0.5 * gradient, **CLOSE)


def test_every_parameter_gets_a_gradient_from_real_draws() -> None:
    case = chain_in_steps((4, 2), S=3)
    for resampling in ("systematic", "multinomial"):
        estimate = FIVO(4, threshold=1.0, resampling=resampling).estimate(case.model, case.guide, *case.args)
        for parameters in (case.of_model, case.of_guide):
            gradient = oracles.flat_gradient(estimate.surrogate, parameters)
            assert gradient.isfinite().all()
            assert gradient.abs().max() > 1e-2


class Subsampled(Walk):
    """Two of six data, the same two in every step and in both programs."""

    seen: Any = None

    def init(self, state: State, y: Tensor) -> Any:
        plate = pyro.plate("data", 6, subsample_size=2, dim=-1)
        with plate as index:
            self.seen = index
        state["x"] = torch.zeros(2, dtype=y.dtype)
        return plate

    def step(self, state: State, t: int, y: Tensor) -> None:
        super().step(state, t, y[self.seen])


def test_subsampling_multiplies_value_and_gradient() -> None:
    model, guide, y = Subsampled(True, 80), Subsampled(False, 90), normal(6, 3, seed=1).detach()
    noise = normal(3, 2, 2, seed=2).detach()
    values: dict[str, Any] = {f"x_{t}": lambda fn, t=t: fn.loc + fn.scale * noise[t] for t in range(3)}
    plain = Walk(True, 80), Walk(False, 90)
    with oracles.Force(values):
        ours = FIVO(2, threshold=0.0).estimate(model, guide, y)
        assert torch.equal(model.seen, guide.seen)
        other = FIVO(2, threshold=0.0).estimate(*plain, y[model.seen])
    torch.testing.assert_close(ours.bound, 3 * other.bound, **CLOSE)
    for a, b in zip((model, guide), plain, strict=True):
        torch.testing.assert_close(
            oracles.flat_gradient(ours.surrogate, list(a.parameters())),
            3 * oracles.flat_gradient(other.surrogate, list(b.parameters())),
            **CLOSE,
        )


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_particles": 1}, "at least 2, got 1"),
        ({"threshold": 1.5}, "threshold is a share of the particles, 0 to 1, not 1.5"),
        ({"resampling": "stratified"}, "no resampling 'stratified'"),
        ({"baseline": "nvil"}, "with a baseline 'nvil'"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FIVO(**options)


def test_programs_that_are_not_in_steps() -> None:
    case = cases.chain((2,))
    with pytest.raises(UsageError, match="programs with init and step, not ChainGuide"):
        FIVO(2).estimate(case.model, case.guide, *case.args)


class Wrong(Walk):
    def __init__(self, how: str):
        super().__init__(False, 90)
        self.how = how

    def init(self, state: State, y: Tensor) -> Any:
        plate = super().init(state, y)
        if self.how == "draws":
            with plate:
                state["x"] = pyro.sample("x_start", dist.Normal(torch.zeros(2).double(), 1.0))
        return plate

    def step(self, state: State, t: int, y: Tensor) -> None:
        super().step(state, t, y)
        if self.how == "key":
            state["new"] = state["x"]
        elif self.how == "dims":
            state["x"] = state["x"].expand(2, *state["x"].shape)
        elif self.how == "shape":
            state["x"] = state["x"][..., :1]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("draws", "site 'x_start' is in init"),
        ("key", r"state 'new' has shape \(3, 2\)"),
        ("dims", r"state 'x' has shape \(2, 3, 2\), .* and \(3, 2\), particles and data"),
        ("shape", r"state 'x' has shape \(3, 1\)"),
    ],
)
def test_states_that_cannot_be_permuted(how: str, message: str) -> None:
    y = normal(2, 3, seed=1).detach()
    with pytest.raises(UsageError, match=message):
        FIVO(3, max_plate_nesting=1).estimate(Walk(True, 80), Wrong(how), y)
