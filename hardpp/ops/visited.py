"""The set of places that were visited, none of which is visited again.

Shapes: A places; ... = any dims.
"""

import torch
from torch import Tensor

_ALMOST = 1 - 1e-6  # a relaxed latent that is all at one place still has a gradient


def barred(scores: Tensor, visited: Tensor | None) -> Tensor:
    """Scores (..., A) that are minus infinity where visited (..., A)."""
    if visited is None:
        return scores
    if visited.is_floating_point():
        return scores + torch.log1p(-visited.clamp(max=_ALMOST))
    return scores.masked_fill(visited, -torch.inf)


def visit(visited: Tensor | None, place: Tensor, places: int) -> Tensor:
    """The places visited so far and one more: (..., A) bool, or as much as relaxed latents say.

    Args:
        visited: (..., A), None: none so far.
        place: int64 (...), or weights over places (..., A), floating.
        places: A.
    """
    if place.is_floating_point():
        before = torch.zeros_like(place) if visited is None else visited.to(place.dtype)
        return (before + place).clamp(max=1)
    now = place.unsqueeze(-1) == torch.arange(places, device=place.device)
    if visited is None:
        return now
    return visited | now if visited.dtype == torch.bool else torch.maximum(visited, now.to(visited.dtype))
