"""Programs that are wrong, or do not go together: what is wrong with each, and what the sentence names."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pyro
import pyro.distributions as dist
import torch
from programs.tables import B, C
from pyro import poutine
from torch import Tensor

THREE = torch.tensor([0.1, -0.4, 0.3])
SAY = torch.tensor([[0.3, -1.2, 0.5], [1.1, 0.2, -0.7], [-0.4, 0.9, 0.6]])
Y = torch.tensor([0, 1, 2, 1])
HALF = torch.tensor([True, True, False, False])
Run = Callable[..., Any]
ALL = ("draws", "sums")


class Wrong(NamedTuple):
    """A model and a guide, and what the sentence must name: the site, what was wanted and what was got."""

    model: Run
    guide: Run
    says: tuple[str, ...]
    by: tuple[str, ...] = ALL  # "draws" of the guide, "sums" over its latents, "marginal" of the model
    validation: bool = False  # is the fault only found while Pyro's validation is on?


def model(
    prior: Any = None,
    *,
    plate: str = "data",
    obs: Tensor = Y,
    say: Callable[[Tensor], Tensor] = SAY.__getitem__,
) -> Run:
    """Four data of a class each, and a symbol that depends on it."""
    prior = C(THREE) if prior is None else prior

    def run() -> None:
        with pyro.plate(plate, 4):
            z = pyro.sample("z", prior)
            pyro.sample("y", C(say(z)), obs=obs)

    return run


def guide(fn: Any = None, *, name: str = "z", plate: str = "data", size: int = 4, dim: int = -1) -> Run:
    """A guide that draws one site in a plate."""

    def run() -> None:
        with pyro.plate(plate, size, dim=dim):
            pyro.sample(name, C(THREE) if fn is None else fn)

    return run


def also(name: str, fn: Any, **options: Any) -> Run:
    """The guide with one more site."""

    def run() -> None:
        with pyro.plate("data", 4):
            pyro.sample("z", C(THREE))
            pyro.sample(name, fn, **options)

    return run


def masked(program: Run) -> Run:
    """The program, half of its data masked."""
    return lambda: poutine.mask(mask=HALF)(program)()


def no_plate() -> None:
    pyro.sample("z", C(THREE.expand(4, 3)).to_event(1))


def collision() -> None:
    with pyro.plate("a", 4, dim=-1), pyro.plate("b", 4, dim=-1):
        pyro.sample("z", C(THREE))


def twice() -> None:
    with pyro.plate("data", 4):
        pyro.sample("z", C(THREE))
        z = pyro.sample("z", C(THREE))
        pyro.sample("y", C(SAY[z]), obs=Y)


def pairs(size: int) -> Run:
    """Events of so many choices."""

    def run() -> None:
        with pyro.plate("data", 4):
            pyro.sample("z", C(THREE.expand(4, size, 3)).to_event(1))

    return run


def looks_back() -> None:
    """An observation that reads the latent of two steps before."""
    drawn = [torch.tensor(0)]
    for i in pyro.markov(range(4)):
        drawn.append(pyro.sample(f"z{i}", C(SAY[drawn[-1]])))
        pyro.sample(f"y{i}", C(SAY[drawn[-1]] + SAY[drawn[max(0, i - 1)]]), obs=torch.tensor(1))


def steps() -> None:
    for i in range(4):
        pyro.sample(f"z{i}", C(THREE))


def added_up() -> None:
    """The sum over all dims, that of particles too."""
    with pyro.plate("data", 4):
        z = pyro.sample("z", C(THREE))
    pyro.sample("y", dist.Normal(z.double().sum(), 1.0), obs=torch.tensor(2.3))


def all_alike() -> None:
    """A branch on all values."""
    with pyro.plate("data", 1):
        z = pyro.sample("z", C(THREE))
        pyro.sample("y", C(SAY[0] if (z == 0).all() else SAY[1]), obs=torch.tensor([0]))


def lonely(fn: Any) -> Run:
    """An auxiliary site that no other is a function of."""

    def run() -> None:
        with pyro.plate("data", 4):
            pyro.sample("own", fn, infer={"is_auxiliary": True})
            pyro.sample("z", C(THREE))

    return run


def too_far_left(observed: bool) -> Run:
    """A latent given another one, by an index with two dims too many."""

    def run() -> None:
        g = pyro.sample("g", C(THREE))
        with pyro.plate("data", 4):
            z = pyro.sample("z", C(THREE + g.double().reshape(*g.shape, 1, 1)))
            if observed:
                pyro.sample("y", C(SAY[z]), obs=Y)

    return run


def empty() -> None:
    with pyro.plate("data", 0):
        pyro.sample("z", C(THREE))


NAN = torch.tensor([0.0, torch.nan, 0.0])
ALONE = ("particle alone", "'y'", "of the model")
DRAWS = ("draws",)
WRONG = {
    "latent missing in the guide": Wrong(model(), lambda: None, ("'z'", "missing in the guide")),
    "one site more in the guide": Wrong(model(), also("u", C(THREE)), ("'u'", "missing in the model")),
    "a misspelt name": Wrong(model(), guide(name="Z"), ("'z'", "missing in the guide", "'Z'")),
    "a plate of another size": Wrong(model(), guide(size=5), ("'z'", "(4,)", "(5,)", "'data'")),
    "a plate of another name": Wrong(model(), guide(plate="batch"), ("'z'", "'data'", "'batch'")),
    "a plate at another dim": Wrong(model(), guide(dim=-2), ("'z'", "(4,)", "(4, 1)")),
    "a larger support": Wrong(model(), guide(C(torch.zeros(4))), ("'z'", "0 to 2", "0 to 3")),
    "other kinds of values": Wrong(
        model(dist.Normal(0.0, 1.0), say=lambda z: z.unsqueeze(-1) * THREE),
        guide(),
        ("'z'", "continuous"),
        DRAWS,
    ),
    "yes or no for an index": Wrong(
        model(C(THREE[:2])), guide(B(torch.zeros(()))), ("after site 'z'", "Bernoulli", "indices")
    ),
    "plates that collide": Wrong(model(), collision, ("the guide", "collide")),
    "an event for a plate": Wrong(model(), no_plate, ("'z'", "(4,)", "()"), DRAWS),
    "events of another size": Wrong(pairs(2), pairs(3), ("'z'", "(2,)", "(3,)"), DRAWS),
    "an event of choices": Wrong(pairs(2), pairs(2), ("'z'", "event shape (2,)"), ("sums", "marginal")),
    "a latent without a list of values": Wrong(
        model(dist.Poisson(2.0), say=lambda z: z.unsqueeze(-1) * THREE),
        guide(dist.Poisson(2.0)),
        ("'z'", "Poisson", "enumerated"),
        ("sums", "marginal"),
    ),
    "not a number in the guide": Wrong(
        model(), lambda: guide(C(NAN))(), ("the", "before its first site", "invalid values"), ALL, True
    ),
    "not a number in the model": Wrong(
        model(say=lambda z: SAY[z] * torch.nan), guide(), ("after site 'z'", "invalid values"), ALL, True
    ),
    "the guide draws what is observed": Wrong(
        model(), also("y", C(THREE)), ("draws site 'y'", "model observes")
    ),
    "the guide observes": Wrong(model(), also("y", C(THREE), obs=Y), ("observes site 'y'", "only draws")),
    "an auxiliary site of no use": Wrong(model(), lonely(C(THREE)), ("'own'", "Delta"), DRAWS),
    "a name used twice": Wrong(twice, guide(), ("'z'", "Multiple"), (*ALL, "marginal")),
    "a value outside of its support": Wrong(
        model(obs=torch.tensor([0, 1, 2, 7])), guide(), ("'y'", "log-probability"), (*ALL, "marginal")
    ),
    "an observation with a dim too many": Wrong(
        model(obs=Y.unsqueeze(-1)), guide(), ("'y'", "log-probabilit"), DRAWS
    ),
    "a mask in the model alone": Wrong(masked(model()), guide(), ("'z'", "2 of 4", "all of its elements")),
    "a mask in the guide alone": Wrong(model(), masked(guide()), ("'z'", "2 of 4", "all of its elements")),
    "no guide": Wrong(model(), None, ("None",)),
    "other arguments": Wrong(
        lambda a: None, guide(), ("before its first site", "argument"), (*ALL, "marginal")
    ),
    "an empty batch": Wrong(
        empty, empty, ("before its first site", "size cannot be zero"), (*ALL, "marginal")
    ),
    "too short a history": Wrong(
        looks_back, steps, ("'y2'", "'z0'", "pyro.markov", "history"), ("marginal",), True
    ),
    "dims too far to the left": Wrong(
        too_far_left(True), too_far_left(False), ("'z'", "its own values", "no plate"), ("sums", "marginal")
    ),
    "a sum over particles": Wrong(added_up, guide(), ALONE, ("several",), True),
    "a sum over values": Wrong(added_up, guide(), ("'y'", "one value"), ("sums", "marginal"), True),
    "a branch on all particles": Wrong(all_alike, guide(size=1), ALONE, ("several",), True),
    "a branch on all values": Wrong(
        all_alike, guide(size=1), ("'y'", "one value"), ("sums", "marginal"), True
    ),
}
