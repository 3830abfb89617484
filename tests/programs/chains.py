"""Chains: hidden Markov models of several kinds, what changes once, and spins that agree with neighbours."""

import pyro
import pyro.distributions as dist
import torch
from programs.program import Choices, Program
from programs.tables import B, C, Tables
from pyro import poutine
from pyro.infer import config_enumerate
from pyro.ops.indexing import Vindex
from torch import Tensor

SYMBOLS = torch.tensor([[0, 2, 1]])
START = torch.zeros(1, dtype=torch.int64)


def hidden_markov() -> Program:
    """A hidden Markov model, three steps of `pyro.markov` in a plate."""
    t = Tables(11)
    move, say, q = t(2, 2), t(2, 3), t(3, 2, 2)

    def model() -> None:
        with pyro.plate("data", 1):
            z = START
            for i in pyro.markov(range(3)):
                z = pyro.sample(f"z{i}", C(move[z]))
                pyro.sample(f"y{i}", C(say[z]), obs=SYMBOLS[:, i])

    def guide() -> None:
        with pyro.plate("data", 1):
            z = START
            for i in pyro.markov(range(3)):
                z = pyro.sample(f"z{i}", C(q[i][z]))

    return Program(model, guide, t.all, {f"z{i}": Choices((1,)) for i in range(3)}, ("data",))


def annotated_for_enumeration() -> Program:
    """The same, both programs annotated with `config_enumerate`."""
    plain = hidden_markov()
    return plain._replace(model=config_enumerate(plain.model), guide=config_enumerate(plain.guide))


def second_order() -> Program:
    """A step looks two steps back."""
    t = Tables(12)
    move, say, q = t(2, 2, 2), t(2, 2, 3), t(3, 2, 2, 2)

    def model() -> None:
        with pyro.plate("data", 1):
            a = b = START
            for i in pyro.markov(range(3), history=2):
                z = pyro.sample(f"z{i}", C(move[a, b]))
                pyro.sample(f"y{i}", C(say[z, b]), obs=SYMBOLS[:, i])
                a, b = b, z

    def guide() -> None:
        with pyro.plate("data", 1):
            a = b = START
            for i in pyro.markov(range(3), history=2):
                z = pyro.sample(f"z{i}", C(q[i][a, b]))
                a, b = b, z

    return Program(model, guide, t.all, {f"z{i}": Choices((1,)) for i in range(3)}, ("data",))


def factorial() -> Program:
    """Two chains and one observation of both; the guide draws the second first, and given it the first."""
    t = Tables(13)
    move, other, say, q, r = t(2, 2), t(2, 2), t(2, 2, 3), t(2, 2, 2), t(2, 2, 2)

    def model() -> None:
        with pyro.plate("data", 1):
            w = x = START
            for i in pyro.markov(range(2)):
                w = pyro.sample(f"w{i}", C(move[w]))
                x = pyro.sample(f"x{i}", C(other[x]))
                pyro.sample(f"y{i}", C(say[w, x]), obs=SYMBOLS[:, i])

    def guide() -> None:
        with pyro.plate("data", 1):
            x = START
            for i in pyro.markov(range(2)):
                x = pyro.sample(f"x{i}", C(r[i][x]))
                pyro.sample(f"w{i}", C(q[i][x]))

    latents = {f"{name}{i}": Choices((1,)) for i in range(2) for name in "wx"}
    return Program(model, guide, t.all, latents, ("data",))


def sequences_of_lengths() -> Program:
    """A plate of sequences of which one is shorter: `poutine.mask` by length in both programs."""
    t = Tables(14)
    move, say, q = t(2, 2), t(2, 3), t(2, 2, 2)
    symbols, lengths = torch.tensor([[0, 2], [1, 0]]), torch.tensor([2, 1])

    def model() -> None:
        with pyro.plate("sequences", 2):
            z = torch.zeros(2, dtype=torch.int64)
            for i in pyro.markov(range(2)):
                with poutine.mask(mask=i < lengths):
                    z = pyro.sample(f"z{i}", C(move[z]))
                    pyro.sample(f"y{i}", C(say[z]), obs=symbols[:, i])

    def guide() -> None:
        with pyro.plate("sequences", 2):
            z = torch.zeros(2, dtype=torch.int64)
            for i in pyro.markov(range(2)):
                with poutine.mask(mask=i < lengths):
                    z = pyro.sample(f"z{i}", C(q[i][z]))

    latents = {"z0": Choices((2,)), "z1": Choices((2,), counts=[True, False])}
    return Program(model, guide, t.all, latents, ("sequences",))


