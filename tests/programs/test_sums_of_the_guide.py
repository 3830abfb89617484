"""Latents that the guide marks to be summed beside drawn ones: the mean over all that is drawn is the bound.

`EnumeratedELBO`, without the marks, says what the bound is.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pyro
import pytest
import torch
from oracles import Force, flat_gradient
from programs.tables import C, Tables
from pyro import poutine
from pyro.ops.indexing import Vindex
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference import EnumeratedELBO, ScoreFunctionELBO

CLOSE = {"rtol": 0, "atol": 1e-9}
Infer = dict[str, str] | None
PAIR = torch.tensor([0, 1])


class Partial(NamedTuple):
    """A model and a guide that takes the mark of what is summed."""

    model: Callable[[], None]
    guide: Callable[[Infer], None]
    parameters: list[Any]
    drawn: tuple[str, ...]
    nesting: int = 1


def given_what_is_drawn() -> Partial:
    """What is summed depends on what is drawn: each particle has probabilities of its own."""
    t = Tables(181)
    p, r, say, q, u = t(2), t(2, 2), t(2, 2, 2), t(2), t(2, 2, 2)

    def model() -> None:
        with pyro.plate("data", 2):
            c = pyro.sample("c", C(p))
            z = pyro.sample("z", C(r[c]))
            pyro.sample("y", C(Vindex(say)[c, z]), obs=PAIR)

    def guide(infer: Infer) -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(q))
            pyro.sample("c", C(Vindex(u)[PAIR, z]), infer=infer)

    return Partial(model, guide, t.all, ("z",))


def words_of_a_kind() -> Partial:
    """The kind of a document is summed, its words' latents are drawn for each kind."""
    t = Tables(182)
    p, r, say, q, u = t(2), t(2, 2), t(2, 2, 2), t(1, 1, 2), t(2, 2)

    def model() -> None:
        with pyro.plate("documents", 1, dim=-2):
            c = pyro.sample("c", C(p))
            with pyro.plate("words", 2, dim=-1):
                z = pyro.sample("z", C(r[c]))
                pyro.sample("y", C(Vindex(say)[c, z]), obs=PAIR.unsqueeze(0))

    def guide(infer: Infer) -> None:
        with pyro.plate("documents", 1, dim=-2):
            c = pyro.sample("c", C(q), infer=infer)
            with pyro.plate("words", 2, dim=-1):
                pyro.sample("z", C(u[c]))

    return Partial(model, guide, t.all, ("z",), 2)


def one_of_all() -> Partial:
    """A latent of all data is summed, those of each are drawn given it."""
    t = Tables(183)
    p, r, say, q, u = t(2), t(2, 2), t(2, 2, 2), t(2), t(2, 2)

    def model() -> None:
        g = pyro.sample("g", C(p))
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(r[g]))
            pyro.sample("y", C(Vindex(say)[g, z]), obs=PAIR)

    def guide(infer: Infer) -> None:
        g = pyro.sample("g", C(q), infer=infer)
        with pyro.plate("data", 2):
            pyro.sample("z", C(u[g]))

    return Partial(model, guide, t.all, ("z",))


def by_turns() -> Partial:
    """Two are summed and two drawn, by turns."""
    t = Tables(184)
    p, r, s, say, q, u, v = t(2), t(2, 2), t(2, 2, 2), t(2, 2, 2), t(2), t(2, 2), t(2, 2)

    def model() -> None:
        with pyro.plate("data", 1):
            c = pyro.sample("c", C(p))
            e = pyro.sample("e", C(r[c]))
            z = pyro.sample("z", C(Vindex(s)[c, e]))
            w = pyro.sample("w", C(r[z]))
            pyro.sample("y", C(Vindex(say)[e, w]), obs=torch.tensor([1]))

    def guide(infer: Infer) -> None:
        with pyro.plate("data", 1):
            e = pyro.sample("e", C(q), infer=infer)
            z = pyro.sample("z", C(u[e]))
            c = pyro.sample("c", C(v[z]), infer=infer)
            pyro.sample("w", C(u[c]))

    return Partial(model, guide, t.all, ("z", "w"))


def masked_and_scaled() -> Partial:
    """Two of four data, one of them masked; what is observed counts half."""
    t = Tables(185)
    p, r, say, q, u = t(2), t(2, 2), t(2, 2, 2), t(2, 2), t(2, 2)
    first, some = poutine.mask(mask=torch.tensor([True, False])), torch.tensor([3, 1])

    def model() -> None:
        with pyro.plate("data", 4, subsample=some):
            with first:
                c = pyro.sample("c", C(p))
            z = pyro.sample("z", C(r[0]))
            with first, poutine.scale(scale=0.5):
                pyro.sample("y", C(Vindex(say)[c, z]), obs=PAIR)
            pyro.sample("x", C(say[0][z]), obs=PAIR)

    def guide(infer: Infer) -> None:
        with pyro.plate("data", 4, subsample=some):
            with first:
                pyro.sample("c", C(q), infer=infer)
            pyro.sample("z", C(u[1]))

    return Partial(model, guide, t.all, ("z",))


