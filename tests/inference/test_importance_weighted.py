"""Importance-weighted bounds and their gradients, summed over every K-tuple of draws."""

import functools
import itertools
from collections.abc import Callable, Iterator
from math import log
from typing import Any, NamedTuple

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import CASES, Case
from pyro import poutine
from torch import Tensor
from torch.testing import assert_close

from hardpp.distributions.step_independent import StepIndependent
from hardpp.errors import UsageError
from hardpp.inference.importance_weighted import IWAE, VIMCO
from hardpp.inference.objective import SampledObjective
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.ops.leave_one_out import held_out_bound

CLOSE = {"rtol": 0, "atol": 1e-9}
EXACT = {"rtol": 0, "atol": 1e-12}
CONTROLS = ["geometric", "arithmetic", "sequential", "temporal"]
NEVER = -torch.inf

SETTINGS: dict[str, Callable[[int], SampledObjective]] = {
    "iwae": IWAE,
    "iwae-prefix": lambda K: IWAE(K, control="prefix"),
    **{c: lambda K, c=c: VIMCO(K, control=c, center=False) for c in CONTROLS},
    **{f"{c}-centred": lambda K, c=c: VIMCO(K, control=c) for c in CONTROLS},
}
VIMCOS = [name for name in SETTINGS if not name.startswith("iwae")]


# --- programs ---------------------------------------------------------------------------------------


class Steps(cases.PyroModule):
    """All steps at once: z_t alone, y_t given z_{t-1} and z_t."""

    def __init__(self, T: int, observed: bool, seed: int):
        super().__init__()
        self.logits, self.observed = cases.normal(T, 2, seed=seed), observed
        if observed:
            self.emission = cases.normal(2, 2, 3, seed=seed + 1)

    def forward(self, symbols: Tensor, mask: Tensor) -> None:
        with pyro.plate("data", len(symbols), dim=-1):
            z = pyro.sample("z", StepIndependent(dist.Categorical(logits=self.logits).mask(mask)))
            if self.observed:
                previous = torch.cat([torch.zeros_like(z[..., :1]), z[..., :-1]], -1)
                fn = dist.Categorical(logits=self.emission[previous, z])
                pyro.sample("y", StepIndependent(fn.mask(mask)), obs=symbols)


def steps(lengths: tuple[int, ...]) -> Case:
    mask = cases.ragged(list(lengths))
    symbols = torch.randint(0, 3, mask.shape, generator=torch.Generator().manual_seed(2))
    model, guide = Steps(mask.shape[1], True, 90), Steps(mask.shape[1], False, 95)

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        z, t = values["z"], torch.arange(mask.shape[1])
        previous = torch.cat([torch.zeros_like(z[..., :1]), z[..., :-1]], -1)
        log_p = model.logits.log_softmax(-1)[t, z] + model.emission.log_softmax(-1)[previous, z, symbols]
        return (log_p * mask).sum(-1), (guide.logits.log_softmax(-1)[t, z] * mask).sum(-1)

    return Case(model, guide, (symbols, mask), oracles.Twin({"z": oracles.Latent(2, mask)}, joint))


def by_step(case: Case) -> Case:
    """An alignment whose twin keeps the steps apart, (C, B * T): its instances are steps of sentences."""
    model, guide, (batch,) = case.model, case.guide, case.args

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        prior, likelihood, _, _ = oracles.alignment_tables(model, batch)
        scores = prior
        if hasattr(guide, "scorer"):
            source = guide.source_reader(guide.source_embedding(batch.source), batch.source_mask)
            target = guide.target_reader(guide.target_embedding(batch.target), batch.target_mask)
            scores = guide.scorer(target, guide.scorer.keys(source), batch.source_mask).log_softmax(-1)
        z, mask = values["alignment"].unsqueeze(-1), batch.target_mask
        terms = [
            table.expand(len(z), *table.shape).gather(-1, z).squeeze(-1).where(mask, 0.0).flatten(1)
            for table in (prior + likelihood, scores)
        ]
        return terms[0], terms[1]

    return case._replace(twin=oracles.Twin(case.twin.latents, joint))


