"""One run of a program, and every site that it came to, whatever is wrong with them.

A trace of Pyro's refuses a second site of the same name, and an error leaves none behind. Here both are kept,
so that they can be named. Runs are in evaluation mode (unless told otherwise), without gradients and without
Pyro's validation, of a copy of the batch, and leave all random numbers as they were.
"""

import copy
from collections.abc import Mapping
from contextlib import nullcontext
from types import MappingProxyType
from typing import Any, NamedTuple

import pyro
import torch
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor, nn

from hardpp.inference.sums.enumeration import lists_values
from hardpp.inference.weights.sample_sites import Site, elements, plates_of, site_log_prob
from hardpp.nn.modes import evaluating
from hardpp.tasks.doctor.exact_expectation import Force, Latent
from hardpp.tasks.doctor.findings import Skip, failure

SEED = 1


class Recorded(NamedTuple):
    """The sites of one run, in program order, and what ended it."""

    sites: list[Site]
    error: str = ""  # empty where it ran to its end
    batch: Any = None  # as the program has left it
    params: Mapping[str, Tensor] = MappingProxyType({})  # what `pyro.param` gave, by name

    @property
    def latents(self) -> dict[str, Site]:
        """What was drawn, by name, without auxiliary sites; of several of one name the first."""
        drawn = [site for site in self.sites if not site["is_observed"]]
        return {s["name"]: s for s in reversed(drawn) if not s["infer"].get("is_auxiliary")}

    @property
    def values(self) -> dict[str, Tensor]:
        """The values of all that was drawn."""
        return {site["name"]: site["value"] for site in self.sites if not site["is_observed"]}


def recorded(
    program: nn.Module,
    batch: Any,
    values: Mapping[str, Any] | None = None,
    *,
    gradients: bool = False,
    training: bool = False,
    seed: int = SEED,
) -> Recorded:
    """Runs a program once, with these values in place of draws, as far as they are given.

    Args:
        program: is run in evaluation mode.
        batch: is copied, so that what a program does to it shows in `Recorded.batch` alone.
        values: by names of sites.
        gradients: are they wanted?
        training: leave the program in the mode that it is in.
        seed: of all random numbers.
    """
    recorder, error, batch = _Recorder(), "", copy.deepcopy(batch)
    with (
        torch.random.fork_rng(devices=[]),
        torch.set_grad_enabled(gradients),
        nullcontext() if training else evaluating(program),
        pyro.validation_enabled(False),
    ):
        torch.manual_seed(seed)
        try:
            with recorder, Force(dict(values or {})):
                program(batch)
        except Exception as fault:  # whatever somebody else's program does
            where = (
                f"after site {recorder.sites[-1]['name']!r}" if recorder.sites else "before its first site"
            )
            error = f"{where}: {failure(fault)}"
    whole = [site for site in recorder.sites if isinstance(site["value"], Tensor)]
    return Recorded(recorder.sites if error else whole, error, batch, recorder.params)


def log_probs(run: Recorded) -> dict[str, Tensor]:
    """Log-probabilities of what was drawn, by site, masked and unscaled, in nats."""
    return {site["name"]: site_log_prob(site) for site in run.sites if not site["is_observed"]}


def by_datum(site: Site, terms: Tensor) -> Tensor:
    """The terms of a site (a log-probability, or whatever has its plates) summed for each datum, (B,)."""
    plates = plates_of(site)
    if not plates:
        return terms.sum().reshape(1)
    outermost = min(frame.dim for frame in plates)
    if terms.dim() < -outermost:
        return terms.sum().reshape(1)
    kept = terms.dim() + outermost
    return terms.movedim(kept, 0).flatten(1).sum(1) if terms.dim() > 1 else terms


def values_of(site: Site) -> tuple[Latent, Tensor]:
    """How many values a site has and where it counts, and the list of its values; Skip: there is none."""
    fn, counts = elements(site)
    if site["fn"].event_shape or not getattr(fn, "has_enumerate_support", False) or not lists_values(fn):
        raise Skip(f"the values of site {site['name']!r} cannot be listed")
    support = fn.enumerate_support(expand=False).flatten()
    every = torch.ones(site["value"].shape, dtype=torch.bool)
    return Latent(len(support), every if counts is None else every & counts), support


class _Recorder(Messenger):
    """Keeps the message of every site as it is when the program comes to it; values come in later."""

    def __init__(self) -> None:
        super().__init__()
        self.sites: list[Site] = []
        self.params: dict[str, Tensor] = {}

    def _pyro_sample(self, msg: Any) -> None:
        if not site_is_subsample(msg) and not msg["infer"].get("_deterministic"):
            self.sites.append(msg)

    def _pyro_post_param(self, msg: Any) -> None:
        self.params[msg["name"]] = msg["value"]
