"""Latents of a model that are summed out while the others are drawn.

    log p(y, z) = log sum_c p(y, c, z)    of particles z, for latents c that the guide has not

A latent is summed out if the model marks it by `infer={"enumerate": "parallel"}`, Pyro's own mark, or if the
objective is given its name. It is enumerated, in a dim left of those of plates and particles, and all factors
that depend on it are summed as `hardpp.inference.exact` sums them; what is left takes the place of their
sites in the weight table. So any objective over draws takes mixtures with continuous parameters, chains with
global latents, and classes that are not known beside codes that are drawn.

Shapes: K particles; plates as in the program.
"""

from collections.abc import Collection, Mapping
from typing import Any

import pyro.distributions as dist
import torch
from pyro.poutine import Trace
from pyro.poutine.enum_messenger import EnumMessenger
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from hardpp.inference.sums.enumeration import InSight, lists_values, not_enumerable
from hardpp.inference.sums.factor_graph import FactorGraph
from hardpp.inference.sums.factorise import factor_graph
from hardpp.inference.weights.layout import Layout
from hardpp.inference.weights.sample_sites import PARTICLES, SUMMED, Plate, Site, all_plates_of
from hardpp.inference.weights.weight_table import Terms
from hardpp.ops.marginal import Factor, infinite, spread
from hardpp.types import Program


class SummedOut:
    """Sums latents of a model out of its log-probabilities.

    Args:
        names: of latents that are summed out besides those that the model marks.

    Attributes:
        needed: has a model had such latents?
    """

    def __init__(self, names: Collection[str] = ()):
        self.names, self.needed = frozenset(names), False

    def chooses(self, name: str, infer: Mapping[str, Any]) -> bool:
        """Is a latent to be summed out, unless the guide draws it?"""
        return name in self.names or infer.get("enumerate") == "parallel"

    def enumerated(self, model: Program, draws: Trace, left: int) -> Program:
        """The model with those of its latents enumerated, from dim `left` on to the left, that are summed."""
        program: Program = EnumMessenger(left)(InSight()(_Marked(self, draws)(model)))
        return program

    def holds(self, site: Site, layout: Layout) -> bool:
        """Is a site summed out, or does it depend on one that is?"""
        particles = any(frame.name == PARTICLES for frame in site["cond_indep_stack"])
        value = site["value"].shape[: site["value"].dim() - len(site["fn"].event_shape)]
        dims = max(len(value), len(site["fn"].batch_shape))
        return SUMMED in site["infer"] or dims > layout.nesting + particles

    def terms(self, trace: Trace, sites: Mapping[str, Site], layout: Layout) -> Terms:
        """What takes the place of sites that depend on summed latents: one term each for every set of plates.

        Args:
            trace: of the model.
            sites: those of it that are held, in program order.
            layout: which dims are plates.

        Raises:
            UsageError: the sum does not factorise, or the scales of what is summed differ.
        """
        graph = factor_graph(trace, sites=sites)
        shared = set.intersection(*(set(all_plates_of(site)) for site in sites.values()))
        out = {}
        for i, factor in enumerate(graph.eliminate().left):
            value = _over_plates(factor, graph, layout.nesting)
            frames = {
                frame: None
                for site in sites.values()
                for frame in site["cond_indep_stack"]
                if graph.letters.get(frame.name, "none") in factor.dims
                or Plate(frame.name, frame.dim) in shared
            }
            name, first = f"sum over {', '.join(graph.latents)}", next(iter(sites.values()))
            site = _stand_in(name, first, tuple(frames))
            out[f"{[*sites][-1]} {i}"] = layout.term(value, site, len(value)), site
        return out


class _Marked(Messenger):
    """Asks for all values of the latents that are chosen and that the guide does not draw."""

    def __init__(self, chosen: SummedOut, draws: Trace):
        super().__init__()
        self.chosen, self.draws = chosen, draws

    def _pyro_sample(self, site: Any) -> None:
        infer = site["infer"]
        if site["is_observed"] or site_is_subsample(site):
            return
        if site["name"] in self.draws or not self.chosen.chooses(site["name"], infer):
            site["infer"] = {key: value for key, value in infer.items() if key != "enumerate"}
            return
        if not lists_values(site["fn"]):
            raise not_enumerable(site)
        site["infer"] = infer | {"enumerate": "parallel", "num_samples": None}


# A factor over particles and plates as a tensor with a dim for each, (K or 1, *plates).
def _over_plates(factor: Factor, graph: FactorGraph, nesting: int) -> Tensor:
    place = {letter: graph.places[letter] for letter in factor.dims}
    order = sorted(factor.dims, key=place.__getitem__)
    value = infinite(spread(factor, "".join(order))).to(graph.dtype)
    shape = [1] * (nesting + 1)
    for letter, size in zip(order, value.shape, strict=True):
        shape[place[letter]] = size
    return value.reshape(shape)


# A site in the given plates that is observed, for what is left of a sum.
def _stand_in(name: str, like: Site, frames: tuple[Any, ...]) -> Site:
    nothing = torch.zeros((), device=like["value"].device)
    return {
        "name": name,
        "type": "sample",
        "fn": dist.Unit(nothing),
        "value": nothing,
        "mask": None,
        "infer": {},
        "is_observed": True,
        "scale": like["scale"],
        "cond_indep_stack": frames,
    }
