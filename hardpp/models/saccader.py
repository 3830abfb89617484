"""Saccader: an image is classified from a few of its places, chosen one after the other, none of them twice.

    place[g] ~ Categorical(attention(memory, places visited before))      # 0 .. A-1, row by row
    label    ~ Categorical(mean over glimpses of logits[place[g]])

The logits of a place are computed from a small window of the image around it (`hardpp.nn.bagnet`), so that a
prediction is made from the chosen windows only; where to look is decided from the whole image. The places are
a Markov chain whose state is the set of places visited: with few places every sequence can be summed over.

Where a handler relaxes a place to weights over places, its logits are their expectation (the paper's soft
attention).

Source: Elsayed, Kornblith and Le (2019), Saccader: Improving Accuracy of Hard Attention Models for Vision.
Shapes: B images, G glimpses, A places, D features of the memory, V labels; ... = dims inference adds on the
left.
"""

from typing import NamedTuple, Protocol

import pyro
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.nn.bagnet import BagNet, Places
from hardpp.ops.visited import visit
from hardpp.types import ImageBatch


class Attention(Protocol):
    """What scores places."""

    def memory(self, features: Tensor, what: Tensor) -> Tensor:
        """The memory (B, A, D) of features (B, F, C, C) and what (B, ., C, C) of every place."""

    def __call__(self, memory: Tensor, visited: Tensor | None) -> Tensor:
        """Scores (..., B, A), minus infinity where visited (..., B, A)."""


class View(NamedTuple):
    """What a model has seen of images before its first glimpse."""

    places: Places
    memory: Tensor  # (B, A, D)


class Saccader(PyroModule):
    """p(label, places | image); its parts are given, not built.

    Args:
        representation: images, or features of them, -> features, what and logits of every place.
        attention: scores places.
        glimpses: G.
    """

    max_plate_nesting = 1  # images
    representation: BagNet
    attention: Attention

    def __init__(self, representation: BagNet, attention: Attention, glimpses: int):
        super().__init__()
        self.representation, self.attention, self.glimpses = representation, attention, glimpses

    def forward(self, batch: ImageBatch) -> list[Tensor]:
        """Runs the program; returns the place of each glimpse, (..., B)."""
        places, memory = self.view(batch.source)
        visited, chosen, seen = None, [], []
        with sites.images(batch.size, str(batch.source.device)):
            for g in range(1, self.glimpses + 1):
                policy = Categorical(logits=self.attention(memory, visited))
                place = pyro.sample(sites.glimpse(g), policy)
                chosen.append(place)
                seen.append(logits_at(places.logits, place))
                visited = visit(visited, place, places.logits.shape[1])
            logits = torch.stack(torch.broadcast_tensors(*seen)).mean(0)
            pyro.sample(sites.LABEL, Categorical(logits=logits), obs=batch.target)
        return chosen

    def view(self, images: Tensor) -> View:
        """Looks at images (B, channels, height, width), or at features of theirs, before any glimpse."""
        places = self.representation(images)
        return View(places, self.attention.memory(places.features, places.what))


class DenseClassifier(PyroModule):
    """p(label | image) from all places at once: the mean of their logits. No latents.

    It trains a representation before there is a policy, and is what a policy's accuracy is compared with.
    """

    max_plate_nesting = 1  # images
    representation: nn.Module

    def __init__(self, representation: nn.Module):
        super().__init__()
        self.representation = representation

    def forward(self, batch: ImageBatch) -> None:
        """Runs the program."""
        logits = self.representation(batch.source).logits.mean(1)
        with sites.images(batch.size, str(batch.source.device)):
            pyro.sample(sites.LABEL, Categorical(logits=logits), obs=batch.target)


def logits_at(logits: Tensor, place: Tensor) -> Tensor:
    """The logits (B, A, V) at a place: (..., B, V).

    Args:
        logits: of every place.
        place: int64 (..., B), or weights over places, floating (..., B, A); B may be 1 where inference
            enumerates.
    """
    if place.is_floating_point():
        return torch.einsum("...ba,bav->...bv", place.to(logits.dtype), logits)
    row = torch.arange(len(logits), device=logits.device)
    return logits[row, place]
