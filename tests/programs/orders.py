"""The same latents in another order, in plates that are opened in another way."""

import pyro
import torch
from programs.program import Choices, Program
from programs.tables import C, Tables
from pyro import poutine
from pyro.ops.indexing import Vindex
from torch import Tensor

PAIR = torch.tensor([0, 1])
ONE = Choices()


def interleaved() -> Program:
    """Latents and observations by turns; the guide draws the last latent first."""
    t = Tables(141)
    p, move, jump, say = t(2), t(2, 2), t(2, 2, 2), t(2, 2, 2, 3)
    last, first, middle = t(2), t(2, 2), t(2, 2, 2)

    def model() -> None:
        with pyro.plate("data", 1):
            a = pyro.sample("a", C(p))
            pyro.sample("u", C(say[a, 0, 0]), obs=torch.tensor([1]))
            b = pyro.sample("b", C(move[a]))
            pyro.sample("v", C(say[a, b, 0]), obs=torch.tensor([0]))
            c = pyro.sample("c", C(jump[a, b]))
            pyro.sample("w", C(say[a, b, c]), obs=torch.tensor([2]))

    def guide() -> None:
        with pyro.plate("data", 1):
            c = pyro.sample("c", C(last))
            a = pyro.sample("a", C(first[c]))
            pyro.sample("b", C(middle[a, c]))

    return Program(model, guide, t.all, dict.fromkeys("abc", Choices((1,))), ("data",))


def plates_in_a_loop() -> Program:
    """A loop over groups, each with a plate of a size of its own."""
    t = Tables(142)
    kind, prior, say, q, r = t(2), t(2, 2), t(2, 2), t(2, 2), t(2, 2, 2)
    seen = [torch.tensor([0]), torch.tensor([1, 0])]

    def model() -> None:
        for i in pyro.plate("groups", 2):
            g = pyro.sample(f"g{i}", C(kind))
            with pyro.plate(f"data{i}", i + 1):
                z = pyro.sample(f"z{i}", C(prior[g]))
                pyro.sample(f"y{i}", C(say[z]), obs=seen[i])

    def guide() -> None:
        for i in pyro.plate("groups", 2):
            g = pyro.sample(f"g{i}", C(q[i]))
            with pyro.plate(f"data{i}", i + 1):
                pyro.sample(f"z{i}", C(r[i, g]))

    latents = {"g0": ONE, "z0": Choices((1,)), "g1": ONE, "z1": Choices((2,))}
    return Program(model, guide, t.all, latents, joint=True, refused=frozenset({"temporal"}))


def opened_twice() -> Program:
    """A plate that is opened again after a latent of all data; the guide begins with that one."""
    t = Tables(143)
    p, move, say, q, r, kind, guess = t(2), t(2, 2), t(2, 2, 2), t(2, 2), t(2, 2), t(2), t(2)

    def model() -> None:
        data = pyro.plate("data", 2)
        with data:
            a = pyro.sample("a", C(p))
        g = pyro.sample("g", C(kind))
        with data:
            b = pyro.sample("b", C(move[a]))
            pyro.sample("y", C(say[g, b]), obs=PAIR)

    def guide() -> None:
        data = pyro.plate("data", 2)
        pyro.sample("g", C(guess))
        with data:
            b = pyro.sample("b", C(q))
        with data:
            pyro.sample("a", C(r[b]))

    latents = {"a": Choices((2,)), "b": Choices((2,)), "g": ONE}
    return Program(model, guide, t.all, latents, joint=True, refused=frozenset({"temporal"}))


def count(z: Tensor) -> Tensor:
    """The sum over the last plate; with particles its dim stays."""
    return z.sum(-1, keepdim=z.dim() > 1)


def all_given_each() -> Program:
    """A latent of all data after those of each, in the model; the guide draws it first."""
    t = Tables(144)
    p, kind, say, q, r = t(2), t(3, 2), t(2, 2), t(2), t(2, 2)

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p))
            pyro.sample("y", C(say[z]), obs=PAIR)
        g = pyro.sample("g", C(kind[count(z)]))
        pyro.sample("w", C(say[g]), obs=torch.tensor(1))

    def guide() -> None:
        g = pyro.sample("g", C(q))
        with pyro.plate("data", 2):
            pyro.sample("z", C(r[g]))

    latents = {"g": ONE, "z": Choices((2,))}
    return Program(model, guide, t.all, latents, joint=True, refused=frozenset({"temporal", "sums"}))


