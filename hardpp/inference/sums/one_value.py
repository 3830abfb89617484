"""A check that a program computes at all values of its latents at once what it computes at one.

An enumerated latent has a dim of its own, left of all plates. A program that takes it for one of its own
(`z[0]`, `z.sum()`, a Python branch on `(z == 0).all()`) gives a sum, and a wrong one. So it is run at single
values as well, at several combinations of them, and every site is compared.

Shapes: S values of a latent.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pyro.poutine import Trace
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.sums.enumeration import enumerated_trace
from hardpp.inference.sums.factor_graph import FactorGraph
from hardpp.inference.sums.factorise import factor_graph, named_dims
from hardpp.inference.sums.markov_reach import check_reach
from hardpp.inference.weights.alone import agree, undisturbed
from hardpp.inference.weights.particles import ProgramFailure, particle_trace
from hardpp.inference.weights.sample_sites import SUMMED, Site, elements, sample_sites, site_log_prob
from hardpp.ops.marginal import Factor, align, at
from hardpp.types import Program

COMBINATIONS = 4


def check_one_value(
    role: str, program: Program, enumerated: Callable[[], Trace], args: Any, kwargs: Any
) -> None:
    """Runs a program at single values of its latents.

    Args:
        role: what messages call the program.
        program: the program.
        enumerated: runs it with every latent enumerated.
        args, kwargs: what it takes.

    Raises:
        UsageError: a site has another log-probability at single values.
    """
    with undisturbed(program):
        trace = enumerated()
        sites = sample_sites(trace)
        if not any(SUMMED in site["infer"] for site in sites.values()):
            return
        graph = factor_graph(trace, additive=True)
        nesting = -min(graph.places.values(), default=0)
        sizes = {name: _count(sites[name]) for name in graph.latents}
        for i in range(COMBINATIONS):
            chosen = _Chosen(i, sizes)
            try:
                single = particle_trace(chosen(program), 1, nesting, args, kwargs)
            except ProgramFailure:  # not all values go together
                continue
            values = {
                graph.latents[name]: named_dims(sites[name], index) for name, index in chosen.index.items()
            }
            for name, site in sample_sites(single).items():
                if name not in graph.factors:
                    continue
                expected = named_dims(sites[name], site_log_prob(site).to(torch.float64))
                if not _same(at(graph.factors[name], values), expected, graph.dtype):
                    if not _repeats(graph, factor_graph(enumerated(), additive=True)):
                        return  # the program draws by itself, as dropout in a plain function does
                    raise UsageError(
                        f"site {name!r} of the {role} has another log-probability at one value of its "
                        "latents than among all of them: it takes the dim of the values, left of all "
                        "plates, for one of its own; index and sum from the right (z[..., 0], z.sum(-1))"
                    )


def check_sums(role: str, program: Program, nesting: int, args: Any, kwargs: Any) -> None:
    """Checks a program of which all latents are summed: at single values, and how far its steps look back."""
    check_reach(program, lambda kept: enumerated_trace(kept, nesting, args, kwargs))
    check_one_value(role, program, lambda: enumerated_trace(program, nesting, args, kwargs), args, kwargs)


def _repeats(one: FactorGraph, other: FactorGraph) -> bool:
    return all(_same(factor, other.factors[name], one.dtype) for name, factor in one.factors.items())


class _Chosen(Messenger):
    """Gives all latents the i-th value, in the last combination a later latent a later value."""

    def __init__(self, i: int, sizes: Mapping[str, int]):
        super().__init__()
        self.i, self.sizes = i, sizes
        self.index: dict[str, Tensor] = {}  # of the value in the list of all values

    def _pyro_sample(self, msg: Any) -> None:
        if msg["is_observed"] or msg["done"] or site_is_subsample(msg):
            return
        fn = msg["fn"]
        support = fn.enumerate_support(expand=False)  # (S, *1, *events)
        i = self.i if self.i < COMBINATIONS - 1 else len(self.index)
        index = torch.full(
            fn.batch_shape, i % self.sizes.get(msg["name"], len(support)), device=support.device
        )
        _, counts = elements({**msg, "value": support})
        if counts is not None:
            index = index.where(counts, 0)
        events = len(fn.event_shape)
        rows = support.reshape(len(support), *support.shape[support.dim() - events :])
        self.index[msg["name"]], msg["value"], msg["done"] = index, rows[index], True


# How many values of a latent there are; a guide may leave some of the model's out.
def _count(site: Site) -> int:
    dim = site["infer"][SUMMED] - len(site["fn"].event_shape)
    value: Tensor = site["value"]
    return value.shape[dim] if value.dim() >= -dim else 1


def _same(one: Factor, two: Factor, dtype: torch.dtype) -> bool:
    zero = Factor(torch.zeros((), dtype=torch.float64, device=one.log_value.device), "")
    a, b = (align([each, zero]) for each in (one, two))
    if set(a.dims) != set(b.dims):  # one is the same along a plate of the other
        wide = align([Factor(torch.zeros_like(each.log_value), each.dims) for each in (a, b)])
        a, b = align([a, wide]), align([b, wide])
    order = [b.dims.index(d) for d in a.dims]
    return agree(a.log_value, b.log_value.permute(order), dtype)
