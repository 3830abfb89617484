"""The networks of glimpse classifiers and of their guide, and their options."""

from typing import Literal, NamedTuple

from pydantic import Field
from torch import nn

from hardpp.config.section import WIDEST, Section
from hardpp.distributions.location_spaces import ContinuousSpace, GridSpace, Space, WindowPlaces
from hardpp.errors import UsageError
from hardpp.guides.glimpse import LabelInformed
from hardpp.models.glimpse_classifier import GlimpseClassifier
from hardpp.nn.glimpse_network import ContextNetwork, GlimpseNetwork, LocationHead, glimpse_perceptron
from hardpp.nn.recurrent import StepwiseRNN
from hardpp.ops.patches import Sensor
from hardpp.tasks.labelled_images import ImagesDescription

_WIDEST = 4  # sides of the image; what is around it takes memory, and shows nothing


class GlimpseOptions(Section):
    """What a glimpse is, where it may be, and sizes of the model's and the guide's networks."""

    glimpses: int = Field(6, ge=1, le=1000, description="glimpses an image")
    side: int = Field(
        12, ge=1, le=10_000, description="pixels a side of the sharpest window and of all patches"
    )
    windows: int = Field(3, ge=1, le=16, description="windows, each twice as wide as the one before")
    scales: int = Field(1, ge=1, le=16, description="widths to choose from, each twice the one before")
    padding: Literal["zeros", "edge"] = Field("zeros", description="what lies outside of the image")
    space: Literal["grid", "continuous"] = Field("grid", description="of locations: cells, or anywhere")
    cells: int = Field(7, ge=1, le=1000, description="of the grid, a side")
    places: Literal["cells", "borders"] = Field(
        "cells", description="of the grid: middles of cells, or sharpest windows from border to border"
    )
    spread: float = Field(0.1, gt=0, le=1000, description="of continuous locations; an image is 2 wide")
    hidden: int = Field(128, ge=1, le=WIDEST, description="hidden features of what a glimpse shows")
    features: int = Field(128, ge=1, le=WIDEST, description="of a glimpse, and of the recurrence")
    cell: Literal["relu", "gru"] = Field("relu", description="of the recurrence over glimpses")
    head: int = Field(64, ge=1, le=WIDEST, description="hidden features of the choice of locations")
    context: int = Field(
        12, ge=0, le=10_000, description="pixels a side of the whole image in small; 0: none"
    )
    every_glimpse: bool = Field(True, description="predict the label after every glimpse")
    detached: bool = Field(False, description="states learn nothing from the choice of locations, as in RAM")
    revisits: bool = Field(False, description="two glimpses may be in the same cell at the same scale")
    guide: int = Field(64, ge=1, le=WIDEST, description="features of the guide's recurrence")

    @property
    def context_features(self) -> int:
        """Features of the whole image in small, 0 if it is not read."""
        return self.head if self.context else 0


class GlimpseParts(NamedTuple):
    """The model, and the sizes of a guide for it; the guide's networks are its own."""

    model: GlimpseClassifier
    options: GlimpseOptions
    description: ImagesDescription


def glimpse_parts(options: GlimpseOptions, description: ImagesDescription) -> GlimpseParts:
    """Makes the model.

    Raises:
        UsageError: a glimpse is larger than the images, its widest window is much larger, or there are more
            glimpses than locations that each may have one glimpse.
    """
    channels, height, width = description.size
    if options.side > min(height, width):
        raise UsageError(
            f"network.side: a glimpse of {options.side} pixels is larger than images of {height} by {width}"
        )
    sensor = Sensor(options.side, options.windows, options.scales, options.padding)
    if sensor.widest > _WIDEST * max(height, width):
        raise UsageError(
            f"network.windows and network.scales: the widest window of {sensor.widest} pixels is more than "
            f"{_WIDEST} times as wide as images of {height} by {width}",
            "give fewer",
        )
    if options.space == "continuous" and options.places != "cells":
        raise UsageError(f"network.places: {options.places} is of a grid, and network.space is continuous")
    space: Space = ContinuousSpace(options.spread, options.scales)
    if options.space == "grid":
        windows = _windows(options, height, width)
        space = GridSpace(options.cells, options.scales, windows)
        if not options.revisits and options.glimpses > space.actions:
            raise UsageError(
                f"network.glimpses: {options.glimpses} glimpses cannot be at different ones of "
                f"{space.actions} places",
                "give --set network.revisits=true, or more network.cells",
            )
    model = GlimpseClassifier(
        sensor,
        space,
        _glimpse_network(options, channels),
        StepwiseRNN(options.features, options.features, options.cell),
        LocationHead(options.features, options.context_features, options.head, space.outputs),
        nn.Linear(options.features, len(description.classes)),
        options.glimpses,
        context=_context_network(options, channels),
        every_glimpse=options.every_glimpse,
        detached=options.detached,
        revisits=options.revisits,
    )
    return GlimpseParts(model, options, description)


# Where the windows of a grid's places are, if it goes from border to border.
def _windows(options: GlimpseOptions, height: int, width: int) -> WindowPlaces | None:
    if options.places == "cells":
        return None
    if options.cells > (most := min(height, width) - options.side + 1):
        raise UsageError(
            f"network.cells: windows of {options.side} pixels have {most} places from border to border of "
            f"images of {height} by {width}, and not {options.cells}"
        )
    return WindowPlaces(height, width, options.side)


def label_informed_guide(parts: GlimpseParts) -> nn.Module:
    """The guide that knows the label."""
    model, options, description = parts
    channels, *_ = description.size
    return LabelInformed(
        model.sensor,
        model.space,
        _glimpse_network(options, channels),
        StepwiseRNN(options.features, options.guide, options.cell),
        LocationHead(options.guide, options.head, options.head, model.space.outputs),
        nn.Embedding(len(description.classes), options.head),
        nn.Sequential(nn.Linear(options.context_features + options.head, options.head), nn.ReLU()),
        options.glimpses,
        context=_context_network(options, channels),
        revisits=options.revisits,
    )


def _glimpse_network(options: GlimpseOptions, channels: int) -> GlimpseNetwork:
    pixels = options.windows * channels * options.side**2
    return glimpse_perceptron(pixels, options.hidden, options.features)


def _context_network(options: GlimpseOptions, channels: int) -> ContextNetwork | None:
    return ContextNetwork(channels, options.context, options.head) if options.context else None
