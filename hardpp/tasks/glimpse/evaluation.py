"""What a run on glimpses predicts, and its figures: error rates, bounds, and where the glimpses are.

Shapes: K draws, B images, G glimpses, V labels.
"""

from collections.abc import Iterator
from math import log
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from hardpp.config import Section
from hardpp.diagnostics.seeds import seeded, seeded_steps
from hardpp.distributions.location_spaces import GridSpace
from hardpp.inference.importance_weighted import IWAE
from hardpp.inference.weights.weight_table import WeightTable
from hardpp.tasks.answers.sharing import totalled
from hardpp.tasks.labelled_images import SelectedImages, batches
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import ImageBatch


class GlimpseDecoding(Section):
    """How many draws of the glimpses' locations predictions and bounds take."""

    draws: int = Field(
        10, ge=1, le=10_000, description="runs over the same image whose predictions are averaged"
    )
    particles: int = Field(
        10, ge=1, le=10_000, description="draws for the bound and the effective sample size"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="seed of all of these draws")


def label_log_probs(run: OpenedRun, images: SelectedImages, options: GlimpseDecoding) -> Iterator[Tensor]:
    """log p(label | image) of batches of the images, (B, V) nats: of the mean of `draws` runs over each."""
    model: Any = run.programs.model

    @torch.no_grad()
    def labels(_: Any, batch: ImageBatch, boxes: Any) -> Tensor:
        policy = model.policy(batch.source)
        return mean(model.said(policy, policy.sample((options.draws,)))[..., -1, :])

    steps = run.each(batches(images, run.device, watch=run.watch), labels)
    return (log_p for _, log_p in seeded_steps(steps, options.seed, run.device))


def mean(log_p: Tensor) -> Tensor:
    """Log of the mean of predictions (K, B, V) over draws: (B, V) in nats."""
    return log_p.logsumexp(0) - log(len(log_p))


@torch.no_grad()
def evaluate(run: OpenedRun, images: SelectedImages, options: GlimpseDecoding) -> dict[str, Any]:
    """Error rates, likelihoods, and statistics of the glimpses' locations: see `GlimpseFamily.figures`.

    Where `entropy` and `entropy_policy` are equal, the last location does not depend on the image.
    """
    model: Any = run.programs.model
    objective, count = IWAE(options.particles), len(images.indices)

    def of_batch(_: Any, batch: ImageBatch, boxes: Tensor | None) -> tuple[Tensor, dict[str, float], Tensor]:
        table = objective.weight_table(*run.programs, batch)
        estimate = objective.estimate_of(table)
        policy, locations = _drawn(model, run.programs.guide, table, batch, options.draws)
        said = model.said(policy, locations)
        log_p, last, one = said[0], said[..., -1, :], locations[:1]  # (B, G, V), (K, B, V)
        entropy = _policy_entropy(policy, one) if isinstance(model.space, GridSpace) else None
        wrong = (log_p.argmax(-1) != batch.target.unsqueeze(-1)).sum(0).cpu()
        of_all, label = mean(last), batch.target.unsqueeze(-1)
        figures = {
            "error_mean": of_all.argmax(-1) != batch.target,
            "nll": -log_p[:, -1].gather(-1, label),
            "nll_mean": -of_all.gather(-1, label),
            "bound": estimate.bound,
            "ess": estimate.diagnostics.get("ess", torch.ones(batch.size)),
            "seen": _coverage(model, batch, locations[0], 0),
            "covered": _coverage(model, batch, locations[0], -1),
        }
        if entropy is not None:
            figures["entropy_policy"] = entropy
        if boxes is not None:
            figures |= _distances(model, batch, locations[0], boxes.to(run.device))
        sums = {name: float(of_images.sum()) for name, of_images in figures.items()}
        return wrong, sums, model.space.cell(locations).flatten(0, 1).cpu()

    with seeded(options.seed, run.device):
        found = [each for _, each in run.each(batches(images, run.device, watch=run.watch), of_batch)]
    wrong, sums, cells = zip(*found, strict=True)
    errors = (torch.stack(wrong).sum(0) / count).tolist()
    entropies = [_entropy(of_glimpse) for of_glimpse in torch.cat(cells).unbind(-1)]
    return {
        "error": errors[-1],
        **{name: total / count for name, total in totalled(sums).items()},
        "entropy": entropies[-1],
        **{f"error_{g}": error for g, error in enumerate(errors, start=1)},
        **{f"entropy_{g}": entropy for g, entropy in enumerate(entropies, start=1)},
        "images": count,
        "step": run.step,
    }


# The model's policy and draws of it, (draws, B, G, *event). The bound's own are such, if its guide is the
# model's prior: what they have seen of the images is known already.
def _drawn(model: Any, guide: Any, table: WeightTable, batch: ImageBatch, draws: int) -> tuple[Any, Tensor]:
    own = getattr(guide, "prior_of", None) is model and getattr(guide, "joint", model) is model
    if not own:
        policy = model.policy(batch.source)
        return policy, policy.sample((draws,))
    site = table.latents[0].guide
    policy, locations = site["fn"], site["value"]
    if len(policy.batch_shape) == 1:  # of one particle
        locations = locations.unsqueeze(0)
    if draws == len(locations):
        return policy, locations
    if draws < len(locations):
        return policy, locations[:draws]
    more = model.policy(batch.source).sample((draws - len(locations),))
    return policy, torch.cat([locations, more])


# Share of the pixels of each image, (B,), in a window of that number, or in any (-1), of all glimpses.
def _coverage(model: Any, batch: ImageBatch, locations: Tensor, window: int) -> Tensor:
    centre, scale, _ = model.space.locations(locations)
    covered = model.sensor.coverage(centre, scale, *batch.source.shape[-2:], window=window)
    return covered.float().mean((-1, -2))


# Nats, (B,), of the cell of the last glimpse of one draw (1, B, G), given all before, in a grid.
def _policy_entropy(policy: Any, locations: Tensor) -> Tensor:
    policy.log_prob(locations)
    actions = policy.base_dist.probs[0, :, -1]  # those that are forbidden by now have probability 0
    cells = actions.unflatten(-1, (-1, policy.space.cells**2)).sum(-2)  # over scales
    return -torch.special.xlogy(cells, cells).sum(-1)


# Of each image, (B,): is the last glimpse's centre in the object's box, and pixels from the box's centre.
def _distances(model: Any, batch: ImageBatch, locations: Tensor, boxes: Tensor) -> dict[str, Tensor]:
    first, last = boxes[:, [1, 0]], boxes[:, [3, 2]]  # (B, 2) rows and columns
    centre = (first + last) / 2
    extent = torch.tensor(batch.source.shape[-2:], device=boxes.device) / 2
    pixels = (model.space.locations(locations)[0] + 1) * extent  # (B, G, 2)
    return {
        "hit": ((pixels[:, -1] >= first) & (pixels[:, -1] < last)).all(-1),
        "distance": (pixels[:, -1] - centre).norm(dim=-1),
        "distance_first": (pixels[:, 0] - centre).norm(dim=-1),
        "distance_centre": (extent - centre).norm(dim=-1),
    }


def _entropy(cells: Tensor) -> float:
    share = torch.bincount(cells).double() / len(cells)
    return float(-torch.special.xlogy(share, share).sum())
