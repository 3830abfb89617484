"""Baselines: they know nothing of what they judge, bias nothing, learn what they should, and remember."""

import math
from collections.abc import Callable
from typing import Any

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import CASES, Case
from oracles import Latent, Twin
from pyro import poutine
from torch import Tensor, nn

from hardpp.distributions.step_independent import StepIndependent
from hardpp.errors import UsageError
from hardpp.inference.control.baselines import AverageBaseline, Baseline, History, LearnedBaseline, history_of
from hardpp.inference.control.running_moments import RunningMoments
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.weights import suffix_sums

CLOSE = {"rtol": 0, "atol": 1e-9}
EXACT = {"rtol": 1e-12, "atol": 1e-12}


class ReadsTheBatch(nn.Module):
    """A module of the user's own: a number for each datum (and step, if steps are a plate)."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Linear(1, 1)

    def forward(self, history: History, batch: Any, *args: Any) -> Tensor:
        symbols = getattr(batch, "target", batch)
        while symbols.dim() < history.live.dim() - 2:
            symbols = symbols.unsqueeze(-1)
        if symbols.dim() == history.live.dim() - 1:  # (B, T) of a chain, whose instances are (B)
            symbols = symbols.sum(-1)
        return self.slope(symbols.unsqueeze(-1).to(self.slope.weight.dtype))


class Peeks(nn.Module):
    """Breaks the promise: what was known after the draw."""

    def forward(self, history: History, *args: Any) -> Tensor:
        return history.log_weight.roll(-1, -1)


MODULES: dict[str, Callable[[], nn.Module]] = {
    "average": AverageBaseline,
    "learned": LearnedBaseline,
    "own": ReadsTheBatch,
}


def filled(module: nn.Module, seed: int = 0) -> nn.Module:
    """Any state that training may have left behind, and no more training."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        for part in module.modules():
            if isinstance(part, RunningMoments):
                part.mean.copy_(3 * torch.randn(part.mean.shape, generator=generator))
                part.variance.copy_(4 * torch.rand(part.variance.shape, generator=generator))
    return module.eval()


def given(values: oracles.Values) -> oracles.Force:
    """Draws of any distribution; those of `oracles.expectation` must be of one with logits."""
    return oracles.Force({name: lambda fn, value=value: value for name, value in values.items()})


def estimates(case: Case, objective: ScoreFunctionELBO, particles: int = 1, fill: int = 0) -> Tensor:
    """The expected surrogate; the bound is checked on the way."""
    bound = surrogate = torch.zeros((), dtype=torch.float64)
    for probability, values in oracles.draws(case.twin, particles, fill):
        with given(values):
            estimate = objective.estimate(case.model, case.guide, *case.args)
        bound = bound + probability * estimate.bound
        surrogate = surrogate + probability * estimate.surrogate
    torch.testing.assert_close(bound, oracles.bound_per_datum(case.twin).detach(), **CLOSE)
    return surrogate


def bias(case: Case, objective: ScoreFunctionELBO, particles: int = 1, fill: int = 0) -> Tensor:
    """E[gradient] - gradient of the exact bound, of all parameters of both programs."""
    surrogate = estimates(case, objective, particles, fill)
    parameters = [*case.of_model, *case.of_guide]
    exact = oracles.flat_gradient(oracles.bound_per_datum(case.twin).sum(), parameters)
    assert exact.abs().max() > 1e-2
    return oracles.flat_gradient(surrogate, parameters) - exact


# --- bias -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("credit", ["causal", "global"])
@pytest.mark.parametrize("baseline", MODULES)
@pytest.mark.parametrize("name", CASES)
def test_no_baseline_biases_the_gradient(name: str, baseline: str, credit: str) -> None:
    case, module = CASES[name](), filled(MODULES[baseline]())
    assert bias(case, ScoreFunctionELBO(credit=credit, baseline=module)).abs().max() < 1e-9


