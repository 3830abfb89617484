"""Small programs at random: latents and observations in nested and neighbouring plates, in any order.

    data (2) > steps (2)        and beside the steps       data > words (1 or 2)

Each site takes its parents from the sites before it whose plates it is inside of; some of its values may
be forbidden, some of its elements masked out. `written_out` weighs every tuple of latents by running the
program as it stands, one row a tuple, so that nothing of it goes through enumeration.

Shapes: C tuples, B data.
"""

import random
from collections.abc import Callable
from typing import Any

import oracles
import pyro
import pyro.distributions as dist
import torch
from oracles import Latent, Values
from pyro import poutine
from torch import Tensor

DIMS = {"data": -2, "steps": -1, "words": -1}
PLATES: list[tuple[str, ...]] = [(), ("data",), ("data", "steps"), ("data", "words")]


class RandomProgram:
    """Sites and tables from a seed; a guide has the latents `of` a model, in another order."""

    def __init__(self, seed: int, of: "RandomProgram | None" = None):
        self.random, self.generator = random.Random(seed), torch.Generator().manual_seed(seed)
        self.sizes = of.sizes if of else {"data": 2, "steps": 2, "words": self.random.choice([1, 2])}
        self.plates: dict[str, tuple[str, ...]] = {}
        self.values: dict[str, int] = {}
        self.parents: dict[str, list[str]] = {}
        self.tables: dict[str, Tensor] = {}
        self.masks: dict[str, Tensor] = {}
        self.observed: dict[str, Tensor] = {}
        if of:
            for name in self.random.sample(list(of.latents), len(of.latents)):
                self.add(name, of.plates[name], of.values[name], of.masks[name])
            return
        for i in range(self.random.randint(1, 4)):
            self.add(f"z{i}", self.random.choice(PLATES), self.random.randint(1, 3))
            if self.random.random() < 0.7:
                self.add(f"y{i}", self.random.choice(PLATES), 3, observed=True)

    def add(
        self,
        name: str,
        plates: tuple[str, ...],
        values: int,
        mask: Tensor | None = None,
        observed: bool = False,
    ) -> None:
        before = [n for n in self.plates if n not in self.observed and set(self.plates[n]) <= set(plates)]
        parents = self.random.sample(before, self.random.randint(0, min(2, len(before))))
        shape = [self.sizes[plate] for plate in plates]
        table = torch.randn(
            *(self.values[parent] for parent in parents), values, generator=self.generator
        ).double()
        if not observed and self.random.random() < 0.3:  # not the first, so that no row forbids all
            forbidden = torch.rand(table.shape, generator=self.generator) < 0.4
            forbidden[..., 0] = False
            table[forbidden] = -torch.inf
        if mask is None:
            kept = 0.7 if self.random.random() < 0.3 else 1.0
            mask = torch.rand(shape, generator=self.generator) < kept
        if observed:
            self.observed[name] = torch.randint(values, shape, generator=self.generator)
        self.plates[name], self.values[name], self.parents[name] = plates, values, parents
        self.tables[name], self.masks[name] = table.requires_grad_(), mask

    @property
    def latents(self) -> dict[str, Latent]:
        return {n: Latent(self.values[n], self.masks[n]) for n in self.plates if n not in self.observed}

    @property
    def tuples(self) -> int:
        """C."""
        counts = [latent.values ** int(latent.mask.sum()) for latent in self.latents.values()]
        return int(torch.tensor(counts).prod())

    def __call__(self) -> None:
        open_plates = {name: pyro.plate(name, self.sizes[name], dim=dim) for name, dim in DIMS.items()}
        drawn: dict[str, Tensor] = {}
        for name, plates in self.plates.items():
            logits = self.tables[name]
            if self.parents[name]:
                logits = logits[tuple(drawn[parent] for parent in self.parents[name])]
            with poutine.mask(mask=self.placed(name, self.masks[name])):
                run = self.site(name, logits)
                for plate in reversed(plates):
                    run = open_plates[plate](run)
                drawn[name] = run()

    def site(self, name: str, logits: Tensor) -> Callable[[], Any]:
        obs = self.placed(name, self.observed[name]) if name in self.observed else None
        return lambda: pyro.sample(name, dist.Categorical(logits=logits), obs=obs)

    def placed(self, name: str, value: Tensor) -> Tensor:
        """(..., *plates of the site) to (..., data, steps or words)."""
        missing = {(): 2, ("data",): 1}.get(self.plates[name], 0)
        return value[(..., *[None] * missing)]


def written_out(program: RandomProgram, latents: dict[str, Latent]) -> tuple[Values, Tensor]:
    """Every tuple of the latents, and its log joint with what is observed, (C,)."""
    values = oracles.tuples(latents)
    given = {name: program.placed(name, value) for name, value in values.items()}
    trace = poutine.trace(poutine.condition(program, given)).get_trace()
    total = torch.zeros(())
    for site in trace.nodes.values():
        if site["type"] == "sample" and site["name"] in program.plates:
            log_prob = site["fn"].log_prob(site["value"]).where(site["mask"], 0.0)
            log_prob = log_prob.expand(torch.broadcast_shapes(log_prob.shape, (1, 1, 1)))
            total = total + log_prob.sum((-2, -1))
    return values, total


def small(count: int, most: int = 3000) -> list[int]:
    """The first seeds whose programs have between 2 and `most` tuples."""
    seeds, seed = [], 0
    while len(seeds) < count:
        if 2 <= RandomProgram(seed).tuples <= most:
            seeds.append(seed)
        seed += 1
    return seeds
