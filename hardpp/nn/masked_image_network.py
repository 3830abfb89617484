"""A convolutional network that reads an image of which only some pixels were seen.

Its input is the image with zeros where it was not seen, and what was seen, as one more channel.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, section 3.2 (their network is a
DenseNet-121 with pretrained weights).
Shapes: N images, V outputs.
"""

import torch
from torch import Tensor, nn

_SMALLEST = 5  # pixels a side up to which features are halved no more


class MaskedImageNetwork(nn.Module):
    """Partly seen images -> outputs.

    Args:
        channels: of the images.
        side: pixels a side.
        features: of the first layer; later ones have twice and four times as many.
        hidden: features before the last layer.
        outputs: V.
    """

    def __init__(self, channels: int, side: int, features: int, hidden: int, outputs: int):
        super().__init__()
        # Group normalisation was tried, which is the same in training and evaluation: in 150 steps of whole
        # images nothing was learnt, where with batch normalisation the likelihood rose in the first 25.
        before = channels + 1
        layers: list[nn.Module] = []
        while side > _SMALLEST:
            width = min(2 ** len(layers), 4) * features
            layers.append(_layer(before, width, stride=2))
            side, before = (side + 1) // 2, width
        layers.append(_layer(before, 4 * features, stride=1))
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Linear(4 * features * side**2, hidden), nn.ReLU(), nn.Linear(hidden, outputs)
        )

    def forward(self, pixels: Tensor, seen: Tensor) -> Tensor:
        """Maps pixels (N, channels, side, side), 0 where unseen, and seen (N, side, side) to (N, V)."""
        shown = torch.cat([pixels, seen.unsqueeze(1).to(pixels.dtype)], 1)
        outputs: Tensor = self.head(self.layers(shown).flatten(1))
        return outputs


def _layer(before: int, after: int, stride: int) -> nn.Module:
    convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU())
