"""Estimators over decisions as one site: every path, every K-tuple of paths, no Monte Carlo.

Three frames and two tokens have C(5, 2) = 10 paths with dwelling, so a pair of particles has 100 draws.
Shapes: C combinations of paths of all data, K particles, B data, N decisions.
"""

import itertools
from collections.abc import Callable, Iterator
from math import factorial, log, prod
from typing import Any, NamedTuple

import numpy as np
import pyro
import pytest
import torch
from objective_settings import FOREVER, half_trained, nvil, reinforce, rloo
from oracles import Force, flat_gradient
from torch import Tensor, nn
from utterances import MODELS, by_hand, guide_of, legal_paths, utterances

from hardpp import sites
from hardpp.distributions.decisions import GridDecisions
from hardpp.distributions.emissions import GridEmissions
from hardpp.inference.control.schedules import EntropyBonus
from hardpp.inference.importance_weighted import IWAE, VIMCO
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.wake_sleep import ReweightedWakeSleep
from hardpp.ops.lattice_grid import Grid

CLOSE = {"rtol": 0, "atol": 1e-9}


class Case(NamedTuple):
    model: Any
    guide: Any
    batch: Any
    paths: Tensor  # (C, B, N) every combination of legal paths
    log_prior: Tensor  # (C, B) log p(path), written by hand as the two below
    log_likelihood: Tensor  # (C, B)
    log_q: Tensor  # (C, B)

    @property
    def log_w(self) -> Tensor:
        return self.log_prior + self.log_likelihood - self.log_q

    @property
    def parameters(self) -> list[nn.Parameter]:
        return list(dict.fromkeys([*self.model.parameters(), *self.guide.parameters()]))


def case(
    form: str = "online",
    guide: str = "informed",
    dwell: bool = True,
    frames: tuple[int, ...] = (3,),
    tokens: tuple[int, ...] = (2,),
) -> Case:
    batch, model = utterances(frames, tokens), MODELS[form](dwell)
    q = guide_of(guide, model)
    steps = max(frames) + (max(tokens) if dwell else 0)
    each = [legal_paths(m, n, dwell, steps) for m, n in zip(frames, tokens, strict=True)]
    table = []
    for b, paths in enumerate(each):
        rows = []
        for path in paths:
            decide, say = by_hand(model, batch, b, path)
            guided = decide if guide == "prior" else by_hand(q, batch, b, path)[0]
            rows.append(torch.stack([decide.sum(), say.sum(), guided.sum()]))
        table.append(torch.stack(rows))  # (paths, 3)
    chosen = list(itertools.product(*(range(len(paths)) for paths in each)))
    paths = torch.stack([torch.stack([each[b][c] for b, c in enumerate(row)]) for row in chosen])
    terms = torch.stack([torch.stack([table[b][c] for b, c in enumerate(row)]) for row in chosen])
    return Case(model, q, batch, paths, *terms.unbind(-1))


def draws(of: Case, particles: int) -> Iterator[tuple[Tensor, Force]]:
    """Every K-tuple: its probability under the guide, and what forces it."""
    for share, chosen in chances(of.log_q.detach().sum(-1).exp(), particles):
        value = of.paths[chosen[0]] if particles == 1 else of.paths[chosen]
        yield share, Force({sites.DECISIONS: lambda fn, value=value: value})


def chances(probability: Tensor, particles: int) -> Iterator[tuple[Tensor, list[int]]]:
    """K-tuples without those that are others in another order, which come out alike, and their chances."""
    assert probability.sum().item() == pytest.approx(1, abs=1e-12)
    total = 0.0
    for chosen in itertools.combinations_with_replacement(range(len(probability)), particles):
        orders = factorial(particles) // prod(factorial(chosen.count(each)) for each in set(chosen))
        total += float(share := orders * probability[list(chosen)].prod())
        yield share, list(chosen)
    assert total == pytest.approx(1, abs=1e-12)


def expectation(of: Case, objective: SurrogateObjective, particles: int) -> tuple[Tensor, Tensor]:
    """The exact means of bound and surrogate."""
    bound = surrogate = torch.zeros(())
    for number, (probability, force) in enumerate(draws(of, particles)):
        with force, pyro.validation_enabled(number == 0):  # Pyro looks the programs over once
            estimate = objective.estimate(of.model, of.guide, of.batch)
        bound, surrogate = bound + probability * estimate.bound, surrogate + probability * estimate.surrogate
    return bound, surrogate


