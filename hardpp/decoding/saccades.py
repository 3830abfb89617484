"""Saccades: the places that a policy visits one after the other, and what is predicted from them.

A policy is a function from the places visited so far to scores of all places. It goes to the best place, or
draws one; and for as many glimpses as are asked for, whatever number it was trained with.

Source: Elsayed, Kornblith and Le (2019), Saccader, section 3.2 (evaluation) and appendix.
Shapes: B images, G glimpses, A places, V classes.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from hardpp.ops.receptive_field import ReceptiveField
from hardpp.ops.visited import barred, visit

Policy = Callable[[Tensor | None], Tensor]  # visited (B, A) bool, None: none -> scores (B, A)


def fixed(scores: Tensor) -> Policy:
    """The policy of scores (B, A) that do not depend on what was visited."""
    return lambda visited: barred(scores, visited)


def saccades(policy: Policy, glimpses: int, *, draw: bool = False) -> Tensor:
    """The places (B, G) that a policy visits: the best each time, or drawn."""
    visited, chosen = None, []
    for _ in range(glimpses):
        scores = policy(visited)
        place = scores.softmax(-1).multinomial(1)[:, 0] if draw else scores.argmax(-1)
        chosen.append(place)
        visited = visit(visited, place, scores.shape[-1])
    return torch.stack(chosen, -1)


def running_logits(logits: Tensor, places: Tensor) -> Tensor:
    """The mean logits after each glimpse, (B, G, V), of the logits (B, A, V) of all places."""
    seen = logits.gather(1, places.unsqueeze(-1).expand(-1, -1, logits.shape[-1]))
    count = torch.arange(1, places.shape[1] + 1, device=logits.device).view(1, -1, 1)
    return seen.cumsum(1) / count


def classified(field: ReceptiveField, places: Tensor, places_a_side: int, size: tuple[int, int]) -> Tensor:
    """The share of the pixels that any of the first g glimpses has classified: (B, G)."""
    shares = [
        field.seen(places[:, :g], places_a_side, *size).float().mean((-2, -1))
        for g in range(1, places.shape[1] + 1)
    ]
    return torch.stack(shares, -1)


def centres(field: ReceptiveField, places: Tensor, places_a_side: int) -> Tensor:
    """Row and column, in pixels, of the centres of what places (B, G) see: (B, G, 2)."""
    return field.corners(places, places_a_side) + field.side / 2


def diversity(centre: Tensor) -> Tensor:
    """The mean distance, in pixels, between two glimpses of one image, (B,); 0 of one glimpse."""
    G = centre.shape[1]
    distance = (centre.unsqueeze(1) - centre.unsqueeze(2)).norm(dim=-1).sum((1, 2))
    return distance / max(1, G * (G - 1))


def alikeness(centre: Tensor, size: tuple[int, int]) -> float:
    """How alike images are looked at: the mean |cosine| of two images' glimpses, from the middle, 0 to 1.

    1 is the same gaze for every image; nothing (not a number) of one image.
    """
    middle = torch.tensor(size, device=centre.device) / 2
    direction = torch.nn.functional.normalize((centre - middle).flatten(1), dim=-1)  # (B, 2 G)
    B = len(direction)
    cosine = (direction @ direction.T).abs()
    return float((cosine.sum() - cosine.diagonal().sum()) / (B * (B - 1))) if B > 1 else float("nan")
