"""How many dims plates take: given, declared by the model, or found by running the programs.

Particles and enumerated values are dims left of all plates, so that it must be known before they are drawn.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch

from hardpp.errors import UsageError
from hardpp.inference.weights.alone import undisturbed
from hardpp.inference.weights.model_guide_match import replayed
from hardpp.inference.weights.particles import PlateBeyond, ProgramFailure, traced
from hardpp.types import Program

T = TypeVar("T")


class PlateNesting:
    """How many dims the plates of programs take, remembered from run to run, and found anew when they grow.

    Args:
        given: how many, if it is known; infinity where it is to be found.
    """

    def __init__(self, given: float):
        self.dims, self.given = given, given != float("inf")

    def of(self, model: Program, guide: Program | None, args: Any, kwargs: Any) -> int:
        """How many dims the plates of both programs take; of the model alone where there is no guide."""
        declared = getattr(model, "max_plate_nesting", None)
        if declared is not None and not self.given:
            return int(declared)  # not remembered: the next model may declare another
        if self.dims == float("inf"):
            self.dims = found_nesting(model, guide, args, kwargs)
        return int(self.dims)

    def enough_for(
        self, estimate: Callable[[int], T], model: Program, guide: Program | None, args: Any, kwargs: Any
    ) -> T:
        """Makes an estimate, given how many dims plates take, and again if it shows that they take more.

        Raises:
            UsageError: they take more than was given, or than the model declares.
        """
        nesting = self.of(model, guide, args, kwargs)
        if self.given or getattr(model, "max_plate_nesting", None) is not None:
            return estimate(nesting)
        state = torch.get_rng_state()
        try:
            return estimate(nesting)
        except (PlateBeyond, ProgramFailure):
            try:
                found = found_nesting(model, guide, args, kwargs)
            except UsageError:
                found = nesting
            if found <= nesting:
                raise
        self.dims = found
        torch.set_rng_state(state)  # as if the first estimate had been this one
        return estimate(found)


def plate_nesting(model: Program, guide: Program | None, args: Any, kwargs: Any) -> int:
    """How many dims the programs' plates take: declared by the model, or else found by running both once."""
    return PlateNesting(float("inf")).of(model, guide, args, kwargs)


def found_nesting(model: Program, guide: Program | None, args: Any, kwargs: Any) -> int:
    """How many dims the programs' plates take, found by running both, or the model where there is no guide.

    Random numbers stay as they were.
    """
    with undisturbed():
        traces = []
        if guide is not None:
            traces.append(traced(guide, "guide", args, kwargs))
            model = replayed(model, traces[0], whole=False)
        traces.append(traced(model, "model", args, kwargs))
    sites = [site for trace in traces for site in trace.nodes.values() if site["type"] == "sample"]
    return max(
        [-frame.dim for site in sites for frame in site["cond_indep_stack"] if frame.vectorized], default=0
    )