@pytest.mark.parametrize("baseline", MODULES)
@pytest.mark.parametrize("name", ["chain-ragged", "two-supports", "alignment-variational"])
def test_nor_with_two_particles(name: str, baseline: str) -> None:
    case, module = CASES[name](), filled(MODULES[baseline]())
    assert bias(case, ScoreFunctionELBO(2, baseline=module), 2, fill=1).abs().max() < 1e-9


@pytest.mark.parametrize("name", ["chain", "chain-ragged", "history", "two-supports"])
def test_a_baseline_that_peeks_does(name: str) -> None:
    assert bias(CASES[name](), ScoreFunctionELBO(baseline=Peeks())).abs().max() > 1e-2


# --- what is known ----------------------------------------------------------------------------------


def out_of_order() -> Case:
    """q(a) q(b | a) beside p(b) p(a | b): the model's distribution of a depends on b."""
    q_a, q_b = cases.normal(2, seed=1), cases.normal(2, 2, seed=2)
    p_b, p_a, says = cases.normal(2, seed=3), cases.normal(2, 2, seed=4), cases.normal(2, 2, 3, seed=5)

    def model(symbol: Tensor) -> None:
        with pyro.plate("data", 1, dim=-1):
            b = pyro.sample("b", dist.Categorical(logits=p_b))
            a = pyro.sample("a", dist.Categorical(logits=p_a[b]))
            pyro.sample("y", dist.Categorical(logits=says[a, b]), obs=symbol)

    def guide(symbol: Tensor) -> None:
        with pyro.plate("data", 1, dim=-1):
            a = pyro.sample("a", dist.Categorical(logits=q_a))
            pyro.sample("b", dist.Categorical(logits=q_b[a]))

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        a, b = values["a"], values["b"]
        log_p = p_b.log_softmax(-1)[b] + p_a.log_softmax(-1)[b, a] + says.log_softmax(-1)[a, b, symbol]
        return log_p, q_a.log_softmax(-1)[a] + q_b.log_softmax(-1)[a, b]

    symbol, every = torch.tensor([2]), torch.ones(1, dtype=torch.bool)
    twin = Twin({"a": Latent(2, every), "b": Latent(2, every)}, joint)
    return Case(Holds(model, [p_b, p_a, says]), Holds(guide, [q_a, q_b]), (symbol,), twin)


def stops() -> Case:
    """After z_0 = 1 nothing more counts: the mask of the second latent is a function of the first."""
    q, p, says = cases.normal(2, 2, seed=1), cases.normal(2, 2, seed=2), cases.normal(2, 2, 3, seed=3)

    def program(table: Tensor, observed: bool) -> Callable[[Tensor], None]:
        def run(symbols: Tensor) -> None:
            with pyro.plate("data", 1, dim=-1):
                going = torch.ones(1, dtype=torch.bool)
                for t in range(2):
                    with poutine.mask(mask=going):
                        z = pyro.sample(f"z_{t}", dist.Categorical(logits=table[t]))
                        if observed:
                            fn = dist.Categorical(logits=says[t][z])
                            pyro.sample(f"y_{t}", fn, obs=symbols[:, t])
                    going = going & (z == 0)

        return run

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        first, second = values["z_0"], values["z_1"]
        going = first == 0
        idle = going.logical_not().double() * -math.log(
            2
        )  # either value of a latent that does not count is one half of a tuple
        log_p = p[0].log_softmax(-1)[first] + says[0].log_softmax(-1)[first, 1] + idle
        log_p = log_p + going * (p[1].log_softmax(-1)[second] + says[1].log_softmax(-1)[second, 2])
        return log_p, q[0].log_softmax(-1)[first] + going * q[1].log_softmax(-1)[second] + idle

    every = torch.ones(1, dtype=torch.bool)
    twin = Twin({"z_0": Latent(2, every), "z_1": Latent(2, every)}, joint)
    model, guide = Holds(program(p, True), [p, says]), Holds(program(q, False), [q])
    return Case(model, guide, (torch.tensor([[1, 2]]),), twin)


