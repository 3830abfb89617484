"""Kinds of distributions and of sites: counts, mixtures, events, masks of their own, what is certain."""

import pyro
import pyro.distributions as dist
import torch
from programs.program import Choices, Program
from programs.tables import B, C, Tables
from programs.unusual import model_of
from pyro import poutine

Y = torch.tensor([1, 0])


def counts_of_two() -> Program:
    """Multinomial latents: how two are divided."""
    t = Tables(161)
    p, say, q = t(2), t(2, 3), t(1, 2)

    def model() -> None:
        with pyro.plate("data", 1):
            n = pyro.sample("n", dist.Multinomial(2, logits=p))
            pyro.sample("y", C(n @ say), obs=torch.tensor([1]))

    def guide() -> None:
        with pyro.plate("data", 1):
            pyro.sample("n", dist.Multinomial(2, logits=q))

    values = tuple(torch.tensor(v).double() for v in ([0, 2], [1, 1], [2, 0]))
    refused = frozenset({"temporal", "sums"})
    return Program(model, guide, t.all, {"n": Choices((1,), values)}, ("data",), refused=refused)


def two_switches() -> Program:
    """Two yes-or-no choices in an event dim."""
    t = Tables(162)
    p, say, q = t(2), t(2, 3), t(1, 2)

    def model() -> None:
        with pyro.plate("data", 1):
            s = pyro.sample("s", B(p).to_event(1))
            pyro.sample("y", C(s @ say), obs=torch.tensor([1]))

    def guide() -> None:
        with pyro.plate("data", 1):
            pyro.sample("s", B(q).to_event(1))

    latents, refused = {"s": Choices((1, 2), (0.0, 1.0))}, frozenset({"temporal", "sums"})
    return Program(model, guide, t.all, latents, ("data",), refused=refused)


def one_hot() -> Program:
    """One-hot latents that are multiplied with a table."""
    t = Tables(163)
    p, say, q = t(3), t(3, 2), t(2, 3)

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", dist.OneHotCategorical(logits=p))
            pyro.sample("y", C(z @ say), obs=Y)

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", dist.OneHotCategorical(logits=q))

    latents = {"z": Choices((2,), tuple(torch.eye(3).double()))}
    return Program(model, guide, t.all, latents, ("data",), refused=frozenset({"temporal"}))


def overdispersed_guide() -> Program:
    """A binomial count, guessed by a beta-binomial."""
    t = Tables(164)
    p, say, shape = t(1), t(3, 2), t(2)

    def model() -> None:
        with pyro.plate("data", 1):
            n = pyro.sample("n", dist.Binomial(2, logits=p))
            pyro.sample("y", C(say[n.long()]), obs=torch.tensor([0]))

    def guide() -> None:
        with pyro.plate("data", 1):
            a, b = shape.exp()
            pyro.sample("n", dist.BetaBinomial(a, b, total_count=2).expand([1]))

    latents = {"n": Choices((1,), (0.0, 1.0, 2.0))}
    return Program(model, guide, t.all, latents, ("data",))


def mixture_for_a_guide() -> Program:
    """A guide that is a mixture, itself summed out by `MixtureSameFamily`."""
    t = Tables(165)
    p, say, share, q = t(1), t(2, 2), t(2), t(2)

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", B(p))
            pyro.sample("y", C(say[z.long()]), obs=Y)

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", dist.MixtureSameFamily(C(share.expand(2, 2)), B(q.expand(2, 2))))

    latents = {"z": Choices((2,), (0.0, 1.0))}
    return Program(model, guide, t.all, latents, ("data",), refused=frozenset({"enumerated"}))


def half_certain() -> Program:
    """Of two latents the guide draws one, and knows the other: a `Delta`."""
    t = Tables(166)
    p, move, say, q = t(2), t(2, 2), t(2, 2, 2), t(2, 2)

    def model() -> None:
        with pyro.plate("data", 2):
            a = pyro.sample("a", C(p))
            b = pyro.sample("b", C(move[a]))
            pyro.sample("y", C(say[a, b]), obs=Y)

    def guide() -> None:
        with pyro.plate("data", 2):
            a = pyro.sample("a", C(q))
            pyro.sample("b", dist.Delta(1 - a))

    latents, beyond = {"a": Choices((2,))}, dict.fromkeys("ab", Choices((2,)))
    refused = frozenset({"enumerated"})
    return Program(model, guide, t.all, latents, ("data",), beyond=beyond, refused=refused)


