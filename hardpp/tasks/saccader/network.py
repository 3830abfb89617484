"""The networks of Saccader and of the guides over its places, and their options."""

from typing import Literal, NamedTuple

from pydantic import Field
from torch import nn

from hardpp.config.section import WIDEST, Counts, Section, Widths
from hardpp.errors import UsageError
from hardpp.guides.places import LabelAwarePlaces, RankedPlaces, UniformPlaces
from hardpp.models.saccader import DenseClassifier, Saccader
from hardpp.nn.bagnet import BagNet
from hardpp.nn.place_attention import PlaceAttention
from hardpp.nn.place_scores import Central, OrderedLogits, Sobel, Statistic
from hardpp.tasks.labelled_images import ImagesDescription


class SaccaderOptions(Section):
    """How an image is read, and sizes of the networks."""

    reading: Literal["glimpses", "dense"] = Field(
        "glimpses", description="label from the places of a few glimpses, or from all places at once"
    )
    glimpses: int = Field(6, ge=1, le=1000, description="places that are visited")
    stem: int = Field(16, ge=1, le=WIDEST, description="channels of the first convolution")
    planes: Widths = Field([16, 32, 64], description="channels inside blocks, by group")
    blocks: Counts = Field([2, 2, 2], description="residual blocks, by group")
    strides: Widths = Field([2, 2, 1], description="of the first block, by group")
    wide: Counts = Field([2, 2, 2], description="blocks with kernels of 3 x 3, by group")
    classes: int = Field(
        0, ge=0, le=10**6, description="of the readout, at least as many as the data have; 0: as many"
    )
    shortcut_norm: Literal["shortcut", "main"] = Field(
        "shortcut", description="where strided shortcuts are normalised; main: as in the authors' code"
    )
    order: Literal["predicted", "label", "max"] = Field(
        "predicted",
        description="of guide ordered-logits: whose logits, the predicted class, the right one, any",
    )


class SaccaderParts(NamedTuple):
    """The model, and what a guide for it is made from."""

    model: Saccader | DenseClassifier
    representation: BagNet
    options: SaccaderOptions
    classes: int
    places: int
    side: int  # pixels, of the images


def saccader_parts(options: SaccaderOptions, description: ImagesDescription) -> SaccaderParts:
    """Makes the model.

    Raises:
        UsageError: images are smaller than what a place sees, or not square, or there are fewer places than
            glimpses; fewer classes than the data have; groups of different numbers.
    """
    channels, height, width = description.size
    classes = options.classes or len(description.classes)
    if classes < len(description.classes):
        raise UsageError(f"network.classes: {classes}, and the data have {len(description.classes)}")
    groups = {key: len(getattr(options, key)) for key in ("planes", "blocks", "strides", "wide")}
    if len(set(groups.values())) > 1:
        sizes = ", ".join(f"network.{key} has {count}" for key, count in groups.items())
        raise UsageError(f"networks have a number for every group: {sizes}")
    representation = BagNet(
        classes,
        stem=options.stem,
        planes=options.planes,
        blocks=options.blocks,
        strides=options.strides,
        wide=options.wide,
        shortcut_norm=options.shortcut_norm,
    )
    if height != width or channels not in (1, 3):
        raise UsageError(f"images are square and grey or in colour, not {channels} x {height} x {width}")
    C = representation.field.places(width)
    if C < 1:
        side = representation.field.side
        raise UsageError(
            f"a place of this network sees {side} x {side} pixels, and images have {height} x {width}",
            "give larger images (data.side), or a preset for small ones (tiny64)",
        )
    if options.reading == "glimpses" and options.glimpses > C * C:
        raise UsageError(f"network.glimpses: {options.glimpses} glimpses cannot be at {C * C} places")
    dense = DenseClassifier(representation)
    if options.reading == "dense":
        return SaccaderParts(dense, representation, options, classes, C * C, width)
    attention = PlaceAttention(representation.channels, representation.head_channels)
    model = Saccader(representation, attention, options.glimpses)
    return SaccaderParts(model, representation, options, classes, C * C, width)


def ordered_logits_guide(parts: SaccaderParts) -> nn.Module:
    """The places of the largest logits first."""
    return RankedPlaces(OrderedLogits(parts.representation, parts.options.order), parts.options.glimpses)


def central_guide(parts: SaccaderParts) -> nn.Module:
    """The places nearest to the centre first."""
    return RankedPlaces(Central(parts.representation.field), parts.options.glimpses)


def uniform_guide(parts: SaccaderParts) -> nn.Module:
    """Places at random."""
    return UniformPlaces(parts.places, parts.options.glimpses)


def sobel_guide(parts: SaccaderParts, statistic: Statistic) -> nn.Module:
    """The places with the strongest edges, or with those that differ most, first."""
    return RankedPlaces(Sobel(parts.representation.field, statistic), parts.options.glimpses)


def label_aware_guide(parts: SaccaderParts) -> nn.Module:
    """The guide that knows the label."""
    bag = parts.representation
    attention = PlaceAttention(bag.channels, bag.head_channels)
    embedding = nn.Embedding(parts.classes, bag.head_channels)
    return LabelAwarePlaces(bag, attention, embedding, parts.options.glimpses)
