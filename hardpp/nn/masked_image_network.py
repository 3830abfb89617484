"""A convolutional network that reads an image of which only some pixels were seen.

Its input is the image with zeros where it was not seen, what was seen, and the coordinates of every pixel, so
that a patch says where it is. Normalisation is over groups of features of one image: the output is the same
in training and in evaluation, and whatever else is in the batch.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, section 3.2, for the mask as a channel
(their network is a DenseNet-121 with pretrained weights).
Shapes: N images, V outputs.
"""

import torch
from torch import Tensor, nn

_GROUPS = 8
_SMALLEST = 5  # pixels a side up to which features are halved no more


class MaskedImageNetwork(nn.Module):
    """Partly seen images -> outputs.

    Args:
        channels: of the images.
        side: pixels a side.
        features: of the first layer, a multiple of 8; later ones have twice and four times as many.
        hidden: features before the last layer.
        outputs: V.
    """

    def __init__(self, channels: int, side: int, features: int, hidden: int, outputs: int):
        super().__init__()
        widths, before = (features, 2 * features), channels + 3
        layers: list[nn.Module] = []
        while side > _SMALLEST:
            width = widths[len(layers)] if len(layers) < len(widths) else 4 * features
            layers.append(_layer(before, width, stride=2))
            side, before = (side + 1) // 2, width
        layers.append(_layer(before, 4 * features, stride=1))
        self.layers = nn.Sequential(*layers)
        flat = 4 * features * side**2
        self.head = nn.Sequential(nn.Linear(flat, hidden), nn.ReLU(), nn.Linear(hidden, outputs))

    def forward(self, pixels: Tensor, seen: Tensor) -> Tensor:
        """Maps pixels (N, channels, side, side), 0 where unseen, and seen (N, side, side) to (N, V)."""
        outputs: Tensor = self.head(self.layers(with_mask(pixels, seen)).flatten(1))
        return outputs


def with_mask(pixels: Tensor, seen: Tensor) -> Tensor:
    """Pixels (N, channels, side, side), what was seen, rows and columns from -1 to 1, one above the other."""
    N, _, height, width = pixels.shape
    rows = torch.linspace(-1, 1, height, device=pixels.device).view(1, 1, -1, 1).expand(N, 1, -1, width)
    columns = torch.linspace(-1, 1, width, device=pixels.device).expand(N, 1, height, -1)
    return torch.cat([pixels, seen.unsqueeze(1).to(pixels.dtype), rows, columns], 1)


def _layer(before: int, after: int, stride: int) -> nn.Module:
    convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(_GROUPS, after), nn.ReLU())