def masks_of_their_own() -> Program:
    """Distributions with a mask (`fn.mask`), beside one of `poutine.mask` that is a number."""
    t = Tables(167)
    p, say, q = t(2), t(2, 2), t(2, 2)
    first = torch.tensor([True, False])

    def model() -> None:
        with pyro.plate("data", 2), poutine.mask(mask=torch.tensor(True)):
            z = pyro.sample("z", C(p).expand([2]).mask(first))
            pyro.sample("y", C(say[z]).mask(first), obs=Y)
            pyro.sample("x", C(say[0]).expand([2]), obs=Y)

    def guide() -> None:
        with pyro.plate("data", 2), poutine.mask(mask=torch.tensor(True)):
            pyro.sample("z", C(q).mask(first))

    latents = {"z": Choices((2,), counts=[True, False])}
    return Program(model, guide, t.all, latents, ("data",))


def masked_altogether() -> Program:
    """A latent that is masked out everywhere, `mask=False`."""
    t = Tables(168)
    p, say, q = t(2), t(2, 2), t(2, 2)
    nowhere = poutine.mask(mask=False)

    def model() -> None:
        with pyro.plate("data", 2):
            with nowhere:
                pyro.sample("a", C(p))
            z = pyro.sample("z", C(p))
            pyro.sample("y", C(say[z]), obs=Y)

    def guide() -> None:
        with pyro.plate("data", 2):
            with nowhere:
                pyro.sample("a", C(q))
            pyro.sample("z", C(q))

    latents = {"a": Choices((2,), counts=[False, False]), "z": Choices((2,))}
    return Program(model, guide, t.all, latents, ("data",))


def functions_in_both() -> Program:
    """`pyro.deterministic` in both programs, and marks in `infer` that mean nothing here."""
    t = Tables(169)
    p, say, q = t(2), t(2, 2), t(2, 2)
    marks = {"enumerate": "sequential", "baseline": {"use_decaying_avg_baseline": True}}

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(p), infer={"enumerate": "sequential"})
            other = pyro.deterministic("other", 1 - z)
            pyro.sample("y", C(say[other]), obs=Y, infer={"whatever": 1})

    def guide() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", C(q), infer=marks)
            pyro.deterministic("other", 1 - z)
            pyro.deterministic("twice", 2 * z)

    return Program(model, guide, t.all, {"z": Choices((2,))}, ("data",))


def events_observed() -> Program:
    """Real vectors of each class, one with a covariance; probabilities in place of logits."""
    t = Tables(170)
    p, mean, q = t(2), t(2, 3), t(2, 2)
    x = torch.tensor([[0.2, 1.0, -1.0], [0.4, -0.3, 2.0]]).double()

    def model() -> None:
        with pyro.plate("data", 2):
            z = pyro.sample("z", dist.Categorical(p.softmax(-1)))
            pyro.sample("x", dist.Normal(mean[z], 1.0).to_event(1), obs=x)
            pyro.sample("w", dist.MultivariateNormal(mean[z], torch.eye(3).double()), obs=x)

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", dist.Categorical(q.exp()))

    return Program(model, guide, t.all, {"z": Choices((2,))}, ("data",))


def penalty_in_the_plate() -> Program:
    """A factor of parameters alone in the plate of data, and one of the latents before what is observed."""
    t = Tables(171)
    p, say, q = t(2), t(2, 2), t(2, 2)
    inner = model_of(p, say)

    def model() -> None:
        with pyro.plate("rows", 2):
            pyro.factor("penalty", -p.square().sum().expand(2))
        inner()

    def guide() -> None:
        with pyro.plate("data", 2):
            pyro.sample("z", C(q))

    return Program(model, guide, t.all, {"z": Choices((2,))}, ("data",))


KINDS = {
    "counts of two": counts_of_two,
    "two switches": two_switches,
    "one hot": one_hot,
    "overdispersed guide": overdispersed_guide,
    "mixture for a guide": mixture_for_a_guide,
    "half certain": half_certain,
    "masks of their own": masks_of_their_own,
    "masked altogether": masked_altogether,
    "functions in both": functions_in_both,
    "events observed": events_observed,
    "penalty in the plate": penalty_in_the_plate,
}
