"""Where to look next: scores of the places of an image, given the set of places already visited.

    where       = (1 x 1 conv, dilated 3 x 3 conv) x 2 of the features, each with normalisation and ReLU
    memory      = linear(where, what)                                    # at every place
    alpha       = softmax over places not yet visited of <w, memory> / sqrt(D)
    summary     = sum over places of alpha * memory
    score       = <softmax over channels of summary, memory>             # -inf where visited

The set of visited places is the whole state: nothing else is remembered from one glimpse to the next.

Source: Elsayed, Kornblith and Le (2019), Saccader, section 3.2 and appendix; they subtract 1e5 from what was
visited.
Shapes: B images, F channels of the features, D of what and of the memory, C places a side, A = C * C;
... = dims inference adds on the left.
"""

import torch
from torch import Tensor, nn

from hardpp.ops.visited import barred


class PlaceAttention(nn.Module):
    """The memory of all places, and from it the scores of where to look next.

    Args:
        channels: F; the attention network has a half of them, and then a quarter.
        what: D.
    """

    def __init__(self, channels: int, what: int):
        super().__init__()
        self.where = nn.Sequential(_group(channels, channels // 2), _group(channels // 2, channels // 4))
        self.mix = nn.Conv2d(channels // 4 + what, what, 1)
        self.query = nn.Parameter(torch.empty(what))
        nn.init.normal_(self.query, std=1.0)

    def memory(self, features: Tensor, what: Tensor) -> Tensor:
        """The memory (B, A, D) of features (B, F, C, C) and what (B, D, C, C)."""
        mixed: Tensor = self.mix(torch.cat([self.where(features), what], 1))
        return mixed.flatten(2).transpose(1, 2)

    def forward(self, memory: Tensor, visited: Tensor | None) -> Tensor:
        """Scores (..., B, A) of a memory (B, A, D), and which places were visited (..., B, A), None: none.

        `visited` is bool, or, where latents are relaxed, how much of each place was.
        """
        fit = barred(memory @ self.query / memory.shape[-1] ** 0.5, visited)  # (..., B, A)
        summary = torch.einsum("...ba,bad->...bd", fit.softmax(-1), memory)
        return barred(torch.einsum("...bd,bad->...ba", summary.softmax(-1), memory), visited)


def _group(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=2, dilation=2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )
