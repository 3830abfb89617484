"""Subsampled plates, whose sites count more than once."""

import pyro
import torch
from programs.program import Choices, Program
from programs.tables import C, Tables
from pyro import poutine

ZERO_ONE = Choices()


def loop_over_a_subsample() -> Program:
    """A loop over two of six data, each of which counts three times."""
    t = Tables(25)
    prior, say, q, y = t(2), t(2, 3), t(6, 2), torch.tensor([0, 2, 1, 1, 0, 2])

    def indices() -> pyro.plate:
        return pyro.plate("data", 6, subsample=torch.tensor([1, 4]))

    def model() -> None:
        for i in indices():
            z = pyro.sample(f"z{i}", C(prior))
            pyro.sample(f"y{i}", C(say[z]), obs=y[i])

    def guide() -> None:
        for i in indices():
            pyro.sample(f"z{i}", C(q[i]))

    return Program(model, guide, t.all, {"z1": ZERO_ONE, "z4": ZERO_ONE}, joint=True)


def subsampled_and_scaled() -> Program:
    """One of three data, and a scale of a half."""
    t = Tables(26)
    prior, say, q, y = t(2), t(2, 3), t(3, 2), torch.tensor([0, 2, 1])
    chosen = torch.tensor([2])

    def model() -> None:
        with pyro.plate("data", 3, subsample=chosen) as i, poutine.scale(scale=0.5):
            z = pyro.sample("z", C(prior))
            pyro.sample("y", C(say[z]), obs=y[i])

    def guide() -> None:
        with pyro.plate("data", 3, subsample=chosen) as i, poutine.scale(scale=0.5):
            pyro.sample("z", C(q[i]))

    return Program(model, guide, t.all, {"z": Choices((1,))}, ("data",))


def subsampled_outside() -> Program:
    """Two of four documents at dim -2, all of their words at dim -1."""
    t = Tables(27)
    prior, say, q = t(2), t(2, 3), t(4, 1, 2)
    chosen, words = torch.tensor([3, 0]), torch.tensor([[0, 1], [2, 2], [1, 1], [0, 2]])

    def model() -> None:
        documents = pyro.plate("documents", 4, dim=-2, subsample=chosen)
        with documents as i:
            z = pyro.sample("z", C(prior))
            with pyro.plate("words", 2, dim=-1):
                pyro.sample("w", C(say[z]), obs=words[i])

    def guide() -> None:
        with pyro.plate("documents", 4, dim=-2, subsample=chosen) as i:
            pyro.sample("z", C(q[i]))

    return Program(model, guide, t.all, {"z": Choices((2, 1))}, ("documents",))


def subsampled_inside() -> Program:
    """All schools, and two pupils of four in each: sites have scales of their own."""
    t = Tables(28)
    school, ability, say, q, r = t(2), t(2, 2), t(2, 2), t(2), t(4, 2)
    marks, chosen = torch.tensor([[0, 1, 1, 0]]), torch.tensor([1, 2])

    def model() -> None:
        with pyro.plate("schools", 1, dim=-2):
            g = pyro.sample("g", C(school))
            with pyro.plate("pupils", 4, dim=-1, subsample=chosen) as i:
                z = pyro.sample("z", C(ability[g]))
                pyro.sample("mark", C(say[z]), obs=marks[:, i])

    def guide() -> None:
        with pyro.plate("schools", 1, dim=-2):
            pyro.sample("g", C(q))
            with pyro.plate("pupils", 4, dim=-1, subsample=chosen) as i:
                pyro.sample("z", C(r[i]))

    latents = {"g": Choices((1, 1)), "z": Choices((1, 2))}
    return Program(model, guide, t.all, latents, ("schools",), refused=frozenset({"temporal", "iw", "exact"}))


SUBSAMPLES = {
    "loop over a subsample": loop_over_a_subsample,
    "subsampled and scaled": subsampled_and_scaled,
    "subsampled outside": subsampled_outside,
    "subsampled inside": subsampled_inside,
}
