"""Keyword arguments that objectives have in common."""

from collections.abc import Collection
from typing import TypedDict

from hardpp.inference.control.schedules import Supervision


class PlateOptions(TypedDict, total=False):
    """Keyword arguments of every objective.

    Attributes:
        max_plate_nesting: how many dims the plates of model and guide take; by default read off the model's
            attribute of that name, or else found by running the programs once, and again when they grow.
        data_plate: the name of the plate whose elements are data, each with a bound of its own; by default
            the outermost plate that all latents share.
        enumerate: names of latents of the model that are summed out, besides those that it marks by
            `infer={"enumerate": "parallel"}`, where the guide does not draw them.
        vectorize_particles: run all particles at once, as a dim left of all plates (by default), or one by
            one, which takes any program.
    """

    max_plate_nesting: float
    data_plate: str | None
    enumerate: Collection[str]
    vectorize_particles: bool


class SampledOptions(PlateOptions, total=False):
    """Keyword arguments of objectives over draws from any guide.

    Attributes:
        supervision: schedule of the weight of choices that were recorded; None: that of any other
            log-probability.
    """

    supervision: Supervision | None
