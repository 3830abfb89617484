"""Latents that the model marks, or that are named, to be summed beside those that the guide draws."""

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import pyro
import pytest
import torch
from objective_settings import half_trained
from oracles import flat_gradient
from programs import brute_force
from programs.brute_force import Target, Weighed
from programs.program import Choices, Given, Program
from programs.tables import C, Tables
from pyro import poutine
from pyro.ops.indexing import Vindex
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference import (
    IWAE,
    OVIS,
    VIMCO,
    EnumeratedELBO,
    Hybrid,
    Imitation,
    KLWarmUp,
    ReweightedWakeSleep,
    ScoreFunctionELBO,
    TraceGraph,
    UnorderedSet,
)

CLOSE = {"rtol": 0, "atol": 1e-9}
SUM = {"enumerate": "parallel"}
PAIR = torch.tensor([0, 1])
ONE = Choices()


class Partial(NamedTuple):
    """A program, the latents that are summed, and what multiplies the bound."""

    program: Program
    summed: dict[str, Choices]
    scale: float = 1.0
    named: tuple[str, ...] = ()


def chains_of_a_kind() -> Partial:
    """The kind of all chains is drawn, their states are summed."""
    t = Tables(191)
    kind, move, say, q = t(2), t(2, 2, 2), t(2, 2, 3), t(2)
    y = torch.tensor([[0, 2], [1, 1]])

    def model() -> None:
        g = pyro.sample("g", C(kind))
        with pyro.plate("data", 2):
            z = torch.zeros(2, dtype=torch.int64)
            for i in pyro.markov(range(2)):
                z = pyro.sample(f"z{i}", C(Vindex(move)[g, z]), infer=SUM)
                pyro.sample(f"y{i}", C(Vindex(say)[g, z]), obs=y[i])

    program = Program(model, lambda: pyro.sample("g", C(q)), t.all, {"g": ONE}, joint=True)
    return Partial(program, {"z0": Choices((2,)), "z1": Choices((2,))})


def between_drawn_ones() -> Partial:
    """One is drawn before it, one after it; the guide draws the latter first."""
    t = Tables(192)
    p, r, s, say, q, v = t(2), t(2, 2), t(2, 2), t(2, 2, 2), t(2, 2), t(2, 2, 2)

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p))
            c = pyro.sample("c", C(r[z]), infer=SUM)
            w = pyro.sample("w", C(s[c]))
            pyro.sample("y", C(Vindex(say)[c, w]), obs=PAIR)

    def guide() -> None:
        with pyro.plate("data", 2):
            w = pyro.sample("w", C(q))
            pyro.sample("z", C(v[PAIR, w]))

    latents = dict.fromkeys("wz", Choices((2,)))
    return Partial(Program(model, guide, t.all, latents, ("data",)), {"c": Choices((2,))})


def words_by_name() -> Partial:
    """Latents of words are summed by their name, the document's is drawn; some words are masked."""
    t = Tables(193)
    p, r, say, q = t(2), t(2, 2), t(2, 2, 2), t(2, 1, 2)
    on = torch.tensor([[True, True], [True, False]])

    def model() -> None:
        with pyro.plate("documents", 2, dim=-2):
            z = pyro.sample("z", C(p))
            with pyro.plate("words", 2, dim=-1), poutine.mask(mask=on):
                c = pyro.sample("c", C(r[z]))
                pyro.sample("y", C(Vindex(say)[z, c]), obs=torch.tensor([[0, 1], [1, 0]]))

    def guide() -> None:
        with pyro.plate("documents", 2, dim=-2):
            pyro.sample("z", C(q))

    program = Program(model, guide, t.all, {"z": Choices((2, 1))}, ("documents",))
    summed = {"c": Choices((2, 2), counts=[True, True, True, False])}
    return Partial(program, summed, named=("c",))


def one_of_all() -> Partial:
    """A latent of all data is summed, those of each are drawn."""
    t = Tables(194)
    kind, prior, say, q = t(2), t(2, 2), t(2, 2, 2), t(2)

    def model() -> None:
        g = pyro.sample("g", C(kind), infer=SUM)
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(prior[g]))
            pyro.sample("y", C(Vindex(say)[g, z]), obs=PAIR)

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", C(q))

    return Partial(Program(model, guide, t.all, {"z": Choices((2,))}, joint=True), {"g": ONE})


def apart() -> Partial:
    """A sum that no draw has a say in, outside of the plate of data."""
    t = Tables(195)
    p, kind, say, q = t(2), t(2), t(2, 2, 2), t(2)

    def model() -> None:
        g = pyro.sample("g", C(kind), infer=SUM)
        pyro.sample("x", C(say[1][g]), obs=torch.tensor(1))
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p))
            pyro.sample("y", C(say[0][z]), obs=PAIR)

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", C(q))

    return Partial(Program(model, guide, t.all, {"z": Choices((2,))}, ("data",)), {"g": ONE})