def steps() -> Case:
    """A block of steps in one site, two of the first sentence and one of the second; then another latent."""
    q, p, says = cases.normal(2, 2, 2, seed=1), cases.normal(2, 2, 2, seed=2), cases.normal(2, 3, seed=3)
    last, says_last = cases.normal(2, seed=4), cases.normal(2, 2, 3, seed=5)
    mask, symbols = cases.ragged([2, 1]), torch.tensor([[0, 2, 1], [1, 1, 0]])

    def program(table: Tensor, observed: bool) -> Callable[[Tensor], None]:
        def run(symbols: Tensor) -> None:
            with pyro.plate("data", 2, dim=-1):
                z = pyro.sample("z", StepIndependent(dist.Categorical(logits=table).mask(mask)))
                if observed:
                    fn = dist.Categorical(logits=says[z])
                    pyro.sample("y", StepIndependent(fn.mask(mask)), obs=symbols[:, :2])
                w = pyro.sample("w", dist.Categorical(logits=last))
                if observed:
                    pyro.sample("end", dist.Categorical(logits=says_last[z[..., 0], w]), obs=symbols[:, 2])

        return run

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        z, w = values["z"], values["w"]  # (C, B, T) and (C, B)
        b, t = torch.arange(2).unsqueeze(-1), torch.arange(2)
        log_q = (q.log_softmax(-1)[b, t, z] * mask).sum(-1) + last.log_softmax(-1)[w]
        log_p = p.log_softmax(-1)[b, t, z] + says.log_softmax(-1)[z, symbols[:, :2]]
        log_p = (log_p * mask).sum(-1) + last.log_softmax(-1)[w]
        return log_p + says_last.log_softmax(-1)[z[..., 0], w, symbols[:, 2]], log_q

    twin = Twin({"z": Latent(2, mask), "w": Latent(2, torch.ones(2, dtype=torch.bool))}, joint)
    model, guide = Holds(program(p, True), [p, says, says_last, last]), Holds(program(q, False), [q, last])
    return Case(model, guide, (symbols,), twin)


class Holds(nn.Module):
    def __init__(self, program: Callable[..., None], parameters: list[nn.Parameter]):
        super().__init__()
        self.program, self.table = program, nn.ParameterList(parameters)

    def forward(self, *args: Any) -> None:
        self.program(*args)


TEMPTING = {"out-of-order": out_of_order, "stops": stops, "steps": steps}


@pytest.mark.parametrize("credit", ["causal", "global"])
@pytest.mark.parametrize("name", TEMPTING)
def test_programs_that_tempt_a_baseline_to_peek(name: str, credit: str) -> None:
    objective = ScoreFunctionELBO(credit=credit, baseline=filled(LearnedBaseline()))
    assert bias(TEMPTING[name](), objective).abs().max() < 1e-9


def leak(case: Case, change: Callable[[WeightTable], WeightTable] = lambda table: table) -> float:
    """How much the history of a stage differs between draws that agree on all latents before the stage."""
    known: dict[Any, Tensor] = {}
    worst = 0.0
    for _, values in oracles.draws(case.twin, 1):
        with given(values):
            table = ScoreFunctionELBO().weight_table(case.model, case.guide, *case.args)
        parts = torch.stack([part[0].double() for part in history_of(change(table))])  # (5, *I, N)
        parts, drawn = parts.flatten(1, -2), table.values[0].flatten(0, -2).tolist()  # (5, I, N), I rows
        for i, row in enumerate(drawn):
            for s in range(parts.shape[-1]):
                first = known.setdefault((i, tuple(row[: max(0, s - 1)]), s), parts[:, i, s])
                worst = max(worst, float((first - parts[:, i, s]).abs().max()))
    assert len(known) >= len(drawn) * parts.shape[-1]
    return worst