def evidence_bound(of: Case) -> Tensor:
    """E_q[log w], (B,)."""
    return (of.log_q.sum(-1, keepdim=True).exp() * of.log_w).sum(0)


def weighted_bound(of: Case, particles: int) -> Tensor:
    """E[log mean_k w], (B,)."""
    every = torch.arange(len(of.paths))
    chosen = torch.cartesian_prod(*[every] * particles).reshape(-1, particles)
    probability = of.log_q.sum(-1)[chosen].sum(-1).exp()
    return (probability.unsqueeze(-1) * (of.log_w[chosen].logsumexp(1) - log(particles))).sum(0)


def check(of: Case, objective: SurrogateObjective, particles: int, exact: Tensor) -> None:
    bound, surrogate = expectation(of, objective, particles)
    torch.testing.assert_close(bound, exact.detach(), **CLOSE)
    expected = flat_gradient(exact.sum(), of.parameters)
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(flat_gradient(surrogate, of.parameters), expected, **CLOSE)


EVIDENCE: dict[str, tuple[int, Callable[[], SurrogateObjective]]] = {
    "causal": (1, ScoreFunctionELBO),
    "global": (1, lambda: ScoreFunctionELBO(credit="global")),
    "reinforce": (1, reinforce),
    "nvil": (1, lambda: half_trained(nvil(normalize=False))),
    "average": (1, lambda: half_trained(ScoreFunctionELBO(baseline="average"))),
    "rloo": (2, lambda: rloo(2)),
    "leave-one-out-global": (2, lambda: rloo(2, credit="global")),
    "temporal": (2, lambda: ScoreFunctionELBO(2, baseline="temporal")),
    "reinforce-temporal": (2, lambda: reinforce(2, baseline="temporal")),
}
WEIGHTED: dict[str, Callable[[], SurrogateObjective]] = {
    "iwae": lambda: IWAE(2),
    "iwae-prefix": lambda: IWAE(2, control="prefix"),
    "vimco-geometric": lambda: VIMCO(2, control="geometric"),
    "vimco-sequential": lambda: VIMCO(2, control="sequential"),
    "vimco-temporal": lambda: VIMCO(2, control="temporal"),
}


@pytest.mark.parametrize("guide", ["informed", "prior"])
@pytest.mark.parametrize("name", EVIDENCE)
def test_the_evidence_bound(name: str, guide: str) -> None:
    of, (particles, make) = case(guide=guide), EVIDENCE[name]
    check(of, make(), particles, evidence_bound(of))


@pytest.mark.parametrize("name", WEIGHTED)
def test_the_weighted_bound(name: str) -> None:
    of = case()
    check(of, WEIGHTED[name](), 2, weighted_bound(of, 2))


@pytest.mark.parametrize(
    "make", [lambda: rloo(2), lambda: VIMCO(2, control="temporal")], ids=["rloo", "vimco"]
)
@pytest.mark.parametrize(
    "of",
    [
        lambda: case("transducer"),
        lambda: case(dwell=False, frames=(4,)),
        lambda: case(frames=(2, 1), tokens=(1, 1)),
        lambda: case(guide="prior", frames=(2, 1), tokens=(1, 1)),
    ],
    ids=["transducer", "no-dwell", "ragged", "ragged-prior"],
)
def test_other_forms(of: Callable[[], Case], make: Callable[[], SurrogateObjective]) -> None:
    made, objective = of(), make()
    exact = evidence_bound(made) if objective.bound == "elbo" else weighted_bound(made, 2)
    check(made, objective, 2, exact)


