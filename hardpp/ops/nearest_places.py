"""The places of a finite set that are nearest to given points, each taken once if need be.

Shapes: A places, G points, D coordinates; ... = any dims.
"""

import torch
from torch import Tensor


def nearest_places(points: Tensor, places: Tensor, *, once: bool = False) -> Tensor:
    """The numbers of the nearest places, int64 (..., G).

    Args:
        points: (..., G, D).
        places: (A, D).
        once: no place twice: each point, the first one first, takes the nearest that is not taken; else
            points may share one. There are at least G places then.

    Raises:
        ValueError: more points than places, and none may be taken twice.
    """
    if once and points.shape[-2] > len(places):
        raise ValueError(f"{points.shape[-2]} points cannot be at different ones of {len(places)} places")
    apart = (points.unsqueeze(-2).double() - places.double()).square().sum(-1)  # (..., G, A)
    if not once:
        return apart.argmin(-1)
    chosen: list[Tensor] = []
    taken = torch.zeros_like(apart[..., 0, :], dtype=torch.bool)
    for of_point in apart.unbind(-2):
        chosen.append(of_point.masked_fill(taken, torch.inf).argmin(-1))
        taken = taken.scatter(-1, chosen[-1].unsqueeze(-1), True)
    return torch.stack(chosen, -1)