@pytest.mark.parametrize("name", [*CASES, *TEMPTING])
def test_history_is_what_is_known_before_the_draw(name: str) -> None:
    assert leak((CASES | TEMPTING)[name]()) < 1e-12


def test_a_history_that_tells_is_noticed() -> None:
    def pretend(table: WeightTable) -> WeightTable:
        ordered = (latent._replace(order=order) for order, latent in enumerate(table.latents))
        return table._replace(latents=tuple(ordered))

    assert leak(out_of_order(), pretend) > 1e-2
    assert leak(CASES["chain"](), lambda table: table._replace(log_p=table.log_p.roll(-1, -1))) > 1e-2


def test_history_by_hand() -> None:
    case = cases.chain((2, 1))
    drawn = torch.tensor([[0, 1], [1, 0]])  # (K, B) of the first latent, then of the second
    with oracles.Force({"z_0": drawn, "z_1": drawn.flip(0)}):
        table = ScoreFunctionELBO(2).weight_table(case.model, case.guide, *case.args)
    history = history_of(table)
    p, q = case.model.transition.log_softmax(-1), case.guide.table.log_softmax(-1)
    says, symbols = case.model.emission.log_softmax(-1), case.args[0]
    for k in range(2):
        for b in range(2):
            first = int(drawn[k, b])
            ratio = p[-1, first] + says[first, symbols[b, 0]] - q[0, -1, first]
            alive = b == 0
            for s, (q_s, p_s) in enumerate([(q[0, -1], p[-1]), (q[1, first], p[first])], start=1):
                here = alive or s == 1
                close(history.entropy[k, b, s], -(q_s.exp() * q_s).sum() * here)
                close(history.kl[k, b, s], (q_s.exp() * (q_s - p_s)).sum() * here)
                close(history.log_weight[k, b, s], ratio if s == 2 else 0 * ratio)
            assert history.drawn[k, b].tolist() == [0, 0, 1]
            assert history.live[k, b].tolist() == [False, True, alive]
    assert (torch.stack(history[:4])[..., 0] == 0).all()
    assert not any(part.requires_grad for part in history)