def small_alignment() -> Case:
    return by_step(cases.alignment(batch=cases.alignment_batch((2,), (2,))))


class Coin(cases.PyroModule):
    """One latent of two values; a factor adds `nats` to every log-probability."""

    def __init__(self, observed: bool, seed: int, nats: float = 0.0):
        super().__init__()
        self.logits, self.observed, self.nats = cases.normal(2, seed=seed), observed, nats
        if observed:
            self.emission = cases.normal(2, 3, seed=seed + 1)

    def forward(self, symbols: Tensor) -> None:
        with pyro.plate("data", len(symbols), dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=self.logits))
            if self.observed:
                pyro.sample("y", dist.Categorical(logits=self.emission[z]), obs=symbols)
                pyro.factor("nats", torch.full(z.shape, self.nats, dtype=torch.float64))


def coin(nats: float = 0.0) -> Case:
    model, guide, symbols = Coin(True, 80, nats), Coin(False, 85), torch.tensor([1])

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        z = values["z"]
        log_p = model.logits.log_softmax(-1)[z] + model.emission.log_softmax(-1)[z, symbols] + nats
        return log_p, guide.logits.log_softmax(-1)[z]

    latents = {"z": oracles.Latent(2, torch.ones(1, dtype=torch.bool))}
    return Case(model, guide, (symbols,), oracles.Twin(latents, joint))


class Online(cases.PyroModule):
    """At every step emit the next of n tokens or consume the next of m inputs, until neither is left.

    A step that has no choice is masked out, and what is drawn there is not looked at.
    """

    def __init__(self, m: int, n: int, observed: bool, seed: int):
        super().__init__()
        self.m, self.n, self.observed = m, n, observed
        self.logits = cases.normal(m + n, n + 1, seed=seed)
        if observed:
            self.says = cases.normal(m + 1, n, seed=seed + 1)

    def forward(self, data: Tensor) -> None:
        with pyro.plate("data", len(data), dim=-1):
            emitted = consumed = torch.zeros(len(data), dtype=torch.int64)
            for t in range(self.m + self.n):
                free = (emitted < self.n) & (consumed < self.m)
                with poutine.mask(mask=free):
                    drawn = pyro.sample(f"emits_{t}", dist.Bernoulli(logits=self.logits[t][emitted]))
                emits = torch.where(free, drawn > 0, emitted < self.n)
                if self.observed:
                    said = self.says[consumed, emitted.clamp(max=self.n - 1)]
                    pyro.factor(f"y_{t}", said.where(emits, 0.0))
                emitted, consumed = emitted + emits, consumed + ~emits

    def progress(self, values: Tensor) -> Tensor:
        """Tokens emitted after each step, where values hold 0 at the steps that had no choice."""
        steps = torch.arange(1, self.m + self.n + 1)
        return values.cumsum(-1).maximum(steps - self.m).long()


