"""What a glimpse shows, times where it is; an image in small; and where to look next.

    glimpse  = relu(what(patches)) * where(y, x, scale)
    context  = reading of the whole image, averaged down to a few pixels a side
    next     = W relu(U state + V context)

The context goes to `LocationHead` and nowhere else, so that a classifier cannot answer from it.

Source: Ba, Mnih and Kavukcuoglu (2015), Multiple Object Recognition with Visual Attention, section 3, for the
product and the context; Mnih et al. (2014) for the multi-scale patches.
Shapes: B data, L windows, C channels, P patch side, F features of a glimpse, H of the state, M of the
context; ... = any leading dims.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, relu


class GlimpseNetwork(nn.Module):
    """Patches and places to features, from parts that are given rather than built.

    Args:
        what: windows of a glimpse as channels, (N, L C, P, P), to (N, F).
        where: y, x and the number of the scale, (..., 3), to (..., F).
    """

    def __init__(self, what: nn.Module, where: nn.Module):
        super().__init__()
        self.what, self.where = what, where

    def forward(self, patches: Tensor, where: Tensor) -> Tensor:
        """Features (..., F) of patches (..., L, C, P, P), given `place` of where they are, (..., F)."""
        seen = self.what(patches.flatten(0, -5).flatten(1, 2))
        return relu(seen).reshape(where.shape) * where

    def place(self, at: Tensor, scale: Tensor | None) -> Tensor:
        """Features (..., F) of places (..., 2) and scales (...)."""
        number = torch.zeros_like(at[..., 0]) if scale is None else scale.to(at.dtype)
        weight = next(self.where.parameters())
        return self.where(torch.cat([at, number.unsqueeze(-1)], -1).to(weight.dtype))


def glimpse_perceptron(numbers: int, hidden: int, features: int) -> GlimpseNetwork:
    """Both parts with one hidden layer; it starts as if all places were alike.

    Args:
        numbers: L C P P.
        hidden: of `what`; `where` has 32.
        features: F.
    """
    what = nn.Sequential(nn.Flatten(), nn.Linear(numbers, hidden), nn.ReLU(), nn.Linear(hidden, features))
    last = nn.Linear(32, features)
    nn.init.ones_(last.bias)
    return GlimpseNetwork(what, nn.Sequential(nn.Linear(3, 32), nn.ReLU(), last))


class ContextNetwork(nn.Module):
    """Images (B, C, height, width), averaged down to (B, C, side, side), to (B, M).

    Args:
        channels: C.
        side: pixels of the small image.
        features: M.
    """

    def __init__(self, channels: int, side: int, features: int):
        super().__init__()
        self.side, self.features = side, features
        self.read = nn.Sequential(
            nn.Flatten(), nn.Linear(channels * side**2, features), nn.ReLU(), nn.Linear(features, features)
        )

    def forward(self, images: Tensor) -> Tensor:
        """The context (B, M) of images, uint8, or floating from 0 to 1."""
        weight = next(self.parameters())
        scaled = images.to(weight.dtype) / (1 if images.is_floating_point() else 255)
        return self.read(adaptive_avg_pool2d(scaled, self.side))


class LocationHead(nn.Module):
    """State (..., H) and context (..., M), if there is one, to parameters of the next place.

    Args:
        state: H.
        context: M, 0 for none.
        hidden: of the layer between.
        outputs: of a location space.
    """

    def __init__(self, state: int, context: int, hidden: int, outputs: int):
        super().__init__()
        self.state = nn.Linear(state, hidden)
        self.context = nn.Linear(context, hidden, bias=False) if context else None
        self.last = nn.Linear(hidden, outputs)

    def forward(self, state: Tensor, context: Tensor | None) -> Tensor:
        """(..., outputs); a context broadcasts to the state."""
        mixed = self.state(state)
        if self.context is not None:
            mixed = mixed + self.context(context)
        return self.last(relu(mixed))
