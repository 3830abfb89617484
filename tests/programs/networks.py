"""Bayesian networks, and latents of several kinds."""

import pyro
import pyro.distributions as dist
import torch
from programs.program import Choices, Program
from programs.tables import B, C, Tables
from pyro.ops.indexing import Vindex

from hardpp.distributions.step_independent import StepIndependent

BIT = Choices((1,))
YES = Choices((), (0.0, 1.0))


def common_effect() -> Program:
    """Two causes of one latent, read with `Vindex`; the guide draws the effect first."""
    t = Tables(71)
    p, table, say, q = t(2, 3), t(2, 3, 4), t(4, 3, 2), t(2, 4)

    def model() -> None:
        with pyro.plate("data", 1):
            a = pyro.sample("a", C(p[0][:2]))
            b = pyro.sample("b", C(p[1][:2]))
            c = pyro.sample("c", C(Vindex(table)[a, b]))
            pyro.sample("y", C(Vindex(say)[c, b]), obs=torch.tensor([1]))

    def guide() -> None:
        with pyro.plate("data", 1):
            c = pyro.sample("c", C(q[0]))
            a = pyro.sample("a", C(q[:, :2][(c > 1).long()]))
            pyro.sample("b", C(q[:, 2:][a]))

    return Program(model, guide, t.all, {"a": BIT, "b": BIT, "c": Choices((1,), range(4))}, ("data",))


def diamond() -> Program:
    """a > b, c > d; the guide draws from the bottom."""
    t = Tables(72)
    p, say, q = t(4, 2, 2), t(2, 3), t(4, 2, 2)

    def model() -> None:
        with pyro.plate("data", 1):
            a = pyro.sample("a", C(p[0][0]))
            b = pyro.sample("b", C(p[1][a]))
            c = pyro.sample("c", C(p[2][a]))
            d = pyro.sample("d", C(p[3][b] + p[0][c]))
            pyro.sample("y", C(say[d]), obs=torch.tensor([1]))
            pyro.sample("x", C(say[c]), obs=torch.tensor([0]))

    def guide() -> None:
        with pyro.plate("data", 1):
            d = pyro.sample("d", C(q[0][0]))
            b = pyro.sample("b", C(q[1][d]))
            a = pyro.sample("a", C(q[2][b]))
            pyro.sample("c", C(q[3][a] + q[0][d]))

    return Program(model, guide, t.all, dict.fromkeys("abcd", BIT), ("data",))


def sprinkler() -> Program:
    """The lawn is wet: did it rain? No plate at all."""
    t = Tables(73)
    cloudy, rain, sprinkle, wet, q, r = t(1), t(2), t(2), t(2, 2), t(3), t(2)

    def model() -> None:
        c = pyro.sample("cloudy", B(cloudy[0])).long()
        r_ = pyro.sample("rain", B(rain[c])).long()
        s = pyro.sample("sprinkler", B(sprinkle[c])).long()
        pyro.sample("wet", B(Vindex(wet)[r_, s]), obs=torch.tensor(1.0).double())

    def guide() -> None:
        rained = pyro.sample("rain", B(q[0])).long()
        pyro.sample("sprinkler", B(q[1] + r[rained]))
        pyro.sample("cloudy", B(q[2] + r[rained]))

    return Program(model, guide, t.all, dict.fromkeys(("cloudy", "rain", "sprinkler"), YES))


def noisy_or() -> Program:
    """Each disease that is there may cause a symptom, whatever the others do."""
    t = Tables(74)
    prior, cause, leak, q = t(2), t(2, 2), t(2), t(2, 2)
    symptoms = torch.tensor([[1.0, 0.0]]).double()

    def model() -> None:
        with pyro.plate("patients", 1):
            ill = [pyro.sample(f"d{i}", B(prior[i])) for i in range(2)]
            for s in range(2):
                spared = (-leak[s].exp()) - sum(d * cause[i, s].exp() for i, d in enumerate(ill))
                fn = dist.Bernoulli(probs=-torch.expm1(spared))
                pyro.sample(f"s{s}", fn, obs=symptoms[:, s])

    def guide() -> None:
        with pyro.plate("patients", 1):
            first = pyro.sample("d0", B(q[0, 0]))
            pyro.sample("d1", B(q[1, 0] + q[1, 1] * first))

    latents = {f"d{i}": Choices((1,), (0.0, 1.0)) for i in range(2)}
    return Program(model, guide, t.all, latents, ("patients",))


def of_no_effect() -> Program:
    """A latent that nothing depends on, and one of a single value."""
    t = Tables(75)
    p, say, q = t(2, 2), t(2, 2), t(2, 2)

    def model() -> None:
        with pyro.plate("data", 1):
            pyro.sample("u", C(p[0]))
            z = pyro.sample("z", C(p[1]))
            pyro.sample("y", C(say[z]), obs=torch.tensor([1]))
            pyro.sample("one", C(torch.zeros(1).double()))

    def guide() -> None:
        with pyro.plate("data", 1):
            pyro.sample("one", C(torch.zeros(1).double()))
            pyro.sample("z", C(q[0]))
            pyro.sample("u", C(q[1]))

    return Program(model, guide, t.all, {"u": BIT, "z": BIT, "one": Choices((1,), (0,))}, ("data",))


