"""Programs that hold parameters in Pyro's ways, and programs that branch on what was drawn."""

import pyro
import pyro.distributions as dist
import torch
from programs.program import Choices, Program
from programs.tables import B, C, Tables
from pyro.nn import PyroModule, PyroParam, PyroSample
from torch import Tensor
from torch.distributions import constraints

DATA = torch.tensor([0.4, -1.2]).double()
BIT = Choices()


def guided(q: Tensor) -> object:
    """A guide with a table for the class of each datum."""

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", C(q))

    return guide


class Positive(PyroModule):
    """A mixture whose scales are parameters with a constraint."""

    def __init__(self, mean: Tensor):
        super().__init__()
        self.mean = mean
        self.scale = PyroParam(torch.tensor([0.5, 1.5]).double(), constraint=constraints.positive)
        self.weight = PyroParam(torch.tensor([0.3, 0.7]).double(), constraint=constraints.simplex)

    def forward(self) -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", dist.Categorical(self.weight))
            pyro.sample("x", dist.Normal(self.mean[z], self.scale[z]), obs=DATA)


def constrained_module() -> Program:
    """`PyroParam` with constraints."""
    t = Tables(91)
    model, q = Positive(t(2)), t(2, 2)
    return Program(model, guided(q), [*t.all, *model.parameters()], {"z": Choices((2,))}, ("data",))


class Weights(PyroModule):
    """Regression whose weights are drawn: `PyroSample`."""

    def __init__(self, on: Tensor, slope: Tensor):
        super().__init__()
        self.slope = slope
        self.first = PyroSample(lambda self: B(on[0]))
        self.second = PyroSample(lambda self: B(on[1]))

    def forward(self) -> None:
        mean = self.slope[0] * self.first + self.slope[1] * self.second
        with pyro.plate("data", 2):
            pyro.sample("x", dist.Normal(mean, 1.0), obs=DATA)


def drawn_weights() -> Program:
    """Weights of a module that are on or off."""
    t = Tables(92)
    on, slope, q = t(2), t(2), t(2)

    def guide() -> None:
        first = pyro.sample("first", B(q[0]))
        pyro.sample("second", B(q[1] * first))

    latents = dict.fromkeys(("first", "second"), Choices((), (0.0, 1.0)))
    return Program(Weights(on, slope), guide, t.all, latents, joint=True)


def named_parameters() -> Program:
    """`pyro.param` with a constraint, in Pyro's store."""
    t = Tables(93)
    weight, q = t(2), t(2, 2)

    def model() -> None:
        rate = pyro.param("rate", lambda: torch.tensor([0.5, 2.0]).double(), constraint=constraints.positive)
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(weight))
            pyro.sample("x", dist.Exponential(rate[z]), obs=DATA.abs())

    model()
    rate = pyro.param("rate").unconstrained()
    return Program(model, guided(q), [*t.all, rate], {"z": Choices((2,))}, ("data",))


def branches() -> Program:
    """An `if` on what was drawn: particles only one by one."""
    t = Tables(94)
    p, say, q = t(2), t(2, 3), t(2)

    def model() -> None:
        z = pyro.sample("z", C(p))
        logits = say[0] if z.item() == 0 else 2 * say[1]
        pyro.sample("y", C(logits), obs=torch.tensor(1))

    def guide() -> None:
        pyro.sample("z", C(q))

    return Program(model, guide, t.all, {"z": BIT}, refused=frozenset({"several", "sums"}))


def any_of_them() -> Program:
    """A reduction over all dims, which takes that of particles for one of its own."""
    t = Tables(95)
    p, say, q = t(2, 2), t(2, 3), t(2, 2)

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p))
        pyro.sample("y", C(say[1] if (z == 1).any() else say[0]), obs=torch.tensor(1))

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", C(q))

    refused = frozenset({"several", "sums"})
    return Program(model, guide, t.all, {"z": Choices((2,))}, joint=True, refused=refused)


def until_a_stop() -> Program:
    """Recursion of a length that is drawn: one draw has sites that another lacks."""
    t = Tables(96)
    p, say, q = t(3), t(3, 2), t(3)

    def length(logits: Tensor, i: int = 0) -> int:
        if i == 2 or pyro.sample(f"stop{i}", B(logits[i])).item() == 1:
            return i
        return length(logits, i + 1)

    def model() -> None:
        pyro.sample("y", C(say[length(p)]), obs=torch.tensor(1))

    def guide() -> None:
        length(q)

    return Program(
        model,
        guide,
        t.all,
        {f"stop{i}": Choices((), (0.0, 1.0)) for i in range(2)},
        refused=frozenset({"several", "sums"}),
        possible=lambda z: bool(z["stop0"] == 0 or z["stop1"] == 0),
    )


MODULES = {
    "constrained module": constrained_module,
    "drawn weights": drawn_weights,
    "named parameters": named_parameters,
    "branches": branches,
    "any of them": any_of_them,
    "until a stop": until_a_stop,
}