def test_an_entropy_bonus_for_the_prior() -> None:
    """Luo et al. (2016): reward log p(y) - lambda log p(path)."""
    of = case(guide="prior")
    bonus = EntropyBonus(0.5, 0.1, hold=FOREVER // 2, steps=FOREVER)
    bound, surrogate = expectation(of, reinforce(1, entropy=bonus), 1)
    torch.testing.assert_close(bound, evidence_bound(of).detach(), **CLOSE)
    reward = (of.log_q.exp() * (of.log_likelihood - 0.5 * of.log_prior)).sum()
    expected = flat_gradient(reward, of.parameters)
    torch.testing.assert_close(flat_gradient(surrogate, of.parameters), expected, **CLOSE)


@pytest.mark.parametrize("name", ["leave-one-out", "temporal"])
def test_a_prior_is_credited_with_rewards_alone(name: Any) -> None:
    """Of two paths that are alike no reward differs, so no decision is credited: Lawson et al. (2017)."""
    of = case(guide="prior")
    for path in range(len(of.paths)):
        with Force({sites.DECISIONS: lambda fn, path=path: of.paths[[path, path]]}):
            estimate = reinforce(2, baseline=name).estimate(of.model, of.guide, of.batch)
        found = flat_gradient(estimate.surrogate, of.parameters)
        expected = flat_gradient(of.log_likelihood[path].sum(), of.parameters)
        torch.testing.assert_close(found, expected, **CLOSE)


def test_reweighted_wake_sleep() -> None:
    """Wake-theta is the weighted bound's gradient, wake-phi the weighted score of the guide."""
    of = case()
    objective = ReweightedWakeSleep(2, control_variates=False)
    bound, surrogate = expectation(of, objective, 2)
    torch.testing.assert_close(bound, weighted_bound(of, 2).detach(), **CLOSE)
    own = list(of.model.parameters())
    expected = flat_gradient(weighted_bound(of, 2).sum(), own)
    torch.testing.assert_close(flat_gradient(surrogate, own), expected, **CLOSE)
    chosen = torch.cartesian_prod(*[torch.arange(len(of.paths))] * 2)
    weights = of.log_w[chosen].softmax(1).detach() * of.log_q.detach()[chosen].sum(1, keepdim=True).exp()
    own = list(of.guide.parameters())
    expected = flat_gradient((weights * of.log_q[chosen]).sum(), own)
    torch.testing.assert_close(flat_gradient(surrogate, own), expected, **CLOSE)


# --- the tables of the specification -----------------------------------------------------------------


class Tables(nn.Module):
    """Logits by step and tokens emitted, and scores of tokens by frame: p without `tokens` is q."""

    max_plate_nesting = 1

    def __init__(self, m: int, n: int, logits: Any, tokens: Any = None):
        super().__init__()
        self.grid = Grid(torch.tensor([m]), torch.tensor([n]), m, n, True)
        self.logits = nn.Parameter(torch.tensor(logits))  # (N, n + 1)
        self.scores = tokens

    def forward(self) -> None:
        m, n = self.grid.S, self.grid.T
        i, o = torch.arange(m + 1).unsqueeze(-1), torch.arange(n + 1)
        table = self.logits[(i + o).clamp(max=m + n - 1), o].unsqueeze(0)
        with pyro.plate("utterances", 1):
            decisions = pyro.sample(sites.DECISIONS, GridDecisions(self.grid, table))
            if self.scores is not None:
                emissions = GridEmissions(self.grid, decisions, Scores(torch.tensor(self.scores)))
                pyro.sample(sites.SYMBOL, emissions, obs=torch.zeros(1, n, dtype=torch.int64))


class Scores(NamedTuple):
    table: Tensor

    def log_prob(self, value: Tensor) -> Tensor:
        return self.table.unsqueeze(0)


def trace_variance(objective: SurrogateObjective, m: int, n: int, particles: int, scale: float) -> float:
    """The sum of the variances of all entries of the guide's gradient, over all K-tuples of paths."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(m + n, n + 1))
    tokens = scale * generator.normal(size=(m + 1, n)) - 1.0
    model = Tables(m, n, logits, tokens)
    guide = Tables(m, n, logits + 0.5 * generator.normal(size=(m + n, n + 1)))
    paths = legal_paths(m, n, True, m + n)
    with torch.no_grad(), Force({sites.DECISIONS: lambda fn: paths.unsqueeze(1)}):
        fn = pyro.poutine.trace(guide).get_trace().nodes[sites.DECISIONS]["fn"]
        probability = fn.log_prob(paths.unsqueeze(1)).squeeze(-1).exp()
    first, second = torch.zeros(()), torch.zeros(())
    for share, chosen in chances(probability, particles):
        value = paths[chosen].unsqueeze(1)
        with Force({sites.DECISIONS: lambda fn, value=value: value}):
            gradient = flat_gradient(objective.estimate(model, guide).surrogate, [guide.logits])
        first, second = first + share * gradient, second + share * gradient.square().sum()
    return float(second - first.square().sum())


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (IWAE(2), 12.35),
        (VIMCO(2, control="geometric", center=False), 0.4595),
        (VIMCO(2, control="temporal", center=False), 0.4360),
    ],
    ids=["none", "leave-one-out", "temporal"],
)
def test_variances_are_those_of_another_program(objective: SurrogateObjective, expected: float) -> None:
    """Tabular p and q, m = 3, n = 2: as a program that shares no line with this one found them."""
    found = trace_variance(objective, 3, 2, 2, 1.0)
    assert found == pytest.approx(expected, rel=2e-4)