def tones() -> Program:
    """Several tones at each step: a plate of observations within the plate of sequences."""
    t = Tables(15)
    move, ring, q = t(2, 2), t(2, 2), t(2, 2)
    heard = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]]).double()  # step, sequence, tone

    def model() -> None:
        plate = pyro.plate("tones", 2, dim=-1)
        with pyro.plate("sequences", 1, dim=-2):
            z = torch.zeros(1, 1, dtype=torch.int64)
            for i in pyro.markov(range(2)):
                z = pyro.sample(f"z{i}", C(move[z]))
                with plate as tone:
                    pyro.sample(f"y{i}", B(Vindex(ring)[z, tone]), obs=heard[i])

    def guide() -> None:
        with pyro.plate("sequences", 1, dim=-2):
            for i in pyro.markov(range(2)):
                pyro.sample(f"z{i}", C(q[i]))

    return Program(model, guide, t.all, {f"z{i}": Choices((1, 1)) for i in range(2)}, ("sequences",))


def spins() -> Program:
    """A chain of spins with `pyro.factor` for neighbours, which no order of drawing has."""
    t = Tables(16)
    agree, field, q, lean = t(), t(3), t(3), t()

    def model() -> None:
        before = None
        for i in range(3):
            s = pyro.sample(f"s{i}", B(torch.zeros(()).double()))
            pyro.factor(f"field{i}", field[i] * (2 * s - 1))
            if before is not None:
                pyro.factor(f"pair{i}", agree * (2 * s - 1) * (2 * before - 1))
            before = s

    def guide() -> None:
        before: float | Tensor = 0.0
        for i in range(3):
            before = pyro.sample(f"s{i}", B(q[i] + lean * before))

    return Program(model, guide, t.all, {f"s{i}": Choices((), (0.0, 1.0)) for i in range(3)})


def changepoint() -> Program:
    """Counts whose rate changes on a day that is not known: one latent for all data."""
    t = Tables(17)
    when, rates, q = t(3), t(2), t(3)
    counts, days = torch.tensor([2.0, 0.0, 3.0]).double(), torch.arange(3)

    def model() -> None:
        day = pyro.sample("day", C(when))
        late = (days >= day).long()
        with pyro.plate("days", 3):
            pyro.sample("counts", dist.Poisson(rates[late].exp()), obs=counts)

    def guide() -> None:
        pyro.sample("day", C(q))

    return Program(model, guide, t.all, {"day": Choices((), (0, 1, 2))}, joint=True)


def capture_recapture() -> Program:
    """Animals that are seen or not while they live: what is dead stays so, and the unseen may live."""
    t = Tables(18)
    survive, seen, q = t(2), t(), t(2, 2)
    history = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).double()  # animal, year after the first

    def model() -> None:
        with pyro.plate("animals", 2):
            alive = torch.ones(2).double()
            for year in pyro.markov(range(2)):
                alive = pyro.sample(f"alive{year}", dist.Bernoulli(alive * survive[year].sigmoid()))
                with poutine.mask(mask=torch.tensor([True, year == 0])):
                    p = alive * seen.sigmoid()
                    pyro.sample(f"seen{year}", dist.Bernoulli(p), obs=history[:, year])

    def guide() -> None:
        with pyro.plate("animals", 2):
            for year in range(2):
                with poutine.mask(mask=torch.ones(2, dtype=torch.bool)):
                    pyro.sample(f"alive{year}", B(q[year]))

    latents = {f"alive{year}": Choices((2,), (0.0, 1.0)) for year in range(2)}
    return Program(model, guide, t.all, latents, ("animals",))


def read_by_a_reversed_guide() -> Program:
    """The guide runs backwards through time."""
    plain, t = hidden_markov(), Tables(19)
    q = t(3, 2, 2)

    def guide() -> None:
        with pyro.plate("data", 1):
            z = START
            for i in reversed(range(3)):
                z = pyro.sample(f"z{i}", C(q[i][z]))

    return plain._replace(guide=guide, parameters=[*plain.parameters, *t.all])


CHAINS = {
    "hidden Markov": hidden_markov,
    "hidden Markov, annotated": annotated_for_enumeration,
    "hidden Markov of second order": second_order,
    "factorial hidden Markov": factorial,
    "sequences of lengths": sequences_of_lengths,
    "tones": tones,
    "spins": spins,
    "changepoint": changepoint,
    "capture and recapture": capture_recapture,
    "backward guide": read_by_a_reversed_guide,
}