def columns_of_rows() -> Partial:
    """Crossed plates: latents of rows are drawn, those of columns summed."""
    t = Tables(196)
    p, r, say, q = t(2), t(2), t(2, 2, 2), t(2, 1, 2)

    def model() -> None:
        rows, columns = pyro.plate("rows", 2, dim=-2), pyro.plate("columns", 2, dim=-1)
        with rows:
            z = pyro.sample("z", C(p))
        with columns:
            c = pyro.sample("c", C(r), infer=SUM)
        with rows, columns:
            pyro.sample("y", C(Vindex(say)[z, c]), obs=torch.tensor([[0, 1], [1, 0]]))

    def guide() -> None:
        with pyro.plate("rows", 2, dim=-2):
            pyro.sample("z", C(q))

    program = Program(model, guide, t.all, {"z": Choices((2, 1))}, joint=True)
    return Partial(program, {"c": Choices((2,))})


def scaled() -> Partial:
    """Two of four data, and a third of that; a factor within the sum."""
    t = Tables(197)
    p, r, say, q = t(2), t(2, 3), t(2, 3, 2), t(2, 2)
    third = poutine.scale(scale=1 / 3)

    def model() -> None:
        with pyro.plate("data", 4, subsample=torch.tensor([2, 0])), third:
            z = pyro.sample("z", C(p))
            c = pyro.sample("c", C(r[z]), infer=SUM)
            pyro.factor("f", Vindex(say)[z, c, 0])
            pyro.sample("y", C(Vindex(say)[z, c]), obs=PAIR)

    def guide() -> None:
        with pyro.plate("data", 4, subsample=torch.tensor([2, 0])), third:
            pyro.sample("z", C(q))

    program = Program(model, guide, t.all, {"z": Choices((2,))}, ("data",))
    return Partial(program, {"c": Choices((2,), range(3))}, scale=2 / 3)


PROGRAMS = {
    "chains of a kind": chains_of_a_kind,
    "between drawn ones": between_drawn_ones,
    "words by name": words_by_name,
    "one of all": one_of_all,
    "apart": apart,
    "columns of rows": columns_of_rows,
    "scaled": scaled,
}
ELBO = ScoreFunctionELBO
OBJECTIVES: dict[str, tuple[bool, int, Callable[..., Any]]] = {  # is the bound that of K weights?
    "one": (False, 1, ELBO),
    "global": (False, 1, lambda **kw: ELBO(credit="global", **kw)),
    "leave-one-out": (False, 2, lambda **kw: ELBO(2, baseline="leave-one-out", **kw)),
    "batch of one": (False, 1, lambda **kw: ELBO(baseline="batch", **kw)),
    "learned": (False, 2, lambda **kw: half_trained(ELBO(2, baseline="learned", **kw))),
    "one by one": (
        False,
        2,
        lambda **kw: ELBO(2, baseline="leave-one-out", vectorize_particles=False, **kw),
    ),
    "iwae": (True, 2, lambda **kw: IWAE(2, **kw)),
    "vimco": (True, 2, lambda **kw: VIMCO(2, **kw)),
    "vimco, one by one": (True, 2, lambda **kw: VIMCO(2, vectorize_particles=False, **kw)),
    "ovis": (True, 2, lambda **kw: OVIS(2, gamma=0.0, **kw)),
}


def weighed(partial: Partial) -> Weighed:
    """All that the guide draws, and its weights (C, *I) when the other latents are summed by brute force."""
    program, draws, log_q, log_w = partial.program, [], [], []
    others = [
        dict(zip(partial.summed, values, strict=True))
        for values in itertools.product(*(choices.all() for choices in partial.summed.values()))
    ]
    apart = torch.zeros(())
    for draw in program.tuples:
        with Given(draw):
            q = poutine.trace(program.guide).get_trace()
        drawn = [(site, brute_force.log_prob(site)) for site in brute_force.sites_of(q)]
        rows, constants = [], []
        for other in others:
            with Given({**draw, **other}):
                p = poutine.trace(poutine.replay(program.model, trace=q)).get_trace()
            terms = [(site, brute_force.log_prob(site)) for site in brute_force.sites_of(p)]
            inside = [each for each in terms if _within(each[0], program.instances)]
            rows.append(_sum(inside, program.instances))
            constants.append(_sum([each for each in terms if not _within(each[0], program.instances)], ()))
        total = torch.stack(rows)  # each value of an instance is in as many rows as the others have values
        if rows[0].dim() and any(not choices.shape for choices in partial.summed.values()):
            total, apart = total[:1], torch.stack(constants).logsumexp(0)
        repeats = (1 - 1 / max(total[0].numel(), 1)) * math.log(len(total))
        if any(choices.counts for choices in partial.summed.values()):  # words by name: 4 values and 2
            counts = torch.tensor([[4.0], [2.0]]).double()
            repeats = (len(total) / counts).log().reshape(total[0].shape)
        draws.append(draw)
        log_q.append(_sum(drawn, ()))
        log_w.append(total.logsumexp(0) - repeats - _sum(drawn, program.instances))
    stacked = torch.stack(log_q)
    return Weighed(draws, stacked, torch.stack(log_w), stacked, stacked, apart, torch.ones(()))