def close(got: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(got, wanted.detach(), **EXACT)


def test_distributions_without_a_closed_form_tell_nothing() -> None:
    def program() -> None:
        with pyro.plate("data", 2, dim=-1):
            pyro.sample("n", dist.Poisson(torch.tensor(2.0)))
            pyro.sample("x", dist.Normal(0.0, 1.0))

    history = history_of(ScoreFunctionELBO().weight_table(program, program))
    assert history.entropy[0, :, 1].tolist() == [0.0, 0.0]
    torch.testing.assert_close(history.entropy[0, :, 2], dist.Normal(0.0, 1.0).entropy().expand(2))
    assert (history.kl == 0).all()


def test_latents_in_a_plate_of_their_own_are_one_stage() -> None:
    """Three words of a sentence in one site, of which two count in the second sentence."""
    q, p = cases.normal(2, 3, 4, seed=1), cases.normal(2, 3, 4, seed=2)
    mask = cases.ragged([3, 2])

    def program(table: Tensor) -> Callable[[], None]:
        def run() -> None:
            with pyro.plate("data", 2, dim=-2):
                with pyro.plate("words", 3, dim=-1), poutine.mask(mask=mask):
                    pyro.sample("z", dist.Categorical(logits=table))
                pyro.sample("w", dist.Categorical(logits=table[:, :1]))

        return run

    history = history_of(ScoreFunctionELBO(2).weight_table(program(p), program(q)))
    log_q, log_p = q.log_softmax(-1).detach(), p.log_softmax(-1).detach()
    entropy, kl = -(log_q.exp() * log_q).sum(-1), (log_q.exp() * (log_q - log_p)).sum(-1)
    for k in range(2):
        close(history.entropy[k, ..., 1].flatten(), (entropy * mask).sum(-1))
        close(history.kl[k, ..., 1].flatten(), (kl * mask).sum(-1))
        close(history.entropy[k, ..., 2].flatten(), entropy[:, 0])


def test_impossible_values() -> None:
    logits = torch.tensor([0.5, -torch.inf, 0.1])

    def program(logits: Tensor) -> Callable[[], None]:
        def run() -> None:
            with pyro.plate("data", 2, dim=-1):
                pyro.sample("z", dist.Categorical(logits=logits))

        return run

    table = ScoreFunctionELBO().weight_table(program(2 * logits), program(logits))
    history = history_of(table)
    p, q = (2 * logits).softmax(-1), logits.softmax(-1)
    kl = sum(q[i] * (q[i] / p[i]).log() for i in (0, 2))
    torch.testing.assert_close(history.kl[0, 0, 1], kl)
    torch.testing.assert_close(history.entropy[0, 0, 1], -sum(q[i] * q[i].log() for i in (0, 2)))
    impossible = ScoreFunctionELBO().weight_table(program(logits), program(torch.zeros(3)))
    assert history_of(impossible).kl[0, 0, 1] == torch.inf
    assert filled(LearnedBaseline())(history_of(impossible)).isfinite().all()


# --- the regression ---------------------------------------------------------------------------------


def force(case: Case, particles: int, seed: int = 0) -> oracles.Force:
    generator = torch.Generator().manual_seed(seed)
    shapes = {name: (particles, *latent.mask.shape) for name, latent in case.twin.latents.items()}
    return oracles.Force(
        {name: torch.randint(0, 2, shape, generator=generator) for name, shape in shapes.items()}
    )


@pytest.mark.parametrize("credit", ["causal", "global"])
@pytest.mark.parametrize("baseline", ["learned", "own"])
def test_regression_is_that_of_the_returns_that_count(baseline: str, credit: str) -> None:
    case, module = cases.chain((3, 1)), filled(MODULES[baseline]()).double()
    objective = ScoreFunctionELBO(2, credit=credit, baseline=module)
    with force(case, 2):
        surrogate = objective.estimate(case.model, case.guide, *case.args).surrogate
    with force(case, 2):
        table = objective.weight_table(case.model, case.guide, *case.args)
    log_w = (table.log_p - table.log_q).detach()
    prediction = module(history_of(table), *case.args).expand_as(log_w)
    wanted = torch.zeros(())
    for b, length in enumerate([3, 1]):
        for s in range(1, length + 1):
            for k in range(2):
                gained = log_w[k, b, s:].sum() if credit == "causal" else log_w[k, b].sum()
                wanted = wanted + (gained - prediction[k, b, s]) ** 2 / 2
    parameters = list(module.parameters())
    gradient = oracles.flat_gradient(surrogate, parameters)
    torch.testing.assert_close(gradient, -oracles.flat_gradient(wanted, parameters), **EXACT)
    assert gradient.abs().max() > 1e-2


def test_regression_is_in_the_unit_of_a_normalised_signal() -> None:
    case, module = cases.chain((3, 1)), filled(LearnedBaseline()).double()
    parameters, gradients = list(module.parameters()), []
    for normalize in (False, True):
        objective = ScoreFunctionELBO(2, baseline=module, normalize=normalize)
        if objective.moments is not None:
            objective.moments.mean.fill_(5.0)
            objective.moments.variance.fill_(16.0)
        with force(case, 2):
            surrogate = objective.estimate(case.model, case.guide, *case.args).surrogate
        gradients.append(oracles.flat_gradient(surrogate, parameters))
    torch.testing.assert_close(gradients[1], gradients[0] / 16, **EXACT)


class OneEach(nn.Module):
    """A number of its own for every element, wherever it is."""

    def __init__(self, *shape: int):
        super().__init__()
        self.table = nn.Parameter(torch.randn(shape))

    def forward(self, history: History, *args: Any) -> Tensor:
        return self.table


def test_padding_teaches_and_disturbs_nothing() -> None:
    case, module = cases.chain((3, 1)), OneEach(2, 4)
    objective = ScoreFunctionELBO(baseline=module)
    with force(case, 1):
        estimate = objective.estimate(case.model, case.guide, *case.args)
    (gradient,) = torch.autograd.grad(estimate.surrogate, [module.table], retain_graph=True)
    counts = torch.tensor([[False, True, True, True], [False, True, False, False]])
    assert (gradient[~counts] == 0).all()
    assert (gradient[counts] != 0).all()
    guide = oracles.flat_gradient(estimate.surrogate, case.of_guide)
    with torch.no_grad():
        module.table[~counts] = 1e6
    with force(case, 1):
        again = objective.estimate(case.model, case.guide, *case.args)
    torch.testing.assert_close(oracles.flat_gradient(again.surrogate, case.of_guide), guide, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(3,), (2, 1, 1, 3), (2, 3, 4), (3, 2, 4)])
