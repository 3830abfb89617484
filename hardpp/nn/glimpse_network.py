"""Networks of glimpse models: features of a glimpse, a coarse context, and the choice of the next location.

    glimpse  = relu(what(patches)) * where(y, x, scale)
    context  = network(the whole image, averaged down to a few pixels a side)
    next     = W relu(U state + V context)

Only `LocationHead` sees the context, so a classifier cannot answer from it.

Source: Ba, Mnih and Kavukcuoglu (2015), Multiple Object Recognition with Visual Attention, section 3, for the
product and the context; Mnih et al. (2014) for the multi-scale patches.
Shapes: B data, P patch side, F features of a glimpse, H of the state, M of the context; ... = any leading
dims.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, relu


class GlimpseNetwork(nn.Module):
    """Maps patches and locations to features; its parts are given, not built.

    Args:
        what: windows of a glimpse as channels, (..., windows x channels, P, P), to (..., F).
        where: y, x and the number of the scale, (..., 3), to (..., F).
    """

    def __init__(self, what: nn.Module, where: nn.Module):
        super().__init__()
        self.what, self.where = what, where

    def forward(self, patches: Tensor, where: Tensor) -> Tensor:
        """Features (..., F) of patches (..., windows, channels, P, P) with location features (..., F)."""
        what = self.what(patches.flatten(0, -5).flatten(1, 2))
        return relu(what).reshape(where.shape) * where

    @property
    def layers(self) -> tuple[nn.Linear, ...] | None:
        """The layers of `what`, all of them rectified, if it is a perceptron of pixels; else None."""
        if not isinstance(self.what, nn.Sequential):
            return None
        layers = tuple(each for each in self.what if type(each) is nn.Linear and each.bias is not None)
        expected = [kind for _ in layers for kind in (nn.Linear, nn.ReLU)][:-1]
        return layers if [type(each) for each in self.what] == [nn.Flatten, *expected] else None

    def locate(self, centre: Tensor, scale: Tensor | None) -> Tensor:
        """Location features (..., F) of centres (..., 2) and scales (...)."""
        number = torch.zeros_like(centre[..., 0]) if scale is None else scale.to(centre.dtype)
        weight = next(self.where.parameters())
        return self.where(torch.cat([centre, number.unsqueeze(-1)], -1).to(weight.dtype))


def glimpse_perceptron(numbers: int, hidden: int, features: int) -> GlimpseNetwork:
    """A glimpse network of perceptrons with one hidden layer; at first all locations are alike.

    A glimpse is so many numbers (pixels by channels by windows); `hidden` is of `what`, and `where` has 32.
    """
    what = nn.Sequential(nn.Flatten(), nn.Linear(numbers, hidden), nn.ReLU(), nn.Linear(hidden, features))
    last = nn.Linear(32, features)
    nn.init.ones_(last.bias)
    return GlimpseNetwork(what, nn.Sequential(nn.Linear(3, 32), nn.ReLU(), last))


class ContextNetwork(nn.Module):
    """Maps images (B, channels, height, width), averaged down to `side` by `side` pixels, to (B, M)."""

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
    """Maps a state (..., H) and a context (..., M), if M is not 0, to parameters of the next location."""

    def __init__(self, state: int, context: int, hidden: int, outputs: int):
        super().__init__()
        self.state = nn.Linear(state, hidden)
        self.context = nn.Linear(context, hidden, bias=False) if context else None
        self.last = nn.Linear(hidden, outputs)

    def clue(self, context: Tensor | None) -> Tensor | None:
        """What a context (..., M) adds to the hidden features (..., hidden), the same for every glimpse."""
        return None if self.context is None else self.context(context)

    def forward(self, state: Tensor, context: Tensor | None) -> Tensor:
        """The parameters (..., outputs); a context broadcasts to the state."""
        return self.choose(state, self.clue(context))

    def choose(self, state: Tensor, clue: Tensor | None) -> Tensor:
        """The same, of what `clue` gave."""
        hidden = self.state(state)
        return self.last(relu(hidden if clue is None else hidden + clue))