def kinds() -> Program:
    """Bernoulli, one-hot and binomial latents."""
    t = Tables(76)
    p, o, b, say, q, r, s = t(1), t(2, 2), t(2, 2), t(2, 2, 3, 2), t(1), t(2, 2), t(2)

    def model() -> None:
        with pyro.plate("data", 1):
            yes = pyro.sample("yes", B(p[0]))
            hot = pyro.sample("hot", dist.OneHotCategorical(logits=o[yes.long()]))
            n = pyro.sample("n", dist.Binomial(2, logits=(hot * b[yes.long()]).sum(-1)))
            logits = Vindex(say)[yes.long(), hot.argmax(-1), n.long()]
            pyro.sample("y", C(logits), obs=torch.tensor([1]))

    def guide() -> None:
        with pyro.plate("data", 1):
            yes = pyro.sample("yes", B(q[0]))
            hot = pyro.sample("hot", dist.OneHotCategorical(logits=r[yes.long()]))
            pyro.sample("n", dist.Binomial(2, logits=(hot * s).sum(-1)))

    latents = {
        "yes": Choices((1,), (0.0, 1.0)),
        "hot": Choices((1,), tuple(torch.eye(2).double())),
        "n": Choices((1,), (0.0, 1.0, 2.0)),
    }
    return Program(model, guide, t.all, latents, ("data",), refused=frozenset({"temporal"}))


def forbidden() -> Program:
    """Values of probability zero in both programs."""
    t = Tables(77)
    p, move, say, q, r = t(3), t(3, 3), t(3, 2), t(3), t(3, 3)
    inf = torch.inf
    ban = torch.tensor([[0.0, 0.0, -inf], [-inf, 0.0, 0.0], [0.0, -inf, 0.0]]).double()

    def model() -> None:
        with pyro.plate("data", 1):
            a = pyro.sample("a", C(p + ban[0]))
            b = pyro.sample("b", C(move[a] + ban[a]))
            pyro.sample("y", C(say[b]), obs=torch.tensor([1]))

    def guide() -> None:
        with pyro.plate("data", 1):
            a = pyro.sample("a", C(q + ban[0]))
            pyro.sample("b", C(r[a] + ban[a]))

    latents = {"a": Choices((1,), (0, 1)), "b": Choices((1,), (0, 1, 2))}
    return Program(model, guide, t.all, latents, ("data",))


def events() -> Program:
    """Two choices in an event dim, and deterministic sites."""
    t = Tables(78)
    p, say, q = t(2, 2), t(2, 2, 3), t(2, 2)

    def model() -> None:
        with pyro.plate("data", 1):
            z = pyro.sample("z", C(p).to_event(1))
            pyro.deterministic("twice", z * 2, event_dim=1)
            pyro.sample("y", C(Vindex(say)[z[..., 0], z[..., 1]]), obs=torch.tensor([1]))

    def guide() -> None:
        with pyro.plate("data", 1):
            pyro.sample("z", C(q).expand_by([1]).to_event(1))

    refused = frozenset({"temporal", "sums"})
    return Program(model, guide, t.all, {"z": Choices((1, 2))}, ("data",), refused=refused)


def masked_steps() -> Program:
    """Independent steps, the last of them masked."""
    t = Tables(79)
    p, say, q = t(2, 3), t(2, 3, 3), t(2, 3)
    mask = torch.tensor([[True, False]])

    def model() -> None:
        with pyro.plate("data", 1):
            z = pyro.sample("z", StepIndependent(C(p.expand(1, 2, 3)).mask(mask)))
            seen = C(Vindex(say)[torch.arange(2), z]).mask(mask)
            pyro.sample("y", StepIndependent(seen), obs=torch.tensor([[1, 2]]))
            pyro.sample("x", C(say[0][z[..., 0]]), obs=torch.tensor([0]))

    def guide() -> None:
        with pyro.plate("data", 1):
            pyro.sample("z", StepIndependent(C(q.expand(1, 2, 3)).mask(mask)))

    latents = {"z": Choices((1, 2), (0, 1, 2), counts=[True, False])}
    return Program(model, guide, t.all, latents, ("data",), refused=frozenset({"sums"}))


def steps_in_another_order() -> Program:
    """Two latents by step; the guide draws a, then b, the model b, then a given b."""
    t = Tables(80)
    of_a, of_b, q, r, say = t(2, 2), t(2), t(2, 2), t(2, 2), t(2, 2, 3)

    def model() -> None:
        with pyro.plate("data", 1):
            b = pyro.sample("b", StepIndependent(C(of_b.expand(1, 2, 2))))
            a = pyro.sample("a", StepIndependent(C(of_a[b])))
            pyro.sample("y", StepIndependent(C(say[a, b])), obs=torch.tensor([[0, 2]]))

    def guide() -> None:
        with pyro.plate("data", 1):
            a = pyro.sample("a", StepIndependent(C(q.expand(1, 2, 2))))
            pyro.sample("b", StepIndependent(C(r[a])))

    latents = {"a": Choices((1, 2)), "b": Choices((1, 2))}
    return Program(model, guide, t.all, latents, ("data",), refused=frozenset({"sums"}))


NETWORKS = {
    "common effect": common_effect,
    "diamond": diamond,
    "sprinkler": sprinkler,
    "noisy or": noisy_or,
    "of no effect": of_no_effect,
    "kinds of latents": kinds,
    "forbidden values": forbidden,
    "events": events,
    "masked steps": masked_steps,
    "steps in another order": steps_in_another_order,
}
