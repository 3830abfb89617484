"""Tiny models of Saccader with any weights, in double precision and evaluation mode.

Places see 5 x 5 pixels, 2 apart: images of 7 pixels a side have 2 x 2 places, of 9 pixels 3 x 3.
"""

from typing import Any

import torch
from torch import nn

from hardpp.guides.places import LabelAwarePlaces
from hardpp.models.saccader import Saccader
from hardpp.nn.bagnet import BagNet
from hardpp.nn.place_attention import PlaceAttention
from hardpp.types import ImageBatch

LABELS = 3


def randomised(module: nn.Module, seed: int = 0, spread: float = 1.0) -> Any:
    """Any weights and statistics; blocks begin as the identity, and then most weights have no effect."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = max(1, parameter[0].numel()) if parameter.dim() > 1 else 1
            drawn = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.copy_(spread * drawn / fan_in**0.5)
        for name, buffer in module.named_buffers():
            if "running" in name:
                drawn = torch.rand(buffer.shape, generator=generator, dtype=buffer.dtype)
                buffer.copy_(drawn + 0.5 if "var" in name else drawn - 0.5)
    return module


def bag(seed: int = 0, **options: Any) -> BagNet:
    """A representation of three labels, each of which is the likeliest at some places."""
    sizes: dict[str, Any] = {"stem": 4, "planes": [4], "blocks": [1], "strides": [2], "wide": [1]}
    network: BagNet = randomised(BagNet(LABELS, **{**sizes, **options}), seed, spread=1.5)
    level(network.readout, network(images(8, 33).source).what, 1.5)
    return network


def saccader(glimpses: int = 2, seed: int = 1, **options: Any) -> Saccader:
    """With policies neither uniform nor sure."""
    representation = bag(seed, **options)
    attention = PlaceAttention(representation.channels, representation.head_channels)
    return Saccader(representation, levelled(randomised(attention, seed + 1), representation), glimpses)


def levelled(attention: PlaceAttention, network: BagNet) -> PlaceAttention:
    features, what, _ = network(images(8, 33).source)
    level(attention.mix, torch.cat([attention.where(features), what], 1), 2.0)
    return attention


# Outputs of a 1 x 1 convolution of these inputs get a mean of 0 and this deviation, channel by channel.
@torch.no_grad()
def level(layer: nn.Conv2d, inputs: torch.Tensor, deviation: float) -> None:
    found = layer(inputs)
    scale = deviation / found.std((0, 2, 3))
    layer.weight.mul_(scale.view(-1, 1, 1, 1))
    assert layer.bias is not None
    layer.bias.sub_(found.mean((0, 2, 3))).mul_(scale)


def label_aware(model: Saccader, seed: int = 5) -> LabelAwarePlaces:
    """A guide that knows the label."""
    network = model.representation
    attention = PlaceAttention(network.channels, network.head_channels)
    embedding = nn.Embedding(LABELS, network.head_channels)
    attention = levelled(randomised(attention, seed), network)
    return LabelAwarePlaces(network, attention, randomised(embedding, seed), model.glimpses).double()


def images(size: int = 2, side: int = 7, channels: int = 3, seed: int = 0) -> ImageBatch:
    """Noise, with labels."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (size, channels, side, side), dtype=torch.uint8, generator=generator)
    return ImageBatch(pixels, torch.randint(0, LABELS, (size,), generator=generator))