def all_after_each() -> Program:
    """A latent of all data after those of each in both programs, and another plate for what is observed."""
    t = Tables(145)
    p, kind, say, q, r = t(2), t(2), t(2, 2), t(2), t(3, 2)

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p))
        g = pyro.sample("g", C(kind))
        with pyro.plate("answers", 2):
            pyro.sample("y", C(say[z] + say[g]), obs=PAIR)

    def guide() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(q))
        pyro.sample("g", C(r[count(z)]))

    latents = {"g": ONE, "z": Choices((2,))}
    return Program(model, guide, t.all, latents, joint=True, refused=frozenset({"temporal", "sums"}))


def rows_alone() -> Program:
    """Crossed plates, a latent of each row only."""
    t = Tables(146)
    p, say, q = t(2), t(2, 3, 2), t(2, 1, 2)

    def model() -> None:
        rows, columns = pyro.plate("rows", 2, dim=-2), pyro.plate("columns", 3, dim=-1)
        with rows:
            z = pyro.sample("z", C(p))
        with rows, columns:
            pyro.sample("y", C(Vindex(say)[z, torch.arange(3)]), obs=torch.tensor([[0, 1, 1], [1, 0, 1]]))

    def guide() -> None:
        with pyro.plate("rows", 2, dim=-2):
            pyro.sample("z", C(q))

    return Program(model, guide, t.all, {"z": Choices((2, 1))}, ("rows",))


def plates_the_other_way_round() -> Program:
    """The guide opens the two plates in the other order."""
    t = Tables(147)
    p, say, q = t(2), t(2, 2), t(2, 2, 2)

    def model() -> None:
        with pyro.plate("data", 2, dim=-2), pyro.plate("steps", 2, dim=-1):
            z = pyro.sample("z", C(p))
            pyro.sample("y", C(say[z]), obs=torch.tensor([[0, 1], [1, 1]]))

    def guide() -> None:
        with pyro.plate("steps", 2, dim=-1), pyro.plate("data", 2, dim=-2):
            pyro.sample("z", C(q))

    return Program(model, guide, t.all, {"z": Choices((2, 2))}, ("data", "steps"))


def far_to_the_left() -> Program:
    """One plate, and that at dim -3."""
    t = Tables(148)
    p, say, q = t(2), t(2, 2), t(2, 1, 1, 2)

    def model() -> None:
        with pyro.plate("data", 2, dim=-3):
            z = pyro.sample("z", C(p))
            pyro.sample("y", C(say[z]), obs=PAIR.reshape(2, 1, 1))

    def guide() -> None:
        with pyro.plate("data", 2, dim=-3):
            pyro.sample("z", C(q))

    return Program(model, guide, t.all, {"z": Choices((2, 1, 1))}, ("data",))


def masked_chain_backwards() -> Program:
    """Two sequences of which one is shorter; the guide draws the last step first."""
    t = Tables(149)
    move, say, last, first = t(2, 2), t(2, 2), t(2, 2), t(2, 2)
    on, y = torch.tensor([[True, True], [True, False]]), torch.tensor([[0, 1], [1, 0]])

    def model() -> None:
        with pyro.plate("data", 2):
            z = torch.zeros(2, dtype=torch.int64)
            for i in range(2):
                with poutine.mask(mask=on[:, i]):
                    z = pyro.sample(f"z{i}", C(move[z]))
                    pyro.sample(f"y{i}", C(say[z]), obs=y[:, i])

    def guide() -> None:
        with pyro.plate("data", 2):
            with poutine.mask(mask=on[:, 1]):
                z = pyro.sample("z1", C(last))
            with poutine.mask(mask=on[:, 0]):
                pyro.sample("z0", C(first[z]))

    latents = {"z0": Choices((2,)), "z1": Choices((2,), counts=[True, False])}
    return Program(model, guide, t.all, latents, ("data",))


def repeated_answers() -> Program:
    """One datum, and a plate of answers beside that of data, at the same dim."""
    t = Tables(150)
    p, say, q = t(2), t(2, 2), t(1, 2)

    def model() -> None:
        with pyro.plate("data", 1):
            z = pyro.sample("z", C(p))
        with pyro.plate("answers", 3):
            pyro.sample("y", C(say[z]), obs=torch.tensor([0, 1, 1]))

    def guide() -> None:
        with pyro.plate("data", 1):
            pyro.sample("z", C(q))

    latents, refused = {"z": Choices((1,))}, frozenset({"sums"})
    return Program(model, guide, t.all, latents, joint=True, refused=refused)


ORDERS = {
    "interleaved": interleaved,
    "plates in a loop": plates_in_a_loop,
    "opened twice": opened_twice,
    "all given each": all_given_each,
    "all after each": all_after_each,
    "rows alone": rows_alone,
    "plates the other way round": plates_the_other_way_round,
    "far to the left": far_to_the_left,
    "masked chain backwards": masked_chain_backwards,
    "repeated answers": repeated_answers,
}