def test_a_baseline_of_a_wrong_shape(shape: tuple[int, ...]) -> None:
    case = cases.chain((3, 1))
    with pytest.raises(
        UsageError, match=rf"OneEach predicts returns of shape \({shape[0]},.* \(2, 2, 4\), part"
    ):
        ScoreFunctionELBO(2, baseline=OneEach(*shape)).estimate(case.model, case.guide, *case.args)


# --- what is remembered -----------------------------------------------------------------------------


def seen_by(objective: ScoreFunctionELBO, case: Case, seed: int = 0) -> Tensor:
    """One step of training at random draws; the returns (K, *I, N), or what came in their place."""
    with force(case, objective.num_particles, seed):
        table = objective.weight_table(case.model, case.guide, *case.args)
        objective.surrogate(table)
    return suffix_sums((table.log_p - table.log_q).detach())


def test_the_average_is_that_of_the_batches_before() -> None:
    objective, case = ScoreFunctionELBO(3, baseline=AverageBaseline(decay=0.75)), cases.chain((3, 1))
    average = objective.baseline.double()
    batches: list[Tensor] = []
    with force(case, 3):
        table = objective.weight_table(case.model, case.guide, *case.args)
    for step in range(4):
        weights = torch.tensor([0.75 ** (step - 1 - n) for n in range(step)], dtype=torch.float64)
        found = average(history_of(table))
        for s in range(1, 4):
            rows = slice(None) if s == 1 else slice(0, 1)  # the second sentence has one latent
            means = torch.stack([batch[:, rows, s].mean() for batch in batches]) if batches else weights
            wanted = (weights * means).sum() / weights.sum() if batches else torch.zeros(())
            torch.testing.assert_close(found[s], wanted.to(found), **EXACT)
        batches.append(seen_by(objective, case, step))
    assert found[0] == 0  # the stage without a latent


def test_moments_are_those_of_the_weighted_batches() -> None:
    moments = RunningMoments(1, decay=0.75).double()
    batches = [torch.randn(n, 2, dtype=torch.float64) * (n + 1) + 300 for n in (1, 4, 2)]
    for batch in batches:
        moments.update(batch, torch.ones(1, dtype=torch.bool))
    weights = torch.tensor([0.75**2, 0.75, 1.0], dtype=torch.float64)
    weights /= weights.sum()
    mean = sum(w * batch.mean() for w, batch in zip(weights, batches, strict=True))
    square = sum(w * (batch - mean).square().mean() for w, batch in zip(weights, batches, strict=True))
    found, deviation = moments(1)
    torch.testing.assert_close(found[0], mean, **EXACT)
    torch.testing.assert_close(deviation[0], square.sqrt(), rtol=1e-9, atol=0)


def test_streams_after_the_last_share_it() -> None:
    moments = RunningMoments(3)
    values = torch.arange(10.0).reshape(2, 5)
    moments.update(values, torch.ones(5, dtype=torch.bool))
    mean, _ = moments(7)
    assert mean.tolist() == pytest.approx([2.5, 3.5, 5.5, 5.5, 5.5, 5.5, 5.5])
    moments.update(values[:, :1] - 2.5, torch.ones(1, dtype=torch.bool))
    assert moments(3)[0].tolist() == pytest.approx([2.5 - 2.5 * 0.1 / 0.19, 3.5, 5.5])


