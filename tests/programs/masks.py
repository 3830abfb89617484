"""Masks: data that are missing, and latents that decide what counts."""

import pyro
import torch
from programs.program import Choices, Program
from programs.tables import B, C, Tables
from pyro import poutine
from pyro.ops.indexing import Vindex


def missing_data() -> Program:
    """`obs_mask`: where a value is missing, it is one more latent."""
    t = Tables(44)
    p, tell, say, q, r = t(2), t(2, 2), t(2, 2), t(2), t(2, 2)
    x, known, y = torch.tensor([1, 0]), torch.tensor([True, False]), torch.tensor([1, 0])

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p))
            value = pyro.sample("x", C(tell[z]), obs=x, obs_mask=known)
            pyro.sample("y", C(say[value]), obs=y)

    def guide() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(q))
            with poutine.mask(mask=~known):
                pyro.sample("x_unobserved", C(r[z]))

    latents = {"z": Choices((2,)), "x_unobserved": Choices((2,), counts=[False, True])}
    return Program(model, guide, t.all, latents, ("data",))


def masked_observations() -> Program:
    """A latent class from answers of which some are missing: a mask on observations alone."""
    t = Tables(45)
    p, say, q = t(2), t(2, 2), t(2, 2)
    answers = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).double()  # question, person
    given = torch.tensor([[True, True], [False, True]])

    def model() -> None:
        with pyro.plate("people", 2, dim=-1):
            z = pyro.sample("z", C(p))
            with pyro.plate("questions", 2, dim=-2), poutine.mask(mask=given):
                which = torch.arange(2).unsqueeze(-1)
                pyro.sample("answer", B(Vindex(say)[z, which]), obs=answers)

    def guide() -> None:
        with pyro.plate("people", 2, dim=-1):
            pyro.sample("z", C(q))

    return Program(model, guide, t.all, {"z": Choices((2,))}, ("people",))


def halting() -> Program:
    """A mask that depends on latents: after the first stop nothing counts."""
    t = Tables(46)
    stop, say, q = t(3, 2), t(3, 3), t(3, 2)

    def model() -> None:
        with pyro.plate("data", 1):
            on, n = torch.ones(1, dtype=torch.bool), torch.zeros(1, dtype=torch.int64)
            for i in range(2):
                with poutine.mask(mask=on):
                    s = pyro.sample(f"s{i}", C(stop[i]))
                    pyro.sample(f"c{i}", C(say[n]), obs=torch.tensor([i]))
                n, on = n + (on & (s == 0)).long(), on & (s == 0)
            pyro.sample("y", C(say[n]), obs=torch.tensor([2]))

    def guide() -> None:
        with pyro.plate("data", 1):
            on = torch.ones(1, dtype=torch.bool)
            for i in range(2):
                with poutine.mask(mask=on):
                    s = pyro.sample(f"s{i}", C(q[i]))
                on = on & (s == 0)

    latents = {"s0": Choices((1,)), "s1": Choices((1,))}
    return Program(
        model, guide, t.all, latents, ("data",), possible=lambda z: bool(z["s0"] == 0 or z["s1"] == 0)
    )


MASKS = {
    "missing data": missing_data,
    "masked observations": masked_observations,
    "halting": halting,
}
