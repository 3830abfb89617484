"""The sum over all paths of decisions, by a lattice.

A latent whose distribution has `arcs` and an `end`, and observations whose distributions have
`arc_log_prob(value)`, are the weights of a lattice (`hardpp.ops.lattice`):

    log p(y) = log_total(arcs + sum over observations of arc_log_prob(y), end)

The model is run at a path that means nothing, in place of enumerating the latent; the arcs are the same
whatever it is.

Source: Graves (2012), section 2.4.
Shapes: B data, N steps, S states, J transitions (2: a transition is a decision), K draws.
"""

from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.poutine import Trace
from pyro.poutine.messenger import Messenger
from torch import Tensor

from hardpp.distributions.decisions import Decisions
from hardpp.errors import NumericalError, UsageError
from hardpp.inference.weights.sample_sites import common_scale, mask_of, sample_sites
from hardpp.ops.lattice import arc_probabilities, best_path, draw_paths, log_total
from hardpp.ops.lattice_grid import Grid
from hardpp.types import Program

LATTICE = "lattice"  # marks a site whose value stands for all paths


class Lattice(NamedTuple):
    """All paths of a model's one latent, given its observations."""

    site: str
    grid: Grid  # what a state and a step are
    arcs: Tensor  # (B, N, S, J)
    end: Tensor  # (B, S)
    scale: float | Tensor  # what plates and poutine.scale multiply log-probabilities with

    def log_marginal(self) -> Tensor:
        """log p(y), scaled, (B,)."""
        return log_total(self.arcs, self.end) * self.scale

    def posterior(self) -> dict[str, Tensor]:
        """How probable each decision is at each step, (B, N, J)."""
        return {self.site: arc_probabilities(self.arcs, self.end).sum(-2)}

    def emission_frames(self) -> Tensor:
        """How probable it is that each token is emitted after so many frames, (B, T, S + 1 frames)."""
        return self.grid.emission_frames(arc_probabilities(self.arcs, self.end))

    def sample(self, draws: int) -> dict[str, Tensor]:
        """Draws of all decisions, (K, B, N) int64; refuses data that are impossible under the model."""
        check_possible(log_total(self.arcs, self.end))
        return {self.site: draw_paths(self.arcs, self.end, draws)}

    def mode(self) -> tuple[dict[str, Tensor], Tensor]:
        """The decisions that are most probable together, (B, N), and their log-probability with y, (B,)."""
        transitions, weight = best_path(self.arcs, self.end)
        return {self.site: transitions}, weight * self.scale


def check_possible(log_p: Tensor) -> None:
    """Refuses data, log p(y) of which are (B,), whose posterior cannot be drawn from."""
    fault = (~log_p.isfinite()).nonzero()
    if len(fault):
        datum, value = int(fault[0]), float(log_p[fault[0]])
        raise NumericalError(f"datum {datum} of the batch has log p(y) = {value} and no posterior")


class AnyPath(Messenger):
    """Runs a model at a path that means nothing where a latent has arcs; other latents are left alone."""

    def _pyro_sample(self, msg: Any) -> None:
        fn = msg["fn"]
        if msg["is_observed"] or not isinstance(fn, Decisions):
            return
        if not hasattr(fn, "arcs"):
            raise UsageError(
                f"site {msg['name']!r} has decisions that depend on all decisions before them, so there "
                "is no recursion over its paths: exact wants them to depend on how many frames were consumed "
                "and how many tokens emitted only, as in the transducer form"
            )
        msg["value"] = torch.zeros(fn.shape(), dtype=torch.int64, device=fn.grid.frames.device)
        msg["is_observed"], msg["infer"] = True, msg["infer"] | {LATTICE: True}


def lattice(model: Program, *args: Any, **kwargs: Any) -> Lattice:
    """All paths of a model's decisions, given its observations; refuses a model without."""
    paths = lattice_of(poutine.trace(AnyPath()(model)).get_trace(*args, **kwargs))
    if paths is None:
        raise UsageError("the program has no decisions whose paths could be summed over")
    return paths


def lattice_of(trace: Trace) -> Lattice | None:
    """The lattice of a model that was run within `AnyPath`; None if there is none.

    Refuses two latents, and an observation that depends on the decisions and has no arcs.
    """
    sites = sample_sites(trace)
    latents = [name for name, site in sites.items() if LATTICE in site["infer"]]
    if not latents:
        return None
    name = latents[0]
    others = [other for other, site in sites.items() if not site["is_observed"] or other in latents[1:]]
    if others:
        raise UsageError(f"exact sums over the paths of site {name!r} or over {others[0]!r}, not over both")
    latent = sites.pop(name)
    arcs, end = latent["fn"].arcs(), latent["fn"].end()
    for other, site in sites.items():
        if not hasattr(site["fn"], "arc_log_prob"):
            raise UsageError(
                f"site {other!r} is {type(site['fn']).__name__}, of which exact does not know how it depends "
                f"on the paths of {name!r}: an observation with arcs is wanted"
            )
        terms, mask = site["fn"].arc_log_prob(site["value"]), mask_of(site, arcs.device)
        arcs = arcs + (terms if mask is None else terms.where(mask[..., None, None, None], 0.0))
    return Lattice(name, latent["fn"].grid, arcs, end, common_scale([latent, *sites.values()]))
