"""Guides over the places of an image that `hardpp.models.saccader` visits, none of them twice.

    RankedPlaces      the g-th glimpse is at the place with the g-th largest score: always the same places
    UniformPlaces     every place not yet visited is as likely as the others
    LabelAwarePlaces  place[g] ~ Categorical(attention(memory + embedding(label), visited)
                                             + gain * log p(label | place)),     which knows the label

The ranked ones are what a policy is compared with, and, by imitation, what it learns from first. The last is
for reweighted wake-sleep and the variational bounds.

Source: Elsayed, Kornblith and Le (2019), Saccader, sections 3.3 and 4; Ba et al. (2015), Learning Wake-Sleep
Recurrent Attention Models, for a guide that knows the label.
Shapes: B images, G glimpses, A places, D features of the memory; ... = dims inference adds on the left.
"""

from collections.abc import Callable
from typing import Any

import pyro
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.nn.bagnet import BagNet
from hardpp.nn.modes import evaluating
from hardpp.nn.place_attention import PlaceAttention
from hardpp.ops.visited import barred, visit
from hardpp.types import ImageBatch


class RankedPlaces(PyroModule):
    """The places of the largest scores, from the largest on.

    Args:
        scores: images and labels -> scores of the places (B, A).
        glimpses: G.
    """

    max_plate_nesting = 1  # images

    def __init__(self, scores: nn.Module, glimpses: int):
        super().__init__()
        self.scores, self.glimpses = scores, glimpses

    def forward(self, batch: ImageBatch) -> list[Tensor]:
        """Runs the guide; returns the place of each glimpse, (..., B)."""
        scores = self.scores(batch.source, batch.target)
        order = scores.topk(self.glimpses, dim=-1).indices  # (B, G)

        def only(glimpse: int, visited: Tensor | None) -> Tensor:
            here = visit(None, order[:, glimpse - 1], scores.shape[-1])
            return torch.zeros_like(scores).masked_fill(~here, -torch.inf)

        return _drawn(batch, self.glimpses, scores.shape[-1], only)


class UniformPlaces(PyroModule):
    """Places at random.

    Args:
        places: A.
        glimpses: G.
    """

    max_plate_nesting = 1  # images

    def __init__(self, places: int, glimpses: int):
        super().__init__()
        self.places, self.glimpses = places, glimpses

    def forward(self, batch: ImageBatch) -> list[Tensor]:
        """Runs the guide; returns the place of each glimpse, (..., B)."""
        even = torch.zeros(batch.size, self.places, device=batch.source.device)
        return _drawn(batch, self.glimpses, self.places, lambda glimpse, visited: barred(even, visited))


class LabelAwarePlaces(PyroModule):
    """Places as above; the parts are given, not built.

    Args:
        representation: the model's; it gets no gradient, and its statistics do not move.
        attention: scores places; the guide's own.
        embedding: labels (B,) -> (B, D).
        glimpses: G.
    """

    max_plate_nesting = 1  # images
    representation: BagNet
    attention: PlaceAttention

    def __init__(
        self, representation: BagNet, attention: PlaceAttention, embedding: nn.Module, glimpses: int
    ):
        super().__init__()
        self.representation, self.attention, self.embedding = representation, attention, embedding
        self.glimpses = glimpses
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, batch: ImageBatch) -> list[Tensor]:
        """Runs the guide; returns the place of each glimpse, (..., B)."""
        with torch.no_grad(), evaluating(self.representation):
            places = self.representation(batch.source)
            log_p = places.logits.log_softmax(-1)  # (B, A, V)
            right = log_p.gather(-1, batch.target.view(-1, 1, 1).expand(-1, log_p.shape[1], 1)).squeeze(-1)
        memory = self.attention.memory(places.features, places.what) + self.embedding(batch.target).unsqueeze(
            1
        )

        def scores(glimpse: int, visited: Tensor | None) -> Tensor:
            return self.attention(memory, visited) + self.gain * right

        return _drawn(batch, self.glimpses, memory.shape[1], scores)


def _drawn(
    batch: ImageBatch, glimpses: int, places: int, scores: Callable[[int, Tensor | None], Any]
) -> list[Tensor]:
    visited, chosen = None, []
    with sites.images(batch.size, str(batch.source.device)):
        for g in range(1, glimpses + 1):
            place = pyro.sample(sites.glimpse(g), Categorical(logits=scores(g, visited)))
            chosen.append(place)
            visited = visit(visited, place, places)
    return chosen
