"""Layouts: which plates a weight table keeps, and what a site adds to each of their elements.

One element of the plates that are kept is an instance. A log-probability has a dim for each plate that its
site is in; plates that are not kept are summed out. A site outside of a plate that is kept adds the same to
all elements of it.

A sequential plate, a loop in Python, is as one dim more, to the left of the others: a site in the i-th turn
of the loop adds its term to the i-th element and nothing to the others.

Shapes: K particles, I instances, T steps of a `StepIndependent` site.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hardpp.distributions.step_independent import StepIndependent
from hardpp.errors import UsageError
from hardpp.inference.weights.particles import PlateBeyond
from hardpp.inference.weights.sample_sites import PARTICLES, Plate, Site, named

Turns = Mapping[str, Mapping[int, int]]  # by sequential plate, which turn each of Pyro's counters is


class Where(NamedTuple):
    """Which plates a site is in."""

    plates: tuple[Plate, ...]  # the outermost first
    sizes_of: Mapping[Plate, int]
    sizes: tuple[int, ...]  # by dim from left to right, 1 where there is no plate
    turns: Mapping[str, int]  # which turn it is in, by sequential plate


class Term(NamedTuple):
    """A log-probability with a dim for each plate that it depends on."""

    value: Tensor  # (K or 1, *plates), with T on the right by step; of size 1 along the plates of others
    where: Where
    steps: bool = False
    scale: float | Tensor = 1.0  # what plates and poutine.scale multiply it with: a number, or (*plates)

    def scaled(self) -> "Term":
        """The term multiplied by its scale."""
        scale = self.scale
        if isinstance(scale, Tensor) and self.steps:
            scale = scale.unsqueeze(-1)
        return self._replace(value=self.value * scale, scale=1.0)


class Layout(NamedTuple):
    """How log-probabilities become (K, *I)."""

    nesting: int  # dims that vectorised plates take
    instances: tuple[Plate, ...] = ()  # the plates that are kept, from left to right
    sizes: Mapping[Plate, int] = MappingProxyType({})  # of them
    data: Plate | None = None  # the plate of data; None: the whole batch is one datum
    turns: Turns = MappingProxyType({})
    known: dict[Any, Where] | None = None  # what `place_of` has said, for one table

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the instances' plates."""
        return tuple(self.sizes[plate] for plate in self.instances)

    def keeping(self, plates: Iterable[Plate], where: Where) -> "Layout":
        """The layout that keeps these plates, which a site is in."""
        kept = [plate for plate in plates if plate.dim is not None or plate.name in self.turns]
        kept.sort(key=lambda plate: (plate.dim is not None, plate.dim or 0))
        data = self.data if self.data in kept else None
        sizes = {plate: where.sizes_of[plate] for plate in kept}
        return self._replace(instances=tuple(kept), sizes=sizes, data=data)

    def place(self, term: Term) -> Tensor:
        """A term as (K or 1, *I), or (K or 1, *I, T) by step, of size 1 along plates that it is not in."""
        value, right, n = term.value, int(term.steps), self.nesting
        kept = {plate.dim for plate in self.instances if plate in term.where.sizes_of}
        gone = [d - right for d in range(-n, 0) if d not in kept and value.shape[d - right] > 1]
        if gone:
            value = value.sum(gone, keepdim=True)
        held = {plate.dim for plate in self.instances}
        if len(held - {None}) < n:
            value = value.squeeze(tuple(d - right for d in range(-n, 0) if d not in held))
        for place, plate in enumerate(self.instances, start=1):
            if plate.dim is None:  # these come first
                value = value.unsqueeze(place)
                if plate in term.where.sizes_of:
                    turn, size = term.where.turns[plate.name], self.sizes[plate]
                    ends = (turn, size - 1 - turn)
                    value = torch.nn.functional.pad(value, (0, 0) * (value.dim() - 1 - place) + ends)
        return value

    def place_at(self, value: Tensor, site: Site, rows: int) -> Tensor:
        """What stands over the plates of a site (and its steps) in so many rows, as `place` makes it."""
        return self.place(self.term(value, site, rows))

    def per_datum(self, terms: Tensor, leading: int) -> Tensor:
        """Sums (*leading, *I) over all plates but that of data: (*leading, B)."""
        gone = [leading + i for i, plate in enumerate(self.instances) if plate != self.data]
        terms = terms.sum(gone) if gone else terms
        return terms if self.data else terms.unsqueeze(-1)

    def within(self, terms: Tensor, coarser: "Layout") -> Tensor:
        """Sums (*I) over the plates that a coarser layout does not keep: its (*I)."""
        gone = [i for i, plate in enumerate(self.instances) if plate not in coarser.instances]
        return terms.sum(gone) if gone else terms

    def term(self, value: Tensor, site: Site, rows: int = 1) -> Term:
        """Gives a site's log-probabilities a dim for every plate; there are at most so many `rows` of them.

        Raises:
            UsageError: a dim is neither that of the particles nor of a plate that the site is in.
        """
        steps, place, dims = isinstance(site["fn"], StepIndependent), self.place_of(site), self.nesting + 1
        missing = dims + steps - value.dim()
        if missing > 0:
            value = value.reshape((1,) * missing + value.shape)
        shape = value.shape[:-1] if steps else value.shape
        if shape[1:] != place.sizes or shape[0] not in (1, rows):
            wanted = (rows, *place.sizes)
            if len(shape) > dims or any(s not in (1, full) for s, full in zip(shape, wanted, strict=True)):
                raise UsageError(
                    f"site {site['name']!r} has log-probabilities of shape {tuple(shape)}, where its plates "
                    f"({named(place.plates)}) want {_shown(wanted)}: open a plate for every dim, or see that "
                    f"what it observes and is given has none but those of its plates{_hint(rows)}"
                )
            # What a plate repeats counts once for each of its elements.
            value = value.expand(shape[:1] + place.sizes + value.shape[len(shape) :])
        return Term(value, place, steps, site["scale"])

    def place_of(self, site: Site) -> Where:
        """Where a site is: its plates, their sizes and turns."""
        stack = site["cond_indep_stack"]
        key = tuple(map(tuple, stack))
        found = None if self.known is None else self.known.get(key)
        if found is None:
            frames = [frame for frame in stack if frame.name != PARTICLES]
            for frame in frames:
                if frame.vectorized and frame.dim < -self.nesting:
                    raise PlateBeyond(site["name"], frame.name, frame.dim, self.nesting)
            plates = tuple(Plate(frame.name, frame.dim) for frame in frames)
            sizes = {frame.dim: frame.size for frame in frames}
            turns = {f.name: self.turns[f.name][f.counter] for f in frames if f.name in self.turns}
            of = {plate: frame.size for plate, frame in zip(plates, frames, strict=True)}
            by_dim = tuple([sizes.get(d, 1) for d in range(-self.nesting, 0)])
            found = Where(plates, of, by_dim, turns)
            if self.known is not None:
                self.known[key] = found
        return found


