"""The networks of glimpse classifiers, and their options."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field
from torch import nn

from hardpp.config import Section
from hardpp.distributions.location_spaces import ContinuousSpace, GridSpace, Space
from hardpp.errors import UsageError
from hardpp.guides.glimpse import LabelInformed
from hardpp.guides.prior import Prior
from hardpp.models.glimpse_classifier import GlimpseClassifier
from hardpp.nn.glimpse_network import ContextNetwork, GlimpseNetwork, LocationHead, glimpse_perceptron
from hardpp.nn.stepwise_rnn import StepwiseRNN
from hardpp.ops.patches import Sensor
from hardpp.tasks.family import Programs

_WIDEST = 4  # sides of the image; what is around it takes memory, and shows nothing


class GlimpseOptions(Section):
    """What a glimpse is, where it may be, and sizes of the model's and the guide's networks."""

    glimpses: int = Field(6, ge=1, description="looks an image")
    side: int = Field(12, ge=1, description="pixels a side of the sharpest window and of all patches")
    windows: int = Field(3, ge=1, le=16, description="windows, each twice as wide as the one before")
    scales: int = Field(1, ge=1, le=16, description="widths to choose from, each twice the one before")
    padding: Literal["zeros", "edge"] = Field("zeros", description="what lies outside of the image")
    space: Literal["grid", "continuous"] = Field("grid", description="where to look: cells, or anywhere")
    cells: int = Field(7, ge=1, description="of the grid, a side")
    spread: float = Field(0.1, gt=0, description="of continuous places; an image is 2 wide")
    hidden: int = Field(128, ge=1, description="hidden features of what a glimpse shows")
    features: int = Field(128, ge=1, description="of a glimpse, and of the recurrence")
    cell: Literal["relu", "gru"] = Field("relu", description="of the recurrence over glimpses")
    head: int = Field(64, ge=1, description="hidden features of the choice of places")
    context: int = Field(12, ge=0, description="pixels a side of the whole image in small; 0: none")
    every_glimpse: bool = Field(True, description="predict the label after every glimpse")
    detached: bool = Field(False, description="states learn nothing from the choice of places, as in RAM")
    revisits: bool = Field(False, description="a cell may be looked at twice at one scale")
    guide: int = Field(64, ge=1, description="features of the guide's recurrence")


def programs(sizes: GlimpseOptions, guide: str, description: Mapping[str, Any]) -> Programs:
    """Model and guide; the guide's networks are its own.

    Raises:
        UsageError: there is no such guide, a glimpse is larger than the images or its widest window much
            larger, or there are more glimpses than places that each may be looked at once.
    """
    channels, height, width = description["size"]
    labels = len(description["classes"])
    if sizes.side > min(height, width):
        raise UsageError(
            f"network.side: a glimpse of {sizes.side} pixels is larger than images of {height} by {width}"
        )
    sensor = Sensor(sizes.side, sizes.windows, sizes.scales, sizes.padding)
    if sensor.widest > _WIDEST * max(height, width):
        raise UsageError(
            f"network.windows and network.scales: the widest window of {sensor.widest} pixels is more than "
            f"{_WIDEST} times as wide as images of {height} by {width}",
            "give fewer",
        )
    space: Space = (
        GridSpace(sizes.cells, sizes.scales)
        if sizes.space == "grid"
        else ContinuousSpace(sizes.spread, sizes.scales)
    )
    if isinstance(space, GridSpace) and not sizes.revisits and sizes.glimpses > space.actions:
        raise UsageError(
            f"network.glimpses: {sizes.glimpses} glimpses cannot be at different ones of {space.actions} "
            "places",
            "give --set network.revisits=true, or more network.cells",
        )

    def eye() -> GlimpseNetwork:
        return glimpse_perceptron(sizes.windows * channels * sizes.side**2, sizes.hidden, sizes.features)

    def context() -> ContextNetwork | None:
        return ContextNetwork(channels, sizes.context, sizes.head) if sizes.context else None

    known = sizes.head if sizes.context else 0
    model = GlimpseClassifier(
        sensor,
        space,
        eye(),
        StepwiseRNN(sizes.features, sizes.features, sizes.cell),
        LocationHead(sizes.features, known, sizes.head, space.outputs),
        nn.Linear(sizes.features, labels),
        sizes.glimpses,
        context=context(),
        every_glimpse=sizes.every_glimpse,
        detached=sizes.detached,
        revisits=sizes.revisits,
    )
    if guide == "prior":
        return Programs(model, Prior(model))
    if guide != "variational":
        raise UsageError(f"model glimpse has no guide {guide!r}", "give --guide variational or prior")
    informed = LabelInformed(
        sensor,
        space,
        eye(),
        StepwiseRNN(sizes.features, sizes.guide, sizes.cell),
        LocationHead(sizes.guide, sizes.head, sizes.head, space.outputs),
        nn.Embedding(labels, sizes.head),
        nn.Sequential(nn.Linear(known + sizes.head, sizes.head), nn.ReLU()),
        sizes.glimpses,
        context=context(),
        revisits=sizes.revisits,
    )
    return Programs(model, informed)