def _within(site: Any, instances: tuple[str, ...]) -> bool:
    return {frame.name for frame in site["cond_indep_stack"]} >= set(instances)


def _sum(terms: list[Any], instances: tuple[str, ...]) -> Tensor:
    none = torch.zeros((), dtype=torch.float64)
    return sum((brute_force.over(site, term, instances) for site, term in terms), none)


def target(partial: Partial, w: Weighed, K: int) -> Target:
    """The mean of log mean_k w[k] over all draws of K particles."""
    every = torch.tensor(list(itertools.product(range(len(w.draws)), repeat=K)))
    bound = w.log_w[every].logsumexp(1) - math.log(K)
    value = (w.log_q[every].sum(-1).exp() * bound.reshape(len(bound), -1).sum(-1)).sum()
    value = partial.scale * value + w.constant
    return Target(value.detach(), flat_gradient(value, partial.program.parameters))


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("title", PROGRAMS)
def test_the_mean_over_what_is_drawn_is_the_bound(title: str, name: str) -> None:
    partial, (several, K, make) = PROGRAMS[title](), OBJECTIVES[name]
    w, nesting = weighed(partial), 2 if title in ("words by name", "columns of rows") else 1
    expected = target(partial, w, K if several else 1)
    objective = make(max_plate_nesting=nesting, enumerate=partial.named)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        got = brute_force.expectation(partial.program, w, objective, K, "one by one" in name)
    torch.testing.assert_close(got.value, expected.value, **CLOSE)
    torch.testing.assert_close(got.gradient, expected.gradient, **CLOSE)
    assert expected.gradient.abs().max() > 1e-2
    joint = partial.program.joint and several
    assert any("weighed together" in str(each.message) for each in said) == joint


APART = {"words by name", "one of all", "columns of rows"}  # a name is none of its options, or no factors


@pytest.mark.parametrize("title", PROGRAMS)
def test_the_guide_may_be_summed_too(title: str) -> None:
    partial = PROGRAMS[title]()
    program = partial.program
    if title in APART:
        with pytest.raises(UsageError, match=r"missing in the guide|does not factorise"):
            EnumeratedELBO().estimate(program.model, program.guide)
        return
    expected = target(partial, weighed(partial), 1)
    estimate = EnumeratedELBO().estimate(program.model, program.guide)
    torch.testing.assert_close(estimate.bound.sum(), expected.value, **CLOSE)
    gradient = flat_gradient(estimate.surrogate, program.parameters)
    torch.testing.assert_close(gradient, expected.gradient, **CLOSE)


@pytest.mark.parametrize("title", ["between drawn ones", "words by name", "scaled", "apart"])
def test_all_values_without_replacement(title: str) -> None:
    partial = PROGRAMS[title]()
    program, expected = partial.program, target(partial, weighed(partial), 1)
    estimate = UnorderedSet(5, enumerate=partial.named).estimate(program.model, program.guide)
    torch.testing.assert_close(estimate.bound.sum(), expected.value, **CLOSE)
    gradient = flat_gradient(estimate.surrogate, program.parameters)
    torch.testing.assert_close(gradient, expected.gradient, **CLOSE)


@pytest.mark.parametrize("K", [1, 2])
def test_what_no_reward_and_no_reference_knows(K: int) -> None:
    program = scaled().program
    with pytest.raises(UsageError, match=r"depends on a latent that is summed out|'f' is no Cat"):
        Hybrid(K, max_plate_nesting=1).estimate(program.model, program.guide)
    program = between_drawn_ones().program
    with pytest.raises(UsageError, match="observed site 'y' depends on a latent that is summed out"):
        Hybrid(K, max_plate_nesting=1).estimate(program.model, program.guide)
    with (
        pytest.warns(UserWarning, match="Found vars"),
        pytest.raises(UsageError, match="'c' is missing"),
    ):
        TraceGraph(K, max_plate_nesting=1).estimate(program.model, program.guide)


@pytest.mark.filterwarnings("ignore:.*weighed together")
@pytest.mark.parametrize(
    "make",
    [
        Imitation,
        lambda **kw: EnumeratedELBO(kl=KLWarmUp(100), **kw),
        lambda **kw: ELBO(kl=KLWarmUp(100), **kw),
        lambda **kw: ReweightedWakeSleep(2, **kw),
    ],
)
def test_a_prior_within_a_sum_is_not_taken_for_nothing(make: Callable[..., Any]) -> None:
    """The model's own term of a latent that depends on one that is summed cannot be told from the rest."""
    program = between_drawn_ones().program
    with pytest.raises(UsageError, match=r"latent site '[wz]' depends on a latent that is summed out"):
        make(max_plate_nesting=1).estimate(program.model, program.guide)