def test_what_nobody_saw_stays_as_it_was() -> None:
    objective = ScoreFunctionELBO(2, baseline="average", normalize=True)
    seen_by(objective, cases.chain((3, 2)))
    before = {name: part.clone() for name, part in objective.baseline.state_dict().items()}
    seen_by(objective, cases.chain((2, 1)), seed=1)  # two stages, and the programs are others
    for name, part in objective.baseline.state_dict().items():
        assert (part[:3] != before[name][:3]).any()
        assert torch.equal(part[3:], before[name][3:])
    case = cases.chain((2,))
    nothing = case._replace(args=(case.args[0], torch.zeros(1, 2, dtype=torch.bool)))
    before = {name: part.clone() for name, part in objective.baseline.state_dict().items()}
    moments = {name: part.clone() for name, part in objective.moments.state_dict().items()}
    seen_by(objective, nothing)
    assert all(torch.equal(part, before[name]) for name, part in objective.baseline.state_dict().items())
    assert all(torch.equal(part, moments[name]) for name, part in objective.moments.state_dict().items())


@pytest.mark.parametrize("name", ["average", "learned"])
def test_only_training_is_remembered(name: str) -> None:
    case, objective = cases.chain((3, 1)), ScoreFunctionELBO(2, baseline=name, normalize=True)
    module = objective(case.model, case.guide)
    seen_by(objective, case)
    before = {name: part.clone() for name, part in module.state_dict().items()}
    with torch.no_grad():
        objective.estimate(case.model, case.guide, *case.args)
    objective.loss(case.model, case.guide, *case.args)
    module.eval()
    module(*case.args).backward()
    assert all(torch.equal(part, before[key]) for key, part in module.state_dict().items())
    module.train()
    module(*case.args)
    assert any(not torch.equal(part, before[key]) for key, part in module.state_dict().items())


@pytest.mark.parametrize("name", ["average", "learned"])
def test_nothing_is_used_in_the_batch_it_was_learned_from(name: str) -> None:
    """The first step is that of no baseline; the second knows the first, and not itself."""
    case = cases.chain((3, 1))
    compared, plain = ScoreFunctionELBO(2, baseline=name, normalize=True), ScoreFunctionELBO(2)
    gradients = []
    for objective in (compared, plain, compared):
        with force(case, 2):
            surrogate = objective.estimate(case.model, case.guide, *case.args).surrogate
        gradients.append(oracles.flat_gradient(surrogate, case.of_guide))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)
    assert (gradients[2] - gradients[1]).abs().max() > 1e-2


def test_state_survives_a_round_trip() -> None:
    objective, other = (ScoreFunctionELBO(2, baseline="learned", normalize=True) for _ in range(2))
    long, short = cases.chain((3, 1)), cases.chain((1,))
    seen_by(objective, long)
    seen_by(other, short)  # of other sizes
    state = {name: part.clone() for name, part in objective(long.model, long.guide).state_dict().items()}
    other(long.model, long.guide).load_state_dict(state)
    assert all(
        torch.equal(part, state[name]) for name, part in other(long.model, long.guide).state_dict().items()
    )
    for each in (objective, other):
        seen_by(each, long, seed=1)
    going_on = objective(long.model, long.guide).state_dict()
    found = other(long.model, long.guide).state_dict()
    assert all(torch.equal(part, going_on[name]) for name, part in found.items())
    assert any(not torch.equal(part, state[name]) for name, part in found.items())


