"""Plates: nested, crossed, sequential, and beside one another."""

import pyro
import pyro.distributions as dist
import torch
from programs.program import Choices, Program
from programs.tables import B, C, Tables
from pyro.ops.indexing import Vindex
from torch import Tensor

ZERO_ONE = Choices()


def topics() -> Program:
    """A class for each document and a topic for each word; the guide draws the class given all topics."""
    t = Tables(21)
    prior, topic, say, q, r, s = t(2), t(2, 2), t(2, 2, 4), t(2), t(2), t(2, 1, 2)
    words = torch.tensor([[3], [1]])

    def model() -> None:
        with pyro.plate("documents", 1, dim=-1):
            c = pyro.sample("c", C(prior))
            with pyro.plate("words", 2, dim=-2):
                z = pyro.sample("z", C(topic[c]))
                pyro.sample("w", C(say[c, z]), obs=words)

    def guide() -> None:
        with pyro.plate("documents", 1, dim=-1):
            with pyro.plate("words", 2, dim=-2):
                z = pyro.sample("z", C(s))
            count = z.sum(-2, keepdim=z.dim() > 2).double()  # with particles the dim of words stays
            pyro.sample("c", C(q + count.unsqueeze(-1) * r))

    latents = {"c": Choices((1,)), "z": Choices((2, 1))}
    # A sum of the guide over its words is none that enumeration factorises.
    return Program(
        model, guide, t.all, latents, ("documents",), refused=frozenset({"temporal", "enumerated"})
    )


def three_deep() -> Program:
    """Latents at dims -1, -2 and -3, each given the one outside of it."""
    t = Tables(22)
    p, q, r, say = t(2), t(2, 2), t(2, 2, 2), t(2, 2, 2, 3)
    a, b, c = t(2), t(2, 2), t(2, 2)
    seen = torch.tensor([[[1]], [[2]]])

    def model() -> None:
        with pyro.plate("a", 1, dim=-1):
            x = pyro.sample("x", C(p))
            with pyro.plate("b", 1, dim=-2):
                y = pyro.sample("y", C(q[x]))
                with pyro.plate("c", 2, dim=-3):
                    z = pyro.sample("z", C(r[x, y]))
                    pyro.sample("o", C(say[x, y, z]), obs=seen)

    def guide() -> None:
        with pyro.plate("a", 1, dim=-1):
            x = pyro.sample("x", C(a))
            with pyro.plate("b", 1, dim=-2):
                y = pyro.sample("y", C(b[x]))
                with pyro.plate("c", 2, dim=-3):
                    pyro.sample("z", C(c[y]))

    latents = {"x": Choices((1,)), "y": Choices((1, 1)), "z": Choices((2, 1, 1))}
    return Program(model, guide, t.all, latents, ("a",), refused=frozenset({"temporal"}))


def one_for_all() -> Program:
    """A latent of all data, and one of each datum."""
    t = Tables(23)
    p, prior, say, q, r = t(2), t(2, 2), t(2, 2, 2), t(2), t(2, 2, 2)
    y = torch.tensor([1, 0])

    def model() -> None:
        g = pyro.sample("g", C(p))
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(prior[g]))
            pyro.sample("y", C(say[g, z]), obs=y)

    def guide() -> None:
        g = pyro.sample("g", C(q))
        with pyro.plate("data", 2) as i:
            pyro.sample("z", C(r[g, i]))

    latents = {"g": ZERO_ONE, "z": Choices((2,))}
    return Program(model, guide, t.all, latents, joint=True, refused=frozenset({"temporal"}))


def loop() -> Program:
    """A sequential plate, which is a loop in Python."""
    t = Tables(24)
    prior, say, q, y = t(2), t(2, 3), t(2, 2), torch.tensor([2, 0])

    def model() -> None:
        for i in pyro.plate("data", 2):
            z = pyro.sample(f"z{i}", C(prior))
            pyro.sample(f"y{i}", C(say[z]), obs=y[i])

    def guide() -> None:
        for i in pyro.plate("data", 2):
            pyro.sample(f"z{i}", C(q[i]))

    return Program(model, guide, t.all, {"z0": ZERO_ONE, "z1": ZERO_ONE}, joint=True)


