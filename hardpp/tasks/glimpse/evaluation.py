"""Figures of a run on glimpses: errors by number of glimpses and of draws, and where it looks.

Shapes: K draws, B images, G glimpses, V labels.
"""

import time
from math import log
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from hardpp.config import Section
from hardpp.diagnostics.seeds import seeded
from hardpp.distributions.location_spaces import GridSpace
from hardpp.inference.importance_weighted import IWAE
from hardpp.tasks.family import Run
from hardpp.tasks.glimpse.data import Chosen, batches


class Looking(Section):
    """How images are looked at."""

    draws: int = Field(10, ge=1, description="runs over the same image whose predictions are averaged")
    particles: int = Field(10, ge=1, description="of the bound and the effective sample size")
    seed: int = Field(0, ge=0, description="of all of these draws")


@torch.no_grad()
def figures(run: Run, items: Chosen, how: Looking) -> dict[str, Any]:
    """What the run makes of images.

    Returns:
        `error`, the rate of wrong labels after the last glimpse of one run over an image; `error_t` after t
        glimpses; `error_mean`, of the mean prediction of `draws` runs; `nll` of one run's prediction and
        `nll_mean` of the mean one, nats an image. `bound`, nats an image, of the log-probability of what
        the model observes, the label or the mean of its predictions after each glimpse, by `particles`
        draws of the guide, and `ess`, how many of them count. `seen` and `covered`, the shares of pixels
        in a sharpest window, and in any window, of all glimpses together.

        Of where runs look: `entropy`, nats, of the cell of the last glimpse over all images and draws, 0
        where the policy has collapsed onto one; `entropy_t`, of the t-th glimpse; and `entropy_policy`, the
        mean entropy of the last choice given image and glimpses before. Where the last two are equal, the
        place says nothing about the image. Where it is known where the object is: `hit`, how often the last
        glimpse is around a point in its box, and, pixels from the box's centre, `distance` of the last
        glimpse, `distance_first` of the first, and `distance_centre` of the canvas centre. `images`, the
        run's `step`, and `seconds` of looking at 1,000 images once.
    """
    model: Any = run.programs.model
    wrong, shown, seconds = torch.zeros(model.glimpses), 0, 0.0
    sums: dict[str, float] = {}
    looked = []
    objective = IWAE(how.particles)

    def add(name: str, value: float) -> None:
        sums[name] = sums.get(name, 0.0) + value

    with seeded(how.seed, run.device):
        for _, batch, boxes in batches(items, run.device):
            began = time.perf_counter()
            first = model.sample_locations(batch.source)
            labels = model.labels(batch.source, first)[0]  # (B, G, V)
            wrong += (labels.argmax(-1) != batch.target.unsqueeze(-1)).sum(0).cpu()
            seconds += time.perf_counter() - began
            places = (
                torch.cat([first, model.sample_locations(batch.source, how.draws - 1)])
                if how.draws > 1
                else first
            )
            mean = mean_labels(model, batch.source, places)
            target = batch.target.unsqueeze(-1)
            add("error_mean", float((mean.argmax(-1) != batch.target).sum()))
            add("nll", -float(labels[:, -1].gather(-1, target).sum()))
            add("nll_mean", -float(mean.gather(-1, target).sum()))
            estimate = objective.estimate(*run.programs, batch)
            add("bound", float(estimate.bound.sum()))
            add("ess", float(estimate.diagnostics.get("ess", torch.ones(batch.size)).sum()))
            at, scale, _ = model.space.locations(first[0])  # (B, G, 2)
            size = batch.source.shape[-2:]
            for name, window in (("seen", 0), ("covered", -1)):
                covered = model.sensor.coverage(at, scale, *size, window=window)
                add(name, float(covered.float().mean((-1, -2)).sum()))
            if (entropy := _choice_entropy(model, batch.source, first[0])) is not None:
                add("entropy_policy", float(entropy.sum()))
            looked.append(_cells(model.space, places).flatten(0, 1).cpu())
            if boxes is not None:
                for name, values in _whereabouts(at, boxes.to(at.device), *size).items():
                    add(name, float(values.sum()))
            shown += batch.size
    errors, spread = (wrong / shown).tolist(), [_entropy(cells) for cells in torch.cat(looked).unbind(-1)]
    return {
        "error": errors[-1],
        **{name: total / shown for name, total in sums.items()},
        "entropy": spread[-1],
        **{f"error_{t}": value for t, value in enumerate(errors, start=1)},
        **{f"entropy_{t}": value for t, value in enumerate(spread, start=1)},
        "images": shown,
        "step": run.step,
        "seconds": 1000 * seconds / shown,
    }


def mean_labels(model: Any, images: Tensor, places: Tensor) -> Tensor:
    """Log of the mean over K runs of what they predict after the last glimpse, (B, V) in nats.

    Args:
        model: the run's.
        images: (B, C, H, W).
        places: (K, B, G, ...) as `model.sample_locations` draws them.
    """
    each = torch.stack([model.labels(images, one)[..., -1, :] for one in places])  # (K, B, V)
    return each.logsumexp(0) - log(len(each))


# The cell that each location is in, of a grid of C by C cells; without a grid, of one of 10 by 10.
def _cells(space: Any, places: Tensor) -> Tensor:
    cells = space.cells if isinstance(space, GridSpace) else 10
    rows = ((space.locations(places).centre + 1) / 2 * cells).clamp(0, cells - 1).long()
    return rows[..., 0] * cells + rows[..., 1]  # (..., G)


def _entropy(cells: Tensor) -> float:
    share = torch.bincount(cells).double() / len(cells)
    return float(-torch.special.xlogy(share, share).sum())


# (B,) nats, of the cell of the last glimpse given all before; None where there is no end of places.
def _choice_entropy(model: Any, images: Tensor, places: Tensor) -> Tensor | None:
    if not isinstance(model.space, GridSpace):
        return None
    policy = model.policy(images)
    policy.log_prob(places)
    each = policy.base_dist.probs[:, -1]  # of actions, those that are barred by now left out
    share = each.unflatten(-1, (-1, model.space.cells**2)).sum(-2)  # over scales
    return -torch.special.xlogy(share, share).sum(-1)


def _whereabouts(at: Tensor, boxes: Tensor, height: int, width: int) -> dict[str, Tensor]:
    centre = torch.stack(
        [(boxes[:, 1] + boxes[:, 3]) / 2, (boxes[:, 0] + boxes[:, 2]) / 2], -1
    )  # (B, 2) y, x
    extent = torch.tensor([height, width], device=at.device) / 2
    pixels = (at + 1) * extent  # (B, G, 2)
    inside = (pixels[:, -1] >= boxes[:, [1, 0]]) & (pixels[:, -1] < boxes[:, [3, 2]])
    return {
        "hit": inside.all(-1),
        "distance": (pixels[:, -1] - centre).norm(dim=-1),
        "distance_first": (pixels[:, 0] - centre).norm(dim=-1),
        "distance_centre": (extent - centre).norm(dim=-1),
    }