def test_a_baseline_of_ones_own_is_told_the_returns() -> None:
    class Listens(Baseline):
        heard: Tensor | None = None

        def forward(self, history: History, *args: Any, **kwargs: Any) -> Tensor:
            return torch.zeros(())

        def update(self, history: History, returns: Tensor) -> None:
            self.heard = returns

    case = cases.chain((3, 1))
    for credit in ("causal", "global"):
        objective = ScoreFunctionELBO(2, credit=credit, baseline=Listens())
        returns = seen_by(objective, case)
        wanted = returns if credit == "causal" else returns[..., :1].expand_as(returns)
        torch.testing.assert_close(objective.baseline.heard, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("baseline", ["average", "learned", "leave-one-out"])
def test_a_step_that_is_not_finite_is_not_remembered(baseline: str, bad: float) -> None:
    """Training may leave the step out: nothing of it is to be found in the state, nor in later gradients."""
    case, gradients = cases.chain((3, 1)), []
    for poisoned in (False, True):
        objective = ScoreFunctionELBO(2, baseline=baseline, normalize=True)
        module = objective(case.model, case.guide)
        if isinstance(objective.baseline, nn.Module):
            filled(objective.baseline).train()
        seen_by(objective, case)
        before = {name: part.clone() for name, part in module.state_dict().items()}
        if poisoned:
            with force(case, 2, 1):
                table = objective.weight_table(case.model, case.guide, *case.args)
            table.log_p.data[0, 0, 2] = bad
            bound, _ = objective.surrogate(table)
            assert not bound[0].isfinite()
            assert all(torch.equal(part, before[name]) for name, part in module.state_dict().items())
        with force(case, 2, 2):
            surrogate = objective.estimate(case.model, case.guide, *case.args).surrogate
        assert any(not torch.equal(part, before[name]) for name, part in module.state_dict().items())
        gradients.append(oracles.flat_gradient(surrogate, case.of_guide))
    assert torch.equal(*gradients)
    assert gradients[0].isfinite().all()


def test_a_prediction_that_is_not_finite_does_not_reach_the_moments_of_the_signal() -> None:
    case, module = cases.chain((3, 1)), OneEach(4)
    objective = ScoreFunctionELBO(2, baseline=module, normalize=True)
    seen_by(objective, case)
    before = {name: part.clone() for name, part in objective.moments.state_dict().items()}
    module.table.data[2] = math.nan
    seen_by(objective, case, 1)
    assert all(torch.equal(part, before[name]) for name, part in objective.moments.state_dict().items())


def test_what_is_masked_may_be_anything() -> None:
    moments = RunningMoments(2)
    live = torch.tensor([[True, True], [True, False]])
    moments.update(torch.tensor([[1.0, 4.0], [3.0, math.nan]]), live)
    assert moments(2)[0].tolist() == [2.0, 4.0]


def test_a_bernoulli_whose_prior_knows_no_particles() -> None:
    """torch's divergence of Bernoullis wants equal batch shapes."""
    logits = torch.zeros(2, 3, dtype=torch.float64)

    def model() -> None:
        with pyro.plate("data", 3, dim=-1):
            a = pyro.sample("a", dist.Bernoulli(0.3))
            b = pyro.sample("b", dist.Bernoulli(0.6))
            pyro.sample("y", dist.Normal(a + b, 1.0), obs=torch.ones(3))

    def guide() -> None:
        with pyro.plate("data", 3, dim=-1):
            a = pyro.sample("a", dist.Bernoulli(logits=logits[0]))
            pyro.sample("b", dist.Bernoulli(logits=logits[1] + a))

    estimate = ScoreFunctionELBO(4, baseline="learned").estimate(model, guide)
    assert estimate.bound.shape == (3,)
    assert estimate.surrogate.isfinite()


def test_continuous_latents_count_no_emissions() -> None:
    def program() -> None:
        with pyro.plate("data", 3, dim=-1):
            pyro.sample("a", dist.Normal(0.0, 1.0))

    with pytest.raises(UsageError, match="latent site 'a' takes continuous values, which count no emissions"):
        ScoreFunctionELBO(2, baseline="temporal").estimate(program, program)