def crossed() -> Program:
    """A latent of each row, one of each column, and an observation of every pair."""
    t = Tables(29)
    row, column, say, q, r = t(2), t(2), t(2, 2, 3), t(2, 1, 2), t(2, 2)
    seen = torch.tensor([[0, 2], [1, 1]])

    def model() -> None:
        rows, columns = pyro.plate("rows", 2, dim=-2), pyro.plate("columns", 2, dim=-1)
        with rows:
            u = pyro.sample("u", C(row))
        with columns:
            v = pyro.sample("v", C(column))
        with rows, columns:
            pyro.sample("y", C(Vindex(say)[u, v]), obs=seen)

    def guide() -> None:
        with pyro.plate("columns", 2, dim=-1):
            pyro.sample("v", C(r))
        with pyro.plate("rows", 2, dim=-2):
            pyro.sample("u", C(q))

    latents = {"u": Choices((2, 1)), "v": Choices((2,))}
    return Program(model, guide, t.all, latents, joint=True, refused=frozenset({"temporal", "exact"}))


def beside() -> Program:
    """Two neighbouring plates in one of data, each with latents, and a plate that no latent touches."""
    t = Tables(30)
    left, right, say, tell, fit, q, r = t(2), t(2), t(2, 3), t(2, 3), t(3), t(2, 2), t(1, 2)

    def model() -> None:
        with pyro.plate("covariates", 4):
            pyro.sample("x", C(fit), obs=torch.tensor([0, 1, 2, 2]))
        with pyro.plate("data", 1, dim=-2):
            with pyro.plate("left", 2, dim=-1):
                u = pyro.sample("u", C(left))
                pyro.sample("y", C(say[u]), obs=torch.tensor([[0, 2]]))
            with pyro.plate("right", 1, dim=-1):
                v = pyro.sample("v", C(right))
                pyro.sample("w", C(tell[v]), obs=torch.tensor([[1]]))

    def guide() -> None:
        with pyro.plate("data", 1, dim=-2):
            with pyro.plate("right", 1, dim=-1):
                pyro.sample("v", C(r))
            with pyro.plate("left", 2, dim=-1):
                pyro.sample("u", C(q))

    latents = {"u": Choices((1, 2)), "v": Choices((1, 1))}
    return Program(model, guide, t.all, latents, ("data",), refused=frozenset({"temporal"}))


def abilities() -> Program:
    """Item response with able and less able students: a response of each to every item."""
    t = Tables(31)
    able, difficulty, skill, q = t(2), t(2, 1), t(2), t(2, 2)
    responses = torch.tensor([[1.0, 0.0], [1.0, 1.0]]).double()  # item, student

    def model() -> None:
        with pyro.plate("students", 2, dim=-1):
            a = pyro.sample("ability", C(able))
            with pyro.plate("items", 2, dim=-2):
                pyro.sample("response", B(skill[a] - difficulty), obs=responses)

    def guide() -> None:
        with pyro.plate("students", 2, dim=-1):
            pyro.sample("ability", C(q))

    return Program(model, guide, t.all, {"ability": Choices((2,))}, ("students",))


def chosen_features() -> Program:
    """Regression on the features that are switched on: an observation of what a whole plate drew."""
    t = Tables(32)
    on, weight, q = t(2), t(2), t(2)
    x, y = torch.tensor([[0.5, -1.0], [1.5, 0.3]]).double(), torch.tensor([0.7, -0.4]).double()

    def model() -> None:
        with pyro.plate("features", 2):
            s = pyro.sample("s", B(on))
        mean: Tensor = (s * weight) @ x.T
        with pyro.plate("data", 2):
            pyro.sample("y", dist.Normal(mean, 1.0), obs=y)

    def guide() -> None:
        with pyro.plate("features", 2):
            pyro.sample("s", B(q))

    latents = {"s": Choices((2,), (0.0, 1.0))}
    refused = frozenset({"exact", "enumerated"})
    return Program(model, guide, t.all, latents, joint=True, refused=refused)


PLATES = {
    "topics": topics,
    "three plates deep": three_deep,
    "one latent for all": one_for_all,
    "loop": loop,
    "crossed plates": crossed,
    "plates beside one another": beside,
    "abilities": abilities,
    "chosen features": chosen_features,
}
