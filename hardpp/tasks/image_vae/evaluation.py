"""Figures of images with codes: bits a pixel, and how close completions come by the number of patches seen.

Shapes: B images, N completions, T patches, D features of a code, C channels.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from math import log
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from hardpp.config import Section
from hardpp.diagnostics.seeds import seeded
from hardpp.guides.image_code import CodeOfImage, CodeOfPart
from hardpp.inference.importance_weighted import IWAE
from hardpp.models.image_vae import ImageVAE
from hardpp.tasks.image_vae.data import seen_at
from hardpp.tasks.labelled_images import SelectedImages, batches
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.random_places import places_of
from hardpp.types import ImageBatch, PartlySeenBatch

AT_ONCE = 100  # images


class ImageVAEDecoding(Section):
    """How many draws figures take."""

    particles: int = Field(8, ge=1, le=10_000, description="draws for the bound")
    draws: int = Field(20, ge=1, le=10_000, description="completions of an image")
    completed: int = Field(500, ge=0, description="images that are completed, the first of those asked about")
    seed: int = Field(0, ge=0, lt=2**63, description="of all draws, and of the places of patches")


@torch.no_grad()
def bounds(run: OpenedRun, images: SelectedImages, options: ImageVAEDecoding) -> Tensor:
    """Lower bounds (B,) of the log-probabilities of images under a standard normal prior, in nats."""
    model: Any = run.programs.model
    free = ImageVAE(model.space, model.decoder).eval()
    objective = IWAE(options.particles)

    def bound(_: Any, batch: PartlySeenBatch) -> Tensor:
        return objective.estimate(free, run.programs.guide, batch).bound.cpu()

    with seeded(options.seed, run.device):
        found = [of_batch for _, of_batch in run.each(partly_seen(run, images, options), bound)]
    return torch.cat(found).double()


def bits(bounds: Tensor, images: SelectedImages) -> Tensor:
    """Bits a pixel and channel (B,) of bounds in nats an image."""
    channels, height, width = images.part.size
    return -bounds / (channels * height * width * log(2))


def evaluate(run: OpenedRun, images: SelectedImages, options: ImageVAEDecoding) -> dict[str, Any]:
    """Bits, and how close completions come: see `ImageVAEFamily.figures`."""
    bound, count = bounds(run, images, options), len(images.indices)
    figures = {"bits": float(bits(bound, images).mean()), "bound": float(bound.mean())}
    first = images[: options.completed]
    if first.indices and partial_codes(run) is not None:
        figures |= {**_completed(run, first, options), "completed": len(first.indices)}
    return {**figures, "images": count, "step": run.step}


def partial_codes(run: OpenedRun) -> Callable[[Tensor, Tensor], Any] | None:
    """What makes distributions of codes of partly seen images; None of a run without a partial encoder."""
    model: Any
    guide: Any
    model, guide = run.programs
    if model.prior is not None:
        return model.codes
    return guide.codes if isinstance(guide, CodeOfPart) else None


def partly_seen(
    run: OpenedRun, images: SelectedImages, options: ImageVAEDecoding
) -> Iterator[tuple[range, PartlySeenBatch]]:
    """The images on the run's device in batches, each seen at as many patches as in training at most."""
    for rows, batch, _ in batches(images, run.device, AT_ONCE, run.watch):
        yield rows, seen_of(run, images, rows, batch, options)


def seen_of(
    run: OpenedRun, images: SelectedImages, rows: range, batch: ImageBatch, options: ImageVAEDecoding
) -> PartlySeenBatch:
    """A batch of images, of so many rows, as it is seen; an image's patches are the same in any company."""
    return seen_at(batch, run.network.grid(run.description), _places(run, images, rows, options))


def _places(run: OpenedRun, images: SelectedImages, rows: range, options: ImageVAEDecoding) -> Tensor:
    grid, indices = run.network.grid(run.description), [images.indices[row] for row in rows]
    return places_of(grid, indices, run.network.glimpses, options.seed)


@torch.no_grad()
def _completed(run: OpenedRun, images: SelectedImages, options: ImageVAEDecoding) -> dict[str, float]:
    model: Any
    guide: Any
    model, guide = run.programs
    codes_of, grid = partial_codes(run), run.network.grid(run.description)
    assert codes_of is not None

    def of_batch(rows: range, batch: ImageBatch, boxes: Any) -> dict[str, Tensor]:
        places, figures = _places(run, images, rows, options), dict[str, Tensor]()
        whole = guide.codes(batch.source) if isinstance(guide, CodeOfImage) else None
        for patches in range(places.shape[1] + 1):
            seen = seen_at(batch, grid, places[:, :patches]).seen
            codes = codes_of(batch.source, seen)
            errors = _errors(model, batch, seen, codes.sample((options.draws,)))
            for name, of_images in zip(("mse", "best"), errors, strict=True):
                figures[f"{name}_{patches}"] = of_images.double().cpu()
            if whole is not None:
                figures[f"log_q_{patches}"] = codes.log_prob(whole.sample()).double().cpu()
        return figures

    found: defaultdict[str, list[Tensor]] = defaultdict(list)  # by figure, (B,) of each batch
    with seeded(options.seed, run.device):
        for _, figures in run.each(batches(images, run.device, AT_ONCE, run.watch), of_batch):
            for name, of_images in figures.items():
                found[name].append(of_images)
    means = {name: float(torch.cat(parts).mean()) for name, parts in found.items()}
    totals: defaultdict[str, list[float]] = defaultdict(list)
    for name, mean in means.items():
        totals[name.rpartition("_")[0]].append(mean)
    return {name: sum(each) / len(each) for name, each in totals.items()} | means


# Mean squared errors (B,) of unseen pixels, 0 to 1: of the mean of completions by codes (N, B, D), and
# of the best of them.
def _errors(model: Any, batch: ImageBatch, seen: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    truth, unseen = batch.source / 255, ~seen.unsqueeze(1)
    count = (unseen.sum((1, 2, 3)) * truth.shape[1]).clamp(min=1)
    mean, best = torch.zeros_like(truth), torch.full_like(count, torch.inf, dtype=truth.dtype)
    for code in codes:  # one after the other to save memory
        image = model.pixels(code).mean / 255
        mean += image / len(codes)
        best = torch.minimum(best, ((image - truth).square() * unseen).sum((1, 2, 3)) / count)
    return ((mean - truth).square() * unseen).sum((1, 2, 3)) / count, best
