"""Figures of a run on glimpses: errors by number of glimpses and of draws, and where it looks.

Shapes: K draws, B images, T glimpses, V labels.
"""

import time
from math import log
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from hardpp.config import Section
from hardpp.inference.importance_weighted import IWAE
from hardpp.tasks.glimpse_data import Chosen, batches
from hardpp.tasks.task import Run


class Looking(Section):
    """How images are looked at."""

    draws: int = Field(10, ge=1, description="runs over the same image whose predictions are averaged")
    particles: int = Field(10, ge=1, description="of the bound and the effective sample size")


@torch.no_grad()
def figures(run: Run, items: Chosen, how: Looking) -> dict[str, Any]:
    """What the run makes of images.

    Returns:
        `error`, the rate of wrong labels after the last glimpse of one run over an image; `error_t` after t
        glimpses; `error_mean`, of the mean prediction of `draws` runs; `nll` of one run's prediction and
        `nll_mean` of the mean one, nats; `bound` of log p(label) by `particles` draws of the guide and `ess`,
        how many of them still count; `seen`, the share of pixels in some window at the last glimpse, the
        sharpest ones only. Of where runs look: `entropy`, nats of the last place over all images and draws,
        0 where the policy has collapsed onto one place. Where it is known where the object is, pixels from
        the object's centre: `distance` of the last glimpse, `distance_first` of the first one, and
        `distance_centre` of the canvas centre. `images`, the run's `step`, and `seconds` of looking at 1,000
        images once.
    """
    model: Any = run.programs.model
    wrong = torch.zeros(model.glimpses)
    sums: dict[str, float] = {}
    ends, seconds, shown = [], 0.0, 0
    objective = IWAE(how.particles)

    def add(name: str, value: float) -> None:
        sums[name] = sums.get(name, 0.0) + value

    for _, batch, boxes in batches(items, run.device):
        began = time.perf_counter()
        first = model.look(batch.source)
        labels = model.labels(batch.source, first)[0]  # (B, T, V)
        seconds += time.perf_counter() - began
        places = torch.cat([first, model.look(batch.source, how.draws - 1)]) if how.draws > 1 else first
        each = torch.stack([model.labels(batch.source, one)[..., -1, :] for one in places])  # (K, B, V)
        mean = each.logsumexp(0) - log(len(each))
        target = batch.target.unsqueeze(-1)
        wrong += (labels.argmax(-1) != target).sum(0).cpu()
        add("error_mean", float((mean.argmax(-1) != batch.target).sum()))
        add("nll", -float(labels[:, -1].gather(-1, target).sum()))
        add("nll_mean", -float(mean.gather(-1, target).sum()))
        estimate = objective.estimate(*run.programs, batch)
        add("bound", float(estimate.bound.sum()))
        add("ess", float(estimate.diagnostics.get("ess", torch.ones(batch.size)).sum()))
        at, scale, _ = model.space.places(first[0])  # (B, T, 2)
        height, width = batch.source.shape[-2:]
        seen = model.sensor.coverage(at, scale, height, width, window=0)
        add("seen", float(seen.float().mean((-1, -2)).sum()))
        ends.append(model.space.places(places[:, :, -1]).at.flatten(0, 1).cpu())
        if boxes is not None:
            for name, distances in _distances(at, boxes.to(at.device), height, width).items():
                add(name, float(distances.sum()))
        shown += batch.size
    by_glimpse = (wrong / shown).tolist()
    return {
        "error": by_glimpse[-1],
        **{name: total / shown for name, total in sums.items()},
        "entropy": _entropy(torch.cat(ends)),
        **{f"error_{t + 1}": value for t, value in enumerate(by_glimpse)},
        "images": shown,
        "step": run.step,
        "seconds": 1000 * seconds / shown,
    }


# Of where glimpses end up, told apart as finely as a grid of 10 by 10 cells does.
def _entropy(at: Tensor) -> float:
    cell = ((at + 1) / 2 * 10).clamp(0, 9).long()
    share = torch.bincount(cell[:, 0] * 10 + cell[:, 1], minlength=100) / len(at)
    return float(-torch.special.xlogy(share, share).sum())


def _distances(at: Tensor, boxes: Tensor, height: int, width: int) -> dict[str, Tensor]:
    centre = torch.stack(
        [(boxes[:, 1] + boxes[:, 3]) / 2, (boxes[:, 0] + boxes[:, 2]) / 2], -1
    )  # (B, 2) y, x
    extent = torch.tensor([height, width], device=at.device) / 2
    pixels = (at + 1) * extent  # (B, T, 2)
    return {
        "distance": (pixels[:, -1] - centre).norm(dim=-1),
        "distance_first": (pixels[:, 0] - centre).norm(dim=-1),
        "distance_centre": (extent - centre).norm(dim=-1),
    }
