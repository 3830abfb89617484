"""Programs of mixed plates at random, for sums over all of their few latents.

Plates a (dim -1) and b (dim -2), so that sites are nested, beside one another or crossed, and a loop over a
sequential plate. A site reads earlier sites whose plates it is in, or the sum over a plate of one whose
plates it is not in. The guide draws the latents in another order and with other parents. Some elements are
masked and then never read, some sites are scaled, plate a may be a subsample, and tables may be of single
precision.

Shapes: ... = plates of a site.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pyro
import pyro.distributions as dist
import torch
from programs.program import Choices, Program
from pyro import poutine
from torch import Tensor, nn

SIZE = 2  # of every plate
TURNS = 2
PLATES = [frozenset(plates) for plates in ("", "a", "b", "ab")]


class Site(NamedTuple):
    """One site, or one of each turn of the loop."""

    name: str
    plates: frozenset[str]
    looped: bool
    values: int
    parents: tuple[str, ...]
    table: Tensor  # (*parents, values) logits
    counts: Tensor | None  # (...) which elements do; None: all
    scale: float
    observed: Tensor | None  # (...)


class Maker:
    """Makes the sites of a program from a seed."""

    def __init__(self, seed: int):
        self.random, self.generator = random.Random(seed), torch.Generator().manual_seed(seed)
        self.dtype = self.random.choice([torch.float64, torch.float64, torch.float32])
        self.subsampled = self.random.random() < 0.3
        self.tables: list[Tensor] = []

    def site(self, name: str, before: list[Site], like: Site | None = None, observed: bool = False) -> Site:
        """A site that reads some of the sites before it; a guide's is like the model's."""
        plates = like.plates if like else self.random.choice(PLATES)
        looped = like.looped if like else self.random.random() < 0.2
        values = like.values if like else self.random.choice([1, 2, 2, 2, 3])
        seen = [s for s in before if s.observed is None and (looped or not s.looped)]
        parents = self.random.sample(seen, min(len(seen), self.random.choice([0, 1, 1, 2])))
        shape = [most(parent, plates) + 1 for parent in parents] + [values]
        table = nn.Parameter(torch.randn(shape, generator=self.generator, dtype=self.dtype))
        self.tables.append(table)
        counts, scale = (like.counts, like.scale) if like else (None, 1.0)
        if like is None and self.random.random() < 0.2:
            counts = torch.rand(placed(plates), generator=self.generator) < 0.6
        if like is None and self.random.random() < 0.15:
            scale = 0.5
        y = torch.randint(values, placed(plates), generator=self.generator) if observed else None
        return Site(name, plates, looped, values, tuple(p.name for p in parents), table, counts, scale, y)


def placed(plates: frozenset[str]) -> tuple[int, ...]:
    """The shape of a site in these plates."""
    shape = (SIZE if "b" in plates else 1, SIZE if "a" in plates else 1)
    return shape if "b" in plates else shape[1:] if "a" in plates else ()


def most(parent: Site, plates: frozenset[str]) -> int:
    """The largest number that a site in these plates reads of a parent."""
    return (parent.values - 1) * SIZE ** len(parent.plates - plates)


def read(value: Tensor, parent: Site, plates: frozenset[str]) -> Tensor:
    """A parent's value as a site in these plates sees it: summed over the plates that it is outside of."""
    gone = [{"a": -1, "b": -2}[name] for name in parent.plates - plates]
    return value.sum(gone, keepdim=True) if gone else value


def program(sites: list[Site], subsampled: bool) -> Any:
    """The sites as a Pyro program; those of the loop are run when the first of them comes."""
    by_name = {site.name: site for site in sites}
    chosen = torch.tensor([0, 3])

    def blocks() -> Iterator[list[Site]]:
        looped = [site for site in sites if site.looped]
        for site in sites:
            if not site.looped:
                yield [site]
            elif site is looped[0]:
                yield looped

    def run() -> None:
        a = pyro.plate("a", 4, dim=-1, subsample=chosen) if subsampled else pyro.plate("a", SIZE, dim=-1)
        plates = {"a": a, "b": pyro.plate("b", SIZE, dim=-2)}
        drawn: dict[str, Tensor] = {}

        def visit(site: Site, suffix: str) -> None:
            logits = site.table
            if site.parents:
                parents = [(drawn[name], by_name[name]) for name in site.parents]
                logits = logits[tuple(read(value, parent, site.plates) for value, parent in parents)]
            with ExitStack() as stack:
                for name in sorted(site.plates, reverse=True):
                    stack.enter_context(plates[name])
                if site.counts is not None:
                    stack.enter_context(poutine.mask(mask=site.counts))
                if site.scale != 1.0:
                    stack.enter_context(poutine.scale(scale=site.scale))
                fn = dist.Categorical(logits=logits)
                value = pyro.sample(site.name + suffix, fn, obs=site.observed)
                drawn[site.name] = value if site.counts is None else value.where(site.counts, 0)

        for block in blocks():
            if not block[0].looped:
                visit(block[0], "")
                continue
            for turn in pyro.plate("loop", TURNS):
                for site in block:
                    visit(site, f"_{turn}")

    return run


def in_order(sites: list[Site]) -> bool:
    """Does the loop, run at its first site, come after all that its sites read?"""
    looped = [site for site in sites if site.looped]
    if not looped:
        return True
    before = {site.name for site in sites[: sites.index(looped[0])]} | {site.name for site in looped}
    return all(set(site.parents) <= before for site in looped)


def mixed(seed: int) -> Program | None:
    """The program of a seed; None where its loop comes too early."""
    make = Maker(seed)
    sites: list[Site] = []
    for i in range(make.random.choice([1, 2, 2, 3])):
        sites.append(make.site(f"z{i}", sites))
        if make.random.random() < 0.8:
            sites.append(make.site(f"y{i}", sites, observed=True))
    latents = [site for site in sites if site.observed is None]
    guide: list[Site] = []
    for site in make.random.sample(latents, len(latents)):
        guide.append(make.site(site.name, guide, like=site))
    if not (in_order(sites) and in_order(guide)):
        return None
    choices = {}
    for site in latents:
        counts = None if site.counts is None else site.counts.flatten().tolist()
        choice = Choices(placed(site.plates), range(site.values), counts)
        for name in [f"{site.name}_{turn}" for turn in range(TURNS)] if site.looped else [site.name]:
            choices[name] = choice
    depend = [site for site in sites if site.observed is None or site.parents]
    shared = frozenset.intersection(*(site.plates for site in depend))
    models = (program(sites, make.subsampled), program(guide, make.subsampled))
    return Program(*models, make.tables, choices, tuple(sorted(shared, reverse=True)))


def few(count: int, most_tuples: int) -> list[int]:
    """The first seeds whose programs have at least 2 tuples and no more than so many."""
    seeds, seed = [], 0
    while len(seeds) < count:
        made = mixed(seed)
        if made is not None:
            options = [c.values for c in made.latents.values()]
            free = [sum(c.counts) if c.counts else len(c.all()[0].flatten()) for c in made.latents.values()]
            tuples = 1
            for values, elements in zip(options, free, strict=True):
                tuples *= len(values) ** elements
            if 2 <= tuples <= most_tuples:
                seeds.append(seed)
        seed += 1
    return seeds