def kind_of_a_chain() -> Partial:
    """The states of a chain are summed, its kind is drawn."""
    t = Tables(186)
    move, say, q, p, u = t(2, 2), t(2, 2, 2), t(2, 2), t(2), t(2)

    def model() -> None:
        with pyro.plate("data", 1):
            kind, s = pyro.sample("z", C(p)), torch.zeros(1, dtype=torch.int64)
            for i in pyro.markov(range(3)):
                s = pyro.sample(f"s{i}", C(move[s]))
                pyro.sample(f"y{i}", C(Vindex(say)[kind, s]), obs=torch.tensor([i % 2]))

    def guide(infer: Infer) -> None:
        with pyro.plate("data", 1):
            pyro.sample("z", C(u))
            s = torch.zeros(1, dtype=torch.int64)
            for i in pyro.markov(range(3)):
                s = pyro.sample(f"s{i}", C(q[s]), infer=infer)

    return Partial(model, guide, t.all, ("z",))


def rows_and_columns() -> Partial:
    """Crossed plates: latents of rows are summed, those of columns drawn; a factor in both programs."""
    t = Tables(187)
    p, r, say, q, u, f = t(2), t(2, 2), t(2, 2, 2), t(2), t(2, 2), t(2)

    def model() -> None:
        rows, columns = pyro.plate("rows", 2, dim=-2), pyro.plate("columns", 2, dim=-1)
        with rows:
            a = pyro.sample("a", C(p))
            pyro.factor("of a", f[a])
        with columns:
            z = pyro.sample("z", C(r[0]))
        with rows, columns:
            pyro.sample("y", C(Vindex(say)[a, z]), obs=torch.tensor([[0, 1], [1, 1]]))

    def guide(infer: Infer) -> None:
        with pyro.plate("rows", 2, dim=-2):
            a = pyro.sample("a", C(q), infer=infer)
            pyro.factor("of the guide", 0.3 * f[a], has_rsample=True)
        with pyro.plate("columns", 2, dim=-1):
            pyro.sample("z", C(u[0]))

    return Partial(model, guide, t.all, ("z",), 2)


PROGRAMS = {
    "given what is drawn": given_what_is_drawn,
    "words of a kind": words_of_a_kind,
    "one of all": one_of_all,
    "by turns": by_turns,
    "masked and scaled": masked_and_scaled,
    "kind of a chain": kind_of_a_chain,
    "rows and columns": rows_and_columns,
}
OBJECTIVES: dict[str, Callable[..., ScoreFunctionELBO]] = {
    "one": ScoreFunctionELBO,
    "global": lambda **kw: ScoreFunctionELBO(credit="global", **kw),
    "leave-one-out": lambda **kw: ScoreFunctionELBO(2, baseline="leave-one-out", **kw),
}


def expectation(program: Partial, objective: ScoreFunctionELBO) -> tuple[Tensor, Tensor]:
    """Value and gradient, averaged over all that the guide can draw, for each value of what is summed."""

    def marked() -> None:
        program.guide({"enumerate": "parallel"})

    def estimate(draws: dict[str, Callable[[Any], Tensor]]) -> Any:
        with Force(draws):
            return objective.estimate(program.model, marked)

    shapes: dict[str, Any] = {}

    def shape_of(name: str) -> Callable[[Any], Tensor]:
        return lambda fn: shapes.update({name: fn.shape()}) or fn.sample()

    objective.estimate(program.model, marked)  # now it knows that the guide sums
    estimate({name: shape_of(name) for name in program.drawn})
    sizes = [math.prod(shapes[name]) for name in program.drawn]
    value = gradient = total = torch.zeros(())
    for bits in itertools.product(range(2), repeat=sum(sizes)):
        parts = torch.tensor(bits).split(sizes)
        rows = {name: z.reshape(shapes[name]) for name, z in zip(program.drawn, parts, strict=True)}
        log_q: list[Tensor] = []

        def given(z: Tensor, log_q: list[Tensor] = log_q) -> Callable[[Any], Tensor]:
            return lambda fn: log_q.append(fn.log_prob(z).sum().detach()) or z

        found = estimate({name: given(z) for name, z in rows.items()})
        weight = torch.stack(log_q).sum().exp()
        total, value = total + weight, value + weight * found.bound.sum()
        gradient = gradient + weight * flat_gradient(found.surrogate, program.parameters)
    torch.testing.assert_close(total, torch.ones_like(total))
    return value, gradient


CASES = [(title, name) for title in PROGRAMS for name in OBJECTIVES]
CASES.remove(("by turns", "leave-one-out"))  # 4096 draws of two particles


@pytest.mark.parametrize(("title", "name"), CASES)
def test_the_mean_over_what_is_drawn_is_the_bound(title: str, name: str) -> None:
    program = PROGRAMS[title]()
    exact = EnumeratedELBO(max_plate_nesting=program.nesting).estimate(
        program.model, lambda: program.guide(None)
    )
    value, gradient = expectation(program, OBJECTIVES[name](max_plate_nesting=program.nesting))
    expected = flat_gradient(exact.surrogate, program.parameters)
    torch.testing.assert_close(value, exact.bound.sum(), **CLOSE)
    torch.testing.assert_close(gradient, expected, **CLOSE)
    assert expected.abs().max() > 1e-2


def test_the_model_may_not_sum_others() -> None:
    program = given_what_is_drawn()

    def model() -> None:
        program.model()
        with pyro.plate("data again", 2):
            d = pyro.sample("d", C(torch.zeros(2)), infer={"enumerate": "parallel"})
            pyro.sample("x", C(torch.eye(2)[d]), obs=PAIR)

    with pytest.raises(UsageError, match="latent site 'd' is summed out of the model, but 'c' of the guide"):
        ScoreFunctionELBO().estimate(model, lambda: program.guide({"enumerate": "parallel"}))