def _hint(rows: int) -> str:
    return " and of the particles, left of these (or give vectorize_particles=False)" if rows > 1 else ""


def _shown(wanted: tuple[int, ...]) -> str:
    rows, *plates = wanted
    return str(tuple(plates)) + (f", with {rows} particles on the left" if rows > 1 else "")


def layout_of(reader: Layout, places: Sequence[Where], data_plate: str | None) -> Layout:
    """The layout that keeps the vectorised plates that all of some sites are in; the outermost is of data.

    Args:
        reader: a layout that keeps none.
        places: where these sites are, at least one.
        data_plate: the name of the plate of data, if it is not the outermost.
    """
    others = {id(place): place.sizes_of for place in places}.values()  # most sites share their place
    vectorised = [plate for plate in places[0].plates if plate.dim is not None]
    shared = [plate for plate in vectorised if all(plate in sizes for sizes in others)]
    data = next((plate for plate in shared if data_plate in (None, plate.name)), None)
    return reader.keeping(shared, places[0])._replace(data=data)


def turns_of(sites: Iterable[Site]) -> Turns:
    """Which turn of each sequential plate a counter means; without plates that are gone through twice."""
    counters: dict[str, set[int]] = {}
    sizes: dict[str, int] = {}
    for site in sites:
        for frame in site["cond_indep_stack"]:
            if not frame.vectorized:
                counters.setdefault(frame.name, set()).add(frame.counter)
                sizes[frame.name] = frame.size
    return {
        name: {counter: turn for turn, counter in enumerate(sorted(seen))}
        for name, seen in counters.items()
        if len(seen) <= sizes[name]
    }
