"""Programs that one may wonder about, and that are right all the same: or right one particle at a time."""

import pyro
import pyro.distributions as dist
import torch
from programs.program import Choices, Program, Run
from programs.tables import C, Tables
from torch import Tensor

Y = torch.tensor([1, 0])


def model_of(prior: Tensor, say: Tensor) -> Run:
    """Two data of a class each, and a symbol that depends on it."""

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(prior))
            pyro.sample("y", C(say[z]), obs=Y)

    return model


def smaller_support() -> Program:
    """The guide knows two of the model's three values."""
    t = Tables(101)
    p, say, q = t(3), t(3, 2), t(2, 2)

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", C(q))

    latents, beyond = ({"z": Choices((2,), range(n))} for n in (2, 3))
    return Program(model_of(p, say), guide, t.all, latents, ("data",), beyond=beyond)


def values_left_out() -> Program:
    """The guide gives one of the model's three values no probability."""
    t = Tables(102)
    p, say, q = t(3), t(3, 2), t(2, 3)

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", C(q + torch.tensor([0.0, -torch.inf, 0.0]).double()))

    latents = {"z": Choices((2,), (0, 1, 2))}
    return Program(model_of(p, say), guide, t.all, latents, ("data",), beyond=latents)


def certain() -> Program:
    """The guide draws nothing: a `Delta`."""
    t = Tables(103)

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", dist.Delta(torch.tensor([1, 0])))

    model = model_of(t(2), t(2, 2))
    beyond = {"z": Choices((2,))}
    return Program(model, guide, t.all, {}, ("data",), refused=frozenset({"enumerated"}), beyond=beyond)


def no_latents() -> Program:
    """Nothing to draw: the likelihood."""
    t = Tables(104)
    p = t(2)

    def model() -> None:
        with pyro.plate("data", 2):
            pyro.sample("y", C(p), obs=Y)

    return Program(model, lambda: None, t.all, {}, ("data",))


def lists_of_values() -> Program:
    """Values as a list in Python, as long as particles and data are."""
    t = Tables(105)
    p, say, q = t(2), t(2, 2), t(2, 2)

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p))
            pyro.sample("y", C(torch.stack([say[i] for i in z.tolist()])), obs=Y)

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", C(q))

    return Program(model, guide, t.all, {"z": Choices((2,))}, ("data",))


def first_of_a_plate() -> Program:
    """Something outside of a plate depends on one element of it, counted from the left."""
    t = Tables(106)
    p, say, q = t(2), t(2, 2), t(2, 2)

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p))
        pyro.sample("y", C(say[z[0]]), obs=torch.tensor(1))

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", C(q))

    latents, refused = {"z": Choices((2,))}, frozenset({"several", "sums"})
    return Program(model, guide, t.all, latents, joint=True, refused=refused)


def observed_elsewhere() -> Program:
    """Latents in one plate, what is observed of them in another."""
    t = Tables(107)
    p, say, q = t(2), t(2, 2), t(2, 2)

    def model() -> None:
        with pyro.plate("people", 2):
            z = pyro.sample("z", C(p))
        with pyro.plate("answers", 3):
            pyro.sample("y", C(say[z[..., [0, 1, 1]]]), obs=torch.tensor([1, 0, 1]))

    def guide() -> None:
        with pyro.plate("people", 2):
            pyro.sample("z", C(q))

    latents, refused = {"z": Choices((2,))}, frozenset({"sums"})
    return Program(model, guide, t.all, latents, joint=True, refused=refused)


def counts_of_each() -> Program:
    """Binomial latents, each of a number of its own."""
    t = Tables(108)
    p, say, q = t(2), t(3, 2), t(2)
    most = torch.tensor([1.0, 2.0]).double()

    def model() -> None:
        with pyro.plate("data", 2):
            n = pyro.sample("n", dist.Binomial(most, logits=p))
            pyro.sample("y", C(say[n.long()]), obs=Y)

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("n", dist.Binomial(most, logits=q))

    return Program(
        model,
        guide,
        t.all,
        {"n": Choices((2,), (0.0, 1.0, 2.0))},
        ("data",),
        refused=frozenset({"sums"}),
        possible=lambda n: bool(n["n"][0] < 2),
    )


UNUSUAL = {
    "smaller support": smaller_support,
    "values left out": values_left_out,
    "certain": certain,
    "no latents": no_latents,
    "lists of values": lists_of_values,
    "first of a plate": first_of_a_plate,
    "observed elsewhere": observed_elsewhere,
    "counts of each": counts_of_each,
}
