"""Programs with every latent enumerated, as factors over named dims.

Each latent holds all its values in a dim of its own, left of the plates; its log-probability and every
term that depends on it become factors whose dims are letters: one a plate, one a latent.

Shapes: plates as in the program, the data plate outermost; S values of a latent.
"""

from typing import Any

import torch
from pyro import poutine
from pyro.infer import config_enumerate
from pyro.poutine import Trace
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.sample_sites import sample_sites, site_log_prob
from hardpp.ops.marginal import Factor, spread, without
from hardpp.types import Program


def enumerated_trace(program: Program, args: Any, kwargs: Any) -> Trace:
    """A trace in which every latent holds all its values in a dim of its own, packed.

    Raises:
        UsageError: a latent that cannot be enumerated.
    """
    trace = poutine.trace(config_enumerate(program)).get_trace(*args, **kwargs)
    for site in samples(trace):
        if not site["is_observed"] and "_enumerate_dim" not in site["infer"]:
            raise UsageError(
                f"site {site['name']!r} is {type(site['fn']).__name__} and cannot be enumerated: "
                "exact and enum need discrete latents"
            )
    pack(trace, None)
    return trace


def pack(trace: Trace, plate_to_symbol: dict[str, str] | None) -> None:
    """Names the dims of every log-probability (masked, unscaled); letters of plates may be given.

    A latent that is masked out is pinned to its first value, so that its sum is exactly one.
    """
    for site in samples(trace):
        log_prob = site_log_prob(site)
        mask, dim = site["mask"], site["infer"].get("_enumerate_dim")
        if dim is not None and mask is not None and mask is not True:
            pin = log_prob.new_full((log_prob.shape[dim],) + (1,) * (-1 - dim), -torch.inf)
            pin[0] = 0.0
            log_prob = log_prob.where(torch.as_tensor(mask, device=log_prob.device), pin)
        site["log_prob"] = site["unscaled_log_prob"] = log_prob
    trace.pack_tensors(plate_to_symbol)


def samples(trace: Trace) -> list[dict[str, Any]]:
    """The sites that carry probability, in program order."""
    return list(sample_sites(trace).values())


def factors_of(trace: Trace) -> dict[str, Factor]:
    """The log-probability of every site, by name."""
    packed = {site["name"]: site["packed"]["log_prob"] for site in samples(trace)}
    return {name: Factor(value, value._pyro_dims) for name, value in packed.items()}


def variables_of(trace: Trace) -> dict[str, str]:
    """The letter of every enumerated site, in program order."""
    sites = [site for site in samples(trace) if "_enumerate_symbol" in site["infer"]]
    return {site["name"]: site["infer"]["_enumerate_symbol"] for site in sites}


def plates_of(trace: Trace, name: str) -> frozenset[str]:
    """The letters of the plates a site is in."""
    frames = trace.nodes[name]["cond_indep_stack"]
    return frozenset(trace.plate_to_symbol[frame.name] for frame in frames if frame.vectorized)


def plate_dim(trace: Trace, letter: str) -> int:
    """Where a plate stands in the program, a negative dim.

    Raises:
        KeyError: no site is in that plate.
    """
    for site in samples(trace):
        for frame in site["cond_indep_stack"]:
            if frame.vectorized and trace.plate_to_symbol[frame.name] == letter:
                return int(frame.dim)
    raise KeyError(letter)


def to_data(trace: Trace, factor: Factor) -> Tensor:
    """Sums a factor over all plates but the data plate, the outermost that all sites share: (B,)."""
    shared = frozenset.intersection(*(plates_of(trace, site["name"]) for site in samples(trace)))
    data = min(shared, key=lambda d: plate_dim(trace, d)) if shared else ""
    per_datum = without(factor, [d for d in factor.dims if d != data], log_space=False)
    return spread(per_datum, data)  # packing drops a plate of size 1