def online(m: int, n: int) -> Case:
    """Its twin has one latent, which path, out of all in which n steps emit and m consume."""
    model, guide = Online(m, n, True, 100), Online(m, n, False, 105)
    paths = list(itertools.combinations(range(m + n), n))  # the steps that emit

    def along(path: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        log_p = log_q = torch.zeros((), dtype=torch.float64)
        for t in range(m + n):
            emitted, emits = sum(step < t for step in path), t in path
            if emitted < n and t - emitted < m:
                side = 1 if emits else -1
                log_p = log_p + (side * model.logits[t, emitted]).sigmoid().log()
                log_q = log_q + (side * guide.logits[t, emitted]).sigmoid().log()
            if emits:
                log_p = log_p + model.says[t - emitted, emitted]
        return log_p, log_q

    def joint(values: oracles.Values) -> tuple[Tensor, Tensor]:
        log_p, log_q = zip(*map(along, paths), strict=True)
        return torch.stack(log_p)[values["path"]], torch.stack(log_q)[values["path"]]

    latents = {"path": oracles.Latent(len(paths), torch.ones(1, dtype=torch.bool))}
    return Case(model, guide, (torch.zeros(1),), oracles.Twin(latents, joint))


def decisions(case: Case, fill: int) -> oracles.Values:
    """The values of all sites along every path of `online`, (C, 1)."""
    m, n = case.model.m, case.model.n
    rows = []
    for path in itertools.combinations(range(m + n), n):
        emitted = [sum(step < t for step in path) for t in range(m + n)]
        free = [e < n and t - e < m for t, e in enumerate(emitted)]
        rows.append([float(t in path) if free[t] else float(fill) for t in range(m + n)])
    table = torch.tensor(rows, dtype=torch.float64)
    return {f"emits_{t}": table[:, t : t + 1] for t in range(m + n)}


PAIRS: dict[str, Callable[[], Case]] = {
    name: (lambda make=make: by_step(make())) if name.startswith("alignment") else make
    for name, make in CASES.items()
} | {"steps": lambda: steps((3,)), "steps-ragged": lambda: steps((2, 1))}
TRIPLES: dict[str, Callable[[], Case]] = {
    "chain": lambda: cases.chain((2,)),
    "history": lambda: cases.history(2),
    "two-supports": cases.two_supports,
    "alignment": small_alignment,
    "steps": lambda: steps((2,)),
}


# --- draws ------------------------------------------------------------------------------------------


class Rows(WeightTable):
    """A table put together from rows, whose latents' values are given."""

    values: Any = None  # (K, *I, N - 1)
    live: Any = None  # (K, *I, N)


def every_draw(case: Case, fill: int = 0) -> tuple[Tensor, Rows]:
    """The probability of every tuple of latents, (C,), and its row of the weight table: one run for all."""
    values = oracles.tuples(case.twin.latents, fill)
    (log_q,) = case.twin.joint(values)[1:]
    if "path" in values:
        values = decisions(case, fill)
    with oracles.Force({name: lambda fn, value=value: value for name, value in values.items()}):
        table = IWAE(len(log_q)).weight_table(case.model, case.guide, *case.args)
    rows = Rows(*table)
    rows.values, rows.live = table.values, table.live.expand_as(table.log_q)
    return log_q.sum(-1).exp().detach(), rows


def tables(case: Case, particles: int, fill: int = 0) -> Iterator[tuple[Tensor, Rows]]:
    """The probability and the weight table of every K-tuple of draws."""
    probability, rows = every_draw(case, fill)
    for chosen in map(list, itertools.product(range(len(probability)), repeat=particles)):
        log_p, log_q, score, *rest = rows
        table = Rows(log_p[chosen], log_q[chosen], score[chosen], *rest)
        table.values, table.live = rows.values[chosen], rows.live[chosen]
        yield probability[chosen].prod(), table


class Moments(NamedTuple):
    bound: Tensor  # (B,)
    surrogate: Tensor  # its gradient is the expected gradient


def expectations(case: Case, particles: int, settings: list[str], fill: int = 0) -> dict[str, Moments]:
    """What every setting says on average; all of them see the same tables."""
    objectives = {name: SETTINGS[name](particles) for name in settings}
    total = {name: Moments(torch.zeros(()), torch.zeros(())) for name in settings}
    for probability, table in tables(case, particles, fill):
        for name, objective in objectives.items():
            bound, surrogate = objective.surrogate(table)
            total[name] = Moments(
                total[name].bound + probability * table.layout.per_datum(bound, 0),
                total[name].surrogate + probability * surrogate,
            )
    return total


@functools.cache
def cached(name: str, particles: int, fill: int = 0) -> tuple[Case, dict[str, Moments]]:
    case = (PAIRS if particles < 3 else TRIPLES)[name]()
    settings = list(SETTINGS) if particles > 1 else ["iwae", "iwae-prefix"]
    return case, expectations(case, particles, settings, fill)


def check_expectation(name: str, setting: str, particles: int, fill: int = 0) -> None:
    case, found = cached(name, particles, fill)
    exact = oracles.iw_bound_per_datum(case.twin, particles)
    bound = found[setting].bound
    assert_close(bound, exact.detach().unflatten(0, (len(bound), -1)).sum(-1), **CLOSE)
    for parameters in (case.of_model, case.of_guide):
        expected = oracles.flat_gradient(exact.sum(), parameters)
        assert not parameters or expected.abs().max() > 1e-2  # otherwise the check is empty
        assert_close(oracles.flat_gradient(found[setting].surrogate, parameters), expected, **CLOSE)


def variances(case: Case, objectives: list[SampledObjective]) -> list[Tensor]:
    """The exact variance of the guide's gradient, summed over its parameters."""
    first: list[Any] = [0.0] * len(objectives)
    second: list[Any] = [0.0] * len(objectives)
    for probability, table in tables(case, objectives[0].num_particles):
        for i, objective in enumerate(objectives):
            gradient = oracles.flat_gradient(objective.surrogate(table)[1], case.of_guide)
            first[i] = first[i] + probability * gradient
            second[i] = second[i] + probability * gradient**2
    return [(b - a**2).sum() for a, b in zip(first, second, strict=True)]


# --- expectations -----------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", PAIRS)
def test_two_particles(name: str, setting: str) -> None:
    check_expectation(name, setting, 2)


@pytest.mark.parametrize("name", PAIRS)
def test_two_particles_drawn_as_two(name: str) -> None:
    """The whole estimate, from programs that run with K particles."""
    case = PAIRS[name]()
    objective = VIMCO(2)

    def run() -> tuple[Tensor, Tensor]:
        estimate = objective.estimate(case.model, case.guide, *case.args)
        return estimate.bound.sum(), estimate.surrogate

    total = [torch.zeros(()), torch.zeros(())]
    for probability, values in oracles.draws(case.twin, 2):
        with oracles.Force({name: lambda fn, value=value: value for name, value in values.items()}):
            total = [old + probability * new for old, new in zip(total, run(), strict=True)]
    exact = oracles.iw_bound_per_datum(case.twin, 2).sum()
    assert_close(total[0], exact.detach(), **CLOSE)
    parameters = [*case.of_model, *case.of_guide]
    expected = oracles.flat_gradient(exact, parameters)
    assert_close(oracles.flat_gradient(total[1], parameters), expected, **CLOSE)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", TRIPLES)
def test_three_particles(name: str, setting: str) -> None:
    check_expectation(name, setting, 3)


@pytest.mark.parametrize("setting", ["iwae", "iwae-prefix"])
@pytest.mark.parametrize("name", PAIRS)
def test_one_particle_is_the_evidence_lower_bound(name: str, setting: str) -> None:
    check_expectation(name, setting, 1)
    case, found = cached(name, 1)
    bound = oracles.bound_per_datum(case.twin).sum()
    assert_close(found[setting].bound.sum(), bound.detach(), **CLOSE)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", ["chain-ragged", "steps-ragged", "alignment-variational"])
def test_what_is_drawn_at_masked_elements_is_indifferent(name: str, setting: str) -> None:
    check_expectation(name, setting, 2, fill=1)
    _, plain = cached(name, 2)
    _, other = cached(name, 2, fill=1)
    assert_close(other[setting].bound, plain[setting].bound, **EXACT)


@pytest.mark.parametrize("setting", SETTINGS)
def test_estimate_scales_the_table_outside_the_logarithm(setting: str) -> None:
    case, objective = cases.chain((2, 1)), SETTINGS[setting](2)
    objective.max_plate_nesting = 1  # not to be found by a run that draws
    for scale in (1.0, 3.0):
        pyro.set_rng_seed(1)
        table = objective.weight_table(case.model, case.guide, *case.args)
        bound, surrogate = objective.surrogate(table)
        pyro.set_rng_seed(1)
        model, guide = (poutine.scale(program, scale) for program in (case.model, case.guide))
        estimate = objective.estimate(model, guide, *case.args)
        assert_close(estimate.bound, scale * bound, **EXACT)
        assert_close(
            oracles.flat_gradient(estimate.surrogate, case.of_guide),
            scale * oracles.flat_gradient(surrogate, case.of_guide),
            **EXACT,
        )


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_discrete_latent_beside_a_reparameterised_one(setting: str) -> None:
    """Noise of three values with weights of its own: exact for any values and weights."""
    model, guide, args = cases.mixed()
    noise = torch.tensor([-1.3, 0.2, 1.9], dtype=torch.float64)
    weight = torch.tensor([0.3, 0.5, 0.2], dtype=torch.float64)
    z, e = (index.flatten() for index in torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij"))
    x = guide.mean[z] + guide.log_sd.exp()[z] * noise[e]
    log_q = guide.logits.log_softmax(-1)[z]
    log_w = model.logits.log_softmax(-1)[z] - log_q
    for program, sign in ((model, 1), (guide, -1)):
        log_w = log_w + sign * dist.Normal(program.mean[z], program.log_sd.exp()[z]).log_prob(x)
    log_w = log_w + dist.Normal(model.slope[z] * x, 1.0).log_prob(args[0])

    pairs = torch.cartesian_prod(torch.arange(6), torch.arange(6))
    probability = (log_q.exp() * weight[e])[pairs].prod(-1)
    exact = (probability * (log_w[pairs].logsumexp(-1) - log(2))).sum()
    objective = SETTINGS[setting](2)
    bound = surrogate = torch.zeros(())
    for pair, share in zip(pairs, probability.detach(), strict=True):
        eps = noise[e[pair]].reshape(2, 1)
        values = {"z": z[pair].reshape(2, 1), "x": lambda fn, eps=eps: fn.loc + fn.scale * eps}
        with oracles.Force(values):
            estimate = objective.estimate(model, guide, *args)
        bound = bound + share * estimate.bound.sum()
        surrogate = surrogate + share * estimate.surrogate
    assert_close(bound, exact.detach(), **CLOSE)
    for program in (model, guide):
        parameters = list(program.parameters())
        expected = oracles.flat_gradient(exact, parameters)
        assert expected.abs().max() > 1e-2
        assert_close(oracles.flat_gradient(surrogate, parameters), expected, **CLOSE)


@pytest.mark.parametrize("fill", [0, 1])
@pytest.mark.parametrize(("m", "n", "particles"), [(3, 2, 2), (2, 2, 3)])
def test_online_alignments(m: int, n: int, particles: int, fill: int) -> None:
    """Decisions to emit, with steps that have no choice: what the temporal control is for."""
    case = online(m, n)
    exact = oracles.iw_bound_per_datum(case.twin, particles)
    options = itertools.product(CONTROLS, [True, False], [None, case.model.progress])
    objectives = [
        VIMCO(particles, control=control, center=center, progress=progress)
        for control, center, progress in options
        if control == "temporal" or progress is None
    ]
    totals = [torch.zeros(())] * len(objectives)
    for probability, table in tables(case, particles, fill):
        surrogates = [objective.surrogate(table)[1] for objective in objectives]
        totals = [old + probability * new for old, new in zip(totals, surrogates, strict=True)]
    for total in totals:
        for parameters in (case.of_model, case.of_guide):
            expected = oracles.flat_gradient(exact.sum(), parameters)
            assert expected.abs().max() > 1e-2
            assert_close(oracles.flat_gradient(total, parameters), expected, **CLOSE)


def test_progress_sees_nothing_of_what_is_drawn_without_a_choice() -> None:
    case, seen = online(3, 2), []

    def progress(values: Tensor) -> Tensor:
        seen.append(case.model.progress(values))
        return seen[-1]

    for fill in (0, 1):
        _, rows = every_draw(case, fill)
        VIMCO(len(rows.log_q), control="temporal", progress=progress).surrogate(rows)
    emits = torch.tensor([[t in path for t in range(5)] for path in itertools.combinations(range(5), 2)])
    for each in seen:
        assert torch.equal(each[:, 0], emits.cumsum(-1))


# --- signals, against loops -------------------------------------------------------------------------


def synthetic(weights: Tensor, values: Tensor | None = None) -> Rows:
    zero = torch.zeros_like(weights)
    table = Rows(
        weights.clone().requires_grad_(),
        zero,
        zero.clone().requires_grad_(),
        1.0,
        (),
        cases.data_layout(weights.shape[1]),
    )
    table.values = values
    table.live = torch.ones(1, *weights.shape[1:], dtype=torch.bool)
    return table


def control_by_loops(control: str, weights: Tensor, emits: Tensor, k: int, s: int) -> Tensor:
    """What is subtracted for particle k at stage s of one instance; weights (K, N), emits (K, N - 1)."""
    K = len(weights)
    if control in ("iwae", "iwae-prefix"):
        pasts = weights[:, :s].sum(-1)
        return torch.zeros(()) if control == "iwae" else pasts.logsumexp(0) - log(K)
    log_w = weights.sum(-1)
    others = [j for j in range(K) if j != k]
    if control == "geometric":
        stand_in = log_w[others].mean()
    elif control == "arithmetic":
        stand_in = log_w[others].logsumexp(0) - log(K - 1)
    elif control == "sequential":
        stand_in = weights[k, :s].sum() + weights[others, s:].sum(-1).mean()
    else:
        emitted, futures = [[0, *row.cumsum(0).tolist()] for row in emits], []
        for j in others:
            got_as_far = [t for t in range(weights.shape[1]) if emitted[j][t] >= emitted[k][s - 1]]
            futures.append(weights[j, got_as_far[0] + 1 :].sum() if got_as_far else weights.new_zeros(()))
        stand_in = weights[k, :s].sum() + torch.stack(futures).mean()
    return torch.stack([*log_w[others], stand_in]).logsumexp(0) - log(K)


@pytest.mark.parametrize("K", [2, 3, 5])
@pytest.mark.parametrize("setting", SETTINGS)
def test_signals_and_weights_are_those_of_the_equations(setting: str, K: int) -> None:
    generator = torch.Generator().manual_seed(K)
    weights = 3 * torch.randn(K, 2, 4, generator=generator, dtype=torch.float64)
    emits = torch.randint(0, 2, (K, 2, 3), generator=generator)
    table = synthetic(weights, emits)
    bound, surrogate = SETTINGS[setting](K).surrogate(table)
    expected = weights.sum(-1).logsumexp(0) - log(K)
    assert_close(bound, expected, **EXACT)
    signal, share = torch.autograd.grad(surrogate.sum(), [table.score, table.log_p])
    assert_close(share, weights.sum(-1).softmax(0).unsqueeze(-1).expand_as(weights), **EXACT)
    centre = 1 / K if setting.endswith("-centred") else 0.0
    for k, i, s in itertools.product(range(K), range(2), range(1, 4)):
        control = control_by_loops(setting.removesuffix("-centred"), weights[:, i], emits[:, i], k, s)
        assert_close(signal[k, i, s], expected[i] - control + centre, **EXACT)


@pytest.mark.parametrize("K", [2, 64, 65, 256])
@pytest.mark.parametrize("setting", VIMCOS)
def test_many_particles_far_down(setting: str, K: int) -> None:
    """A common part of all log weights does not change a signal."""
    generator = torch.Generator().manual_seed(K)
    weights = 3 * torch.randn(K, 1, 3, generator=generator, dtype=torch.float64)
    emits = torch.randint(0, 2, (K, 1, 2), generator=generator)
    shift = torch.tensor([-5e3, 0.0, -5e3], dtype=torch.float64)
    signals = []
    for each in (weights, weights + shift):
        table = synthetic(each, emits)
        (signal,) = torch.autograd.grad(SETTINGS[setting](K).surrogate(table)[1].sum(), [table.score])
        signals.append(signal[..., 1:])
    if "temporal" not in setting:  # whose futures are of different lengths
        assert_close(signals[1], signals[0], rtol=0, atol=1e-10)
    k = int(weights.sum(-1).argmax())  # the one whose signal a subtraction would lose
    for each, signal in zip((weights, weights + shift), signals, strict=True):
        control = control_by_loops(setting.removesuffix("-centred"), each[:, 0], emits[:, 0], k, 2)
        value = each[:, 0].sum(-1).logsumexp(0) - log(K) - control + (1 / K if "centred" in setting else 0)
        assert_close(signal[k, 0, 1], value, rtol=0, atol=1e-10)


@pytest.mark.parametrize("setting", SETTINGS)
def test_impossible_particles(setting: str) -> None:
    """-inf in one stage of some particles: finite wherever the equations are, and none of it NaN."""
    weights = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    emits = torch.randint(0, 2, (3, 5, 3), generator=torch.Generator().manual_seed(4))
    for k, i, s in [
        (0, 0, 2),
        (1, 1, 1),
        (2, 1, 3),
        *((k, 2, 1 + k) for k in range(3)),
        (0, 3, 0),
        (1, 3, 0),
    ]:
        weights[k, i, s] = NEVER
    table = synthetic(weights, emits)
    bound, surrogate = SETTINGS[setting](3).surrogate(table)
    assert surrogate.isfinite().all()
    assert torch.equal(bound == NEVER, torch.tensor([False, False, True, False, False]))
    signal, share = torch.autograd.grad(surrogate.sum(), [table.score, table.log_p])
    assert signal.isfinite().all()
    assert (signal[:, 2] == 0).all()
    assert (share[:, 2] == 0).all()
    assert (share[weights.sum(-1) == NEVER] == 0).all()
    assert_close(share.sum(0)[bound > NEVER], torch.ones(4, 4, dtype=torch.float64), **EXACT)
    for k, i, s in itertools.product(range(3), [0, 1, 3, 4], range(1, 4)):
        control = control_by_loops(setting.removesuffix("-centred"), weights[:, i], emits[:, i], k, s)
        centre = 1 / 3 if "centred" in setting else 0.0
        assert_close(signal[k, i, s], bound[i] - (control - centre if control > NEVER else 0), **EXACT)


@pytest.mark.parametrize("setting", SETTINGS)
def test_an_impossible_draw_in_a_program(setting: str) -> None:
    """The model forbids the second value, the guide draws it all the same."""
    case = cases.two_supports()
    with torch.no_grad():
        case.model.first[1] = NEVER
    objective = SETTINGS[setting](2)
    seen = 0
    for _, table in tables(case, 2):
        bound, surrogate = objective.surrogate(table)
        gradients = [oracles.flat_gradient(surrogate, p) for p in (case.of_model, case.of_guide)]
        assert all(gradient.isfinite().all() for gradient in gradients)
        impossible = bool((table.values[..., 0] == 1).all())
        assert bool(bound == NEVER) == impossible
        if impossible:
            seen += 1
            assert all((gradient == 0).all() for gradient in gradients)
    assert seen == 9


# --- identities -------------------------------------------------------------------------------------


def test_bounds_stand_in_order() -> None:
    """ELBO <= L_2 <= L_8 <= log p(y), and they close in on it."""
    case = coin()
    bounds = [expectations(case, K, ["iwae"])["iwae"].bound for K in (1, 2, 8)]
    bounds.append(oracles.log_marginal(case.twin).detach().reshape(1))
    gaps = torch.cat(bounds).diff()
    assert (gaps > 1e-2).all()


def posterior_guide(case: Case) -> None:
    """Gives a `History` guide the posterior of its model."""
    values = oracles.tuples(case.twin.latents)
    with torch.no_grad():
        log_p = case.twin.joint(values)[0].squeeze(-1)
        for t, of_step in enumerate(case.guide.prior):
            code = sum(values[f"z_{s}"][:, 0] * 2 ** (t - 1 - s) for s in range(t)) + torch.zeros(len(log_p))
            for prefix, z in itertools.product(range(2**t), range(2)):
                hit = (code == prefix) & (values[f"z_{t}"][:, 0] == z)
                if hit.any():
                    of_step[prefix, z] = log_p[hit].logsumexp(0)


@pytest.mark.parametrize(
    ("setting", "T"),
    [*((f"{c}-centred", 1) for c in CONTROLS), ("geometric-centred", 2), ("arithmetic-centred", 2)],
)
def test_at_the_posterior_there_is_no_gap_and_no_gradient(setting: str, T: int) -> None:
    """Draw by draw. Per-step controls compare futures, which differ where the past differs."""
    case = cases.history(T)
    posterior_guide(case)
    marginal = oracles.log_marginal(case.twin).detach()
    for _, table in tables(case, 3):
        bound, surrogate = SETTINGS[setting](3).surrogate(table)
        assert_close(bound, marginal.reshape(1), **EXACT)
        assert oracles.flat_gradient(surrogate, case.of_guide).abs().max() < 1e-12
        assert oracles.flat_gradient(surrogate, case.of_model).abs().max() > 1e-3


def gradients(case: Case, particles: int, objectives: list[SampledObjective]) -> Iterator[list[Tensor]]:
    for _, table in tables(case, particles):
        yield [oracles.flat_gradient(o.surrogate(table)[1], case.of_guide) for o in objectives]


def test_with_one_latent_there_is_nothing_to_keep_or_to_align() -> None:
    objectives = [VIMCO(3, control=c) for c in ("geometric", "sequential", "temporal")]
    for geometric, *others in gradients(coin(), 3, objectives):
        for other in others:
            assert_close(other, geometric, **EXACT)


def test_of_two_particles_both_means_are_the_other() -> None:
    objectives = [VIMCO(2, control=c) for c in ("geometric", "arithmetic")]
    for geometric, arithmetic in gradients(cases.chain((2,)), 2, objectives):
        assert_close(arithmetic, geometric, **EXACT)


def test_temporal_by_the_clock_is_sequential() -> None:
    clock = VIMCO(2, control="temporal", progress=lambda values: torch.ones_like(values).cumsum(-1))
    for temporal, sequential in gradients(cases.history(3), 2, [clock, VIMCO(2)]):
        assert_close(temporal, sequential, **EXACT)


def test_equation_6_of_lawson_et_al_in_place_of_equation_7_gives_geometric() -> None:
    weights = torch.randn(4, 2, 5, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    table = synthetic(weights)
    (signal,) = torch.autograd.grad(
        VIMCO(4, control="geometric", center=False).surrogate(table)[1].sum(), [table.score]
    )
    log_w = weights.sum(-1)
    for k, s in itertools.product(range(4), range(5)):
        others = [j for j in range(4) if j != k]
        past = weights[..., :s].sum(-1)
        equation_6 = weights[others, :, s:].sum(-1).mean(0) + (past[others] - past[k]).mean(0)
        stand_in = (past[k] + equation_6).expand_as(log_w)
        expected = log_w.logsumexp(0) - log(4) - held_out_bound(log_w, stand_in)[k]
        assert_close(signal[k, :, s], expected, **EXACT)


# --- variance ---------------------------------------------------------------------------------------


def test_a_common_factor_does_not_enter_the_variance() -> None:
    """Fifty nats a datum, as long sequences have them: a plain score function drowns in its square."""
    objectives: list[SampledObjective] = [
        ScoreFunctionELBO(8, credit="global"),
        ScoreFunctionELBO(8, credit="global", baseline="leave-one-out"),
        *(VIMCO(8, control=c, center=c == "sequential") for c in CONTROLS),
    ]
    here, there = (variances(case, objectives) for case in (coin(), coin(-50.0)))
    plain, *held_out = there
    for now, before in zip(held_out, here[1:], strict=True):
        assert_close(now, before, rtol=1e-9, atol=0)
        assert before > 1e-6
        assert 100 * now < plain


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IWAE(0), "iwae needs at least 1 particle, got 0"),
        (lambda: IWAE(2, control="vimco"), "control is 'none' or 'prefix', not 'vimco'"),
        (lambda: VIMCO(1), "vimco compares particles: it needs at least 2, got 1"),
        (lambda: VIMCO(2, control="mean"), "'sequential' or 'temporal', not 'mean'"),
        (lambda: VIMCO(2, progress=Tensor.cumsum), "control 'temporal' only, not to 'sequential'"),
    ],
)
def test_options_that_do_not_go_together(make: Callable[[], SampledObjective], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_progress_of_another_shape() -> None:
    case = cases.chain((3,))
    objective = VIMCO(2, control="temporal", progress=lambda values: values.sum(-1))
    with pytest.raises(UsageError, match=r"shape of the latents' values, \(2, 1, 3\), got \(2, 1\)"):
        objective.estimate(case.model, case.guide, *case.args)
