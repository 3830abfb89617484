"""What a program of these tests is: a model, a guide, and every value that its latents can have.

The latents are few and have few values, so that a sum over all of them is an exact expectation.

Shapes: C tuples of all latents, ... = plates of a latent.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.ops.provenance import get_provenance, track_provenance
from pyro.poutine.messenger import Messenger
from torch import Tensor

Run = Callable[[], Any]
Draw = dict[str, Tensor]  # a value of every latent, by name


class Choices(NamedTuple):
    """The values of a latent: which each of its elements may have, and which elements count."""

    shape: tuple[int, ...] = ()  # of its plates, and of its steps or events where each is a choice
    values: Sequence[Any] = (0, 1)
    counts: Sequence[bool] | None = None  # None: all; others have the first value

    def all(self) -> list[Tensor]:
        """Every value of all elements together."""
        size = math.prod(self.shape)
        counts = [True] * size if self.counts is None else self.counts
        options = [self.values if counted else self.values[:1] for counted in counts]
        one = torch.as_tensor(self.values[0])
        rows = [torch.stack([torch.as_tensor(v) for v in chosen]) for chosen in itertools.product(*options)]
        # What is drawn by double precision is of double precision.
        return [
            (row.double() if one.is_floating_point() else row).reshape((*self.shape, *one.shape))
            for row in rows
        ]


class Program(NamedTuple):
    """A model and a guide of one batch, and what is known of them."""

    model: Run
    guide: Run
    parameters: Sequence[Tensor]
    latents: dict[str, Choices]
    instances: tuple[str, ...] = ()  # plates, from left to right, each of whose elements has its own weights
    joint: bool = False  # do several particles weigh data together, with a warning?
    outside: bool = (
        False  # one by one: does a site outside of the instances, after a draw, make weights joint?
    )
    refused: frozenset[str] = frozenset()  # by these settings (see `settings`), or by kinds of them
    possible: Callable[[Draw], bool] = lambda draw: True  # is it a tuple of its own?
    beyond: dict[str, Choices] | None = None  # what the model may draw, where a guide leaves out values

    @property
    def tuples(self) -> list[Draw]:
        """Every value of all latents together, C of them."""
        names = list(self.latents)
        each = itertools.product(*(self.latents[name].all() for name in names))
        draws = [dict(zip(names, values, strict=True)) for values in each]
        return [draw for draw in draws if self.possible(draw)]

    @property
    def nesting(self) -> int:
        """How many dims the plates take."""
        with Given(self.tuples[0]):
            traces = [poutine.trace(program).get_trace() for program in (self.guide, self.model)]
        sites = [site for trace in traces for site in trace.nodes.values() if site["type"] == "sample"]
        return max((-f.dim for s in sites for f in s["cond_indep_stack"] if f.vectorized), default=0)

    @property
    def of_the_model(self) -> "Program":
        """With the model's own latents as the guide: it draws every value that the model can."""
        own = poutine.block(self.model, hide_fn=lambda site: site["type"] != "sample" or site["is_observed"])
        latents = self.latents if self.beyond is None else self.beyond
        return self._replace(guide=own, latents=latents)

    def side_by_side(self, draws: Sequence[Draw], nesting: int) -> Draw:
        """The draws of several particles, in a dim left of so many of plates; of one as they are."""
        if len(draws) == 1:
            return draws[0]
        with Given(draws[0]):
            trace = poutine.trace(self.guide).get_trace()
        out = {}
        for name in draws[0]:
            if name in trace.nodes:
                value = torch.stack([draw[name] for draw in draws])
                plates = value.dim() - 1 - len(trace.nodes[name]["fn"].event_shape)
                missing = (1,) * (nesting - plates)
                out[name] = value.reshape(len(draws), *missing, *value.shape[1:])
        return out


class Given(Messenger):
    """Pretends that these values were drawn."""

    def __init__(self, values: Draw):
        super().__init__()
        self.values = values

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] in self.values and not msg["is_observed"] and not msg["done"]:
            # A real draw carries the provenance of its distribution's parameters.
            source = get_provenance(getattr(msg["fn"], "logits", None))
            msg["value"], msg["done"] = track_provenance(self.values[msg["name"]], source), True


class InTurn:
    """A guide whose runs are given one draw after another."""

    def __init__(self, guide: Run, draws: Sequence[Draw]):
        self.guide, self.left = guide, list(draws)

    def __call__(self) -> Any:
        with Given(self.left.pop(0)):
            return self.guide()
