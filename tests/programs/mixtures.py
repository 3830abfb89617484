"""Mixtures: a class for each datum, and what is observed given it."""

from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from programs.program import Choices, Program
from programs.tables import B, C, Tables
from torch import Tensor


def mixture(
    tables: Tables, prior: Callable[[], Any], observe: Callable[[Tensor], None], values: int = 2
) -> Program:
    """Two data, each of a class, and a guide with a table of its own."""
    q = tables(2, values)

    def model() -> None:
        with pyro.plate("data", 2):
            observe(pyro.sample("z", prior()))

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", C(q))

    return Program(model, guide, tables.all, {"z": Choices((2,), range(values))}, ("data",))


def mixed_observations() -> Program:
    """Yes or no, a count and a real number of each datum."""
    t = Tables(61)
    prior, yes, rate, mean = t(2), t(2), t(2), t(2)

    def observe(z: Tensor) -> None:
        pyro.sample("yes", B(yes[z]), obs=torch.tensor([1.0, 0.0]).double())
        pyro.sample("count", dist.Poisson(rate[z].exp()), obs=torch.tensor([2.0, 0.0]).double())
        pyro.sample("real", dist.Normal(mean[z], 1.0), obs=torch.tensor([0.3, -1.0]).double())

    return mixture(t, lambda: C(prior), observe)


def mixture_of_mixtures() -> Program:
    """What is observed is itself a mixture, summed out by `MixtureSameFamily`."""
    t = Tables(62)
    prior, mean, weight = t(3), t(3, 2), t(3, 2)

    def observe(z: Tensor) -> None:
        fn = dist.MixtureSameFamily(C(weight[z]), dist.Normal(mean[z], 1.0))
        pyro.sample("x", fn, obs=torch.tensor([0.4, -1.2]).double())

    return mixture(t, lambda: C(prior), observe, 3)


def correlated() -> Program:
    """Two real numbers of each datum, with a covariance of each class."""
    t = Tables(63)
    prior, mean, lower = t(2), t(2, 2), t(2, 2, 2)

    def observe(z: Tensor) -> None:
        scale = lower.tril(-1) + torch.diag_embed(lower.diagonal(dim1=-2, dim2=-1).exp())
        fn = dist.MultivariateNormal(mean[z], scale_tril=scale[z])
        pyro.sample("x", fn, obs=torch.tensor([[0.4, -1.2], [1.0, 0.1]]).double())

    return mixture(t, lambda: C(prior), observe)


def counts_of_categories() -> Program:
    """How often each of three categories was seen: Dirichlet-multinomial."""
    t = Tables(64)
    prior, concentration = t(2), t(2, 3)

    def observe(z: Tensor) -> None:
        fn = dist.DirichletMultinomial(concentration[z].exp(), torch.tensor([3.0, 2.0]).double())
        pyro.sample("x", fn, obs=torch.tensor([[2.0, 0.0, 1.0], [0.0, 2.0, 0.0]]).double())

    return mixture(t, lambda: C(prior), observe)


def too_many_zeros() -> Program:
    """Counts with more zeros than a Poisson distribution has."""
    t = Tables(65)
    prior, gate, rate = t(2), t(2), t(2)

    def observe(z: Tensor) -> None:
        fn = dist.ZeroInflatedPoisson(rate[z].exp(), gate=gate[z].sigmoid())
        pyro.sample("x", fn, obs=torch.tensor([0.0, 2.0]).double())

    return mixture(t, lambda: C(prior), observe)


def sticks() -> Program:
    """A Dirichlet process cut short: weights are pieces broken off a stick."""
    t = Tables(66)
    pieces, mean = t(2), t(3)

    def prior() -> Any:
        taken = torch.nn.functional.pad(pieces.sigmoid(), (0, 1), value=1.0)
        left = torch.nn.functional.pad((1 - pieces.sigmoid()).cumprod(-1), (1, 0), value=1.0)
        return dist.Categorical(probs=taken * left)

    def observe(z: Tensor) -> None:
        pyro.sample("x", dist.Normal(mean[z], 0.7), obs=torch.tensor([0.4, -1.2]).double())

    return mixture(t, prior, observe, 3)


def experts() -> Program:
    """The class of a datum depends on its covariates, and so does what is observed given the class."""
    t = Tables(67)
    gate, slope = t(2, 2), t(2, 2)
    x = torch.tensor([[1.0, 0.5], [1.0, -2.0]]).double()

    def observe(z: Tensor) -> None:
        pyro.sample("y", dist.Normal((slope[z] * x).sum(-1), 1.0), obs=torch.tensor([0.4, -1.2]).double())

    return mixture(t, lambda: C(x @ gate), observe)


def pixels() -> Program:
    """A mixture of binary images, whose pixels are a plate."""
    t = Tables(68)
    prior, ink, q = t(2), t(2, 3), t(2, 1, 2)
    images = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]).double()

    def model() -> None:
        with pyro.plate("images", 2, dim=-2):
            z = pyro.sample("z", C(prior))
            with pyro.plate("pixels", 3, dim=-1) as i:
                pyro.sample("x", B(ink[z, i]), obs=images)

    def guide() -> None:
        with pyro.plate("images", 2, dim=-2):
            pyro.sample("z", C(q))

    return Program(model, guide, t.all, {"z": Choices((2, 1))}, ("images",))


def half_labelled() -> Program:
    """A digit that is not known and a style; the guide reads the image, then the digit for the style."""
    t = Tables(69)
    digit, style, ink, q, r = t(3), t(2), t(3, 2, 4), t(4, 3), t(3, 2)
    image = torch.tensor([[1.0, 0.0, 0.0, 1.0]]).double()
    one_hot = torch.eye(3).double()

    def model() -> None:
        with pyro.plate("data", 1):
            y = pyro.sample("digit", dist.OneHotCategorical(logits=digit))
            z = pyro.sample("style", C(style))
            logits = (y.unsqueeze(-1) * ink[:, z].movedim(0, -2)).sum(-2)
            pyro.sample("image", B(logits).to_event(1), obs=image)

    def guide() -> None:
        with pyro.plate("data", 1):
            y = pyro.sample("digit", dist.OneHotCategorical(logits=image @ q))
            pyro.sample("style", C(y @ r))

    latents = {"digit": Choices((1,), tuple(one_hot)), "style": Choices((1,))}
    return Program(model, guide, t.all, latents, ("data",), refused=frozenset({"temporal"}))


MIXTURES = {
    "mixed observations": mixed_observations,
    "mixture of mixtures": mixture_of_mixtures,
    "correlated": correlated,
    "counts of categories": counts_of_categories,
    "too many zeros": too_many_zeros,
    "sticks": sticks,
    "experts": experts,
    "pixels": pixels,
    "half labelled": half_labelled,
}
