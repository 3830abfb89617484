"""Programs under Pyro's handlers: factor, condition, do, block, lift, scale; auxiliary sites."""

import pyro
import pyro.distributions as dist
import torch
from programs.program import Choices, Program
from programs.tables import B, C, Tables
from pyro import poutine

ONE = torch.tensor([1])


def factors() -> Program:
    """`pyro.factor` of a latent and of two."""
    t = Tables(41)
    p, f, q = t(2, 3), t(3, 3), t(2, 3, 3)

    def model() -> None:
        with pyro.plate("data", 1):
            a = pyro.sample("a", C(p[0]))
            pyro.factor("f1", p[1][a])
            b = pyro.sample("b", C(f[a]))
            pyro.factor("f2", f.T[a, b])

    def guide() -> None:
        with pyro.plate("data", 1):
            a = pyro.sample("a", C(q[0][0]))
            pyro.sample("b", C(q[1][a]))

    return Program(model, guide, t.all, dict.fromkeys("ab", Choices((1,), (0, 1, 2))), ("data",))


def factor_in_the_guide() -> Program:
    """A guide with a factor, which is taken off the bound as any of its terms."""
    t = Tables(42)
    p, say, q, f = t(3), t(3, 2), t(2, 3), t(3)

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p))
            pyro.sample("y", C(say[z]), obs=torch.tensor([1, 0]))

    def guide() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(q))
            pyro.factor("f", f[z], has_rsample=True)

    return Program(model, guide, t.all, {"z": Choices((2,), (0, 1, 2))}, ("data",))


def factor_outside() -> Program:
    """A penalty on parameters, outside of the plate of data: the same for all particles."""
    t = Tables(43)
    p, say, q = t(2), t(2, 2), t(2, 2)

    def model() -> None:
        pyro.factor("penalty", -p.square().sum())
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p))
            pyro.sample("y", C(say[z]), obs=torch.tensor([1, 0]))

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", C(q))

    return Program(model, guide, t.all, {"z": Choices((2,))}, ("data",))


def factor_outside_afterwards() -> Program:
    """The same penalty, but after the latents: one by one nothing tells that it depends on none of them."""
    t = Tables(53)
    p, say, q = t(2), t(2, 2), t(2, 2)

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p))
            pyro.sample("y", C(say[z]), obs=torch.tensor([1, 0]))
        pyro.factor("penalty", -p.square().sum())

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", C(q))

    return Program(model, guide, t.all, {"z": Choices((2,))}, ("data",), outside=True)


def conditioned_and_intervened() -> Program:
    """`poutine.condition` on data and `poutine.do` on a latent, which is still one of the guide's."""
    t = Tables(47)
    p, say, q = t(3, 2), t(2, 2, 2), t(2, 2)

    def base() -> None:
        with pyro.plate("data", 1):
            a = pyro.sample("a", C(p[0]))
            b = pyro.sample("b", C(p[1]))
            c = pyro.sample("c", C(p[2] + say[0, b]))
            pyro.sample("y", C(say[a, b] + c.unsqueeze(-1) * say[0, 0]))

    model = poutine.condition(poutine.do(base, data={"c": ONE}), data={"y": ONE})

    def guide() -> None:
        with pyro.plate("data", 1):
            a = pyro.sample("a", C(q[0]))
            pyro.sample("b", C(q[a]))
            pyro.sample("c", C(q[1]))

    return Program(model, guide, t.all, dict.fromkeys("abc", Choices((1,))), ("data",))


def blocked() -> Program:
    """`poutine.block` hides an observation: it does not count."""
    t = Tables(48)
    p, say, q = t(2), t(2, 3), t(2)

    def base() -> None:
        with pyro.plate("data", 1):
            a = pyro.sample("a", C(p))
            pyro.sample("hidden", C(say[a]), obs=torch.tensor([0]))
            pyro.sample("y", C(say[a]), obs=ONE)

    def guide() -> None:
        with pyro.plate("data", 1):
            pyro.sample("a", C(q))

    model = poutine.block(base, hide=["hidden"])
    return Program(model, guide, t.all, {"a": Choices((1,))}, ("data",))


def lifted() -> Program:
    """`poutine.lift` makes a latent of a parameter: a rate that is high or low."""
    t = Tables(49)
    prior, q, r, p = t(1), t(1), t(2, 2), t(2)
    y = torch.tensor([1.0, 3.0]).double()

    def base() -> None:
        high = pyro.param("high", lambda: torch.zeros(()).double())
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p))
            pyro.sample("y", dist.Poisson((high + z).exp()), obs=y)

    def guide() -> None:
        pyro.sample("high", B(q[0]))
        with pyro.plate("data", 2):
            pyro.sample("z", C(r))

    model = poutine.lift(base, prior={"high": B(prior[0])})
    latents = {"high": Choices((), (0.0, 1.0)), "z": Choices((2,))}
    return Program(model, guide, t.all, latents, joint=True, refused=frozenset({"temporal"}))


def annealed() -> Program:
    """`poutine.scale` of the latents alone: sites have scales of their own."""
    t = Tables(50)
    p, say, q = t(2), t(2, 2), t(2, 2)

    def model() -> None:
        with pyro.plate("data", 2):
            with poutine.scale(scale=0.3):
                z = pyro.sample("z", C(p))
            pyro.sample("y", C(say[z]), obs=torch.tensor([0, 1]))

    def guide() -> None:
        with pyro.plate("data", 2), poutine.scale(scale=0.3):
            pyro.sample("z", C(q))

    return Program(model, guide, t.all, {"z": Choices((2,))}, ("data",), refused=frozenset({"iw", "exact"}))


def weighted_data() -> Program:
    """A tensor of scales, a weight of each datum."""
    t = Tables(51)
    p, say, q = t(2), t(2, 2), t(2, 2)
    weight = poutine.scale(scale=torch.tensor([0.5, 2.0]).double())

    def base() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p))
            pyro.sample("y", C(say[z]), obs=torch.tensor([0, 1]))

    def draws() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", C(q))

    return Program(weight(base), weight(draws), t.all, {"z": Choices((2,))}, ("data",))


def auxiliary() -> Program:
    """A guide that draws something of its own, of which the latent is a function."""
    t = Tables(52)
    p, say, q = t(3), t(3, 2), t(2, 3)
    order = torch.tensor([2, 0, 1])

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p))
            pyro.sample("y", C(say[z]), obs=torch.tensor([0, 1]))

    def guide() -> None:
        with pyro.plate("data", 2):
            place = pyro.sample("place", C(q), infer={"is_auxiliary": True})
            pyro.sample("z", dist.Delta(order[place]))

    latents, beyond = ({name: Choices((2,), range(3))} for name in ("place", "z"))
    refused = frozenset({"enumerated"})
    return Program(model, guide, t.all, latents, ("data",), refused=refused, beyond=beyond)


HANDLERS = {
    "factors": factors,
    "factor in the guide": factor_in_the_guide,
    "factor outside": factor_outside,
    "factor outside, afterwards": factor_outside_afterwards,
    "conditioned and intervened": conditioned_and_intervened,
    "blocked": blocked,
    "lifted": lifted,
    "annealed": annealed,
    "weighted data": weighted_data,
    "auxiliary": auxiliary,
}
