"""What a run of Saccader predicts, and its figures: accuracy by glimpse, pixels classified, occlusion, gaze.

Shapes: B images, G glimpses, A places, V labels.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from hardpp.decoding.saccades import (
    alikeness,
    centres,
    classified,
    diversity,
    fixed,
    saccades,
)
from hardpp.diagnostics.seeds import seeded, seeded_steps
from hardpp.tasks.labelled_images import SelectedImages, batches
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.saccader.looking import Looked, SaccaderDecoding, look
from hardpp.tasks.saccader.second_classifier import SecondClassifier, second_classifier
from hardpp.types import ImageBatch

AT_ONCE = 100  # images

Classes = tuple[str, ...]


def predictions(
    run: OpenedRun, images: SelectedImages, options: SaccaderDecoding
) -> Iterator[tuple[Tensor, bool]]:
    """Of batches of the images log p(label), (B, V) in nats, and did it take all places at once?

    It is that after the last glimpse, of the second classifier if there is one, among all that it knows.
    """
    second = second_classifier(run, images, options)

    @torch.no_grad()
    def said(rows: range, batch: ImageBatch, boxes: Any) -> tuple[Tensor, bool]:
        looked = look(run, batch, options)
        logits = looked.last
        if second is not None:
            logits = _of_second(run, second, images, rows, looked)[:, -1]
        return known(logits.log_softmax(-1), images.classes), looked.places is None

    steps = run.each(batches(images, run.device, AT_ONCE, run.watch), said)
    return (of_batch for _, of_batch in seeded_steps(steps, options.seed, run.device))


def known(logits: Tensor, classes: Classes) -> Tensor:
    """The logits (..., V) of the classes that the data have."""
    return logits[..., : len(classes)]


@torch.no_grad()
def evaluate(run: OpenedRun, images: SelectedImages, options: SaccaderDecoding) -> dict[str, Any]:
    """Accuracies, and where the glimpses are: see `SaccaderFamily.figures`."""
    model: Any = run.programs.model
    second = second_classifier(run, images, options)

    def of_batch(rows: range, batch: ImageBatch, boxes: Tensor | None) -> tuple[dict[str, Tensor], Any]:
        looked, at = look(run, batch, options), None
        figures = _of_labels(looked, batch, images.classes)
        if looked.places is not None:
            at = centres(model.representation.field, looked.places, _side(model, batch))
            figures |= _of_places(model, batch, looked, options, images.classes)
            numbers = range(1, at.shape[1] + 1)
            figures["diversity"] = torch.stack([diversity(at[:, :g]) for g in numbers], -1)
            figures |= {} if boxes is None else _hits(at, boxes.to(run.device))
            at = at.cpu()
        if second is not None:
            figures["second"] = _right(_of_second(run, second, images, rows, looked), batch)
        return {name: of_images.double().cpu() for name, of_images in figures.items()}, at

    found: defaultdict[str, list[Tensor]] = defaultdict(list)  # by figure, (B,) or (B, G) of each batch
    gaze = []
    with seeded(options.seed, run.device):
        for _, (figures, at) in run.each(batches(images, run.device, AT_ONCE, run.watch), of_batch):
            gaze += [] if at is None else [at]
            for name, of_images in figures.items():
                found[name].append(of_images)
    count = len(images.indices)
    means = {name: torch.cat(parts).mean(0) for name, parts in found.items()}
    # After the last glimpse; `after` is there the accuracy itself.
    ends = {name: float(mean.reshape(-1)[-1]) for name, mean in means.items() if name != "after"}
    if gaze and count > 1:
        _, height, width = images.part.size
        ends["alike"] = alikeness(torch.cat(gaze), (height, width))
    by_glimpse = {
        f"{name}_{g}": float(value)
        for name, mean in means.items()
        for g, value in enumerate(mean.tolist() if mean.dim() else (), start=1)
    }
    about = {"images": count, "step": run.step}
    return {**ends, **by_glimpse, **about}


def _of_second(
    run: OpenedRun, second: SecondClassifier, images: SelectedImages, rows: range, looked: Looked
) -> Tensor:
    assert looked.places is not None  # else there was no second classifier
    return second.logits(run, [images.indices[row] for row in rows], looked.places)


def _of_labels(looked: Looked, batch: ImageBatch, classes: Classes) -> dict[str, Tensor]:
    label, last = batch.target.unsqueeze(-1), known(looked.last, classes)
    return {
        "accuracy": _right(last, batch),
        "top5": (last.topk(min(5, last.shape[-1])).indices == label).any(-1),
        "nll": -looked.last.log_softmax(-1).gather(-1, label).squeeze(-1),
        "dense": _right(known(looked.dense, classes), batch),
    }


def _right(logits: Tensor, batch: ImageBatch) -> Tensor:
    target = batch.target if logits.dim() == 2 else batch.target.unsqueeze(-1)
    return logits.argmax(-1) == target


def _side(model: Any, batch: ImageBatch) -> int:
    return int(model.representation.field.places(batch.source.shape[-1]))


# Figures after each glimpse, (B, G).
def _of_places(
    model: Any, batch: ImageBatch, looked: Looked, options: SaccaderDecoding, classes: Classes
) -> dict[str, Tensor]:
    places, side = looked.places, _side(model, batch)
    assert places is not None
    assert looked.logits is not None
    height, width = batch.source.shape[-2:]
    shares = classified(model.representation.field, places, side, (height, width))
    figures = {"after": _right(known(looked.logits, classes), batch), "classified": shares}
    if options.occlude:
        anywhere = fixed(torch.rand(batch.size, side**2, device=places.device))
        random = saccades(anywhere, places.shape[1])
        for name, where in (("occluded", places), ("occluded_random", random)):
            numbers = range(1, places.shape[1] + 1)
            logits = [_occluded(model, batch, where[:, :g], side) for g in numbers]
            figures[name] = torch.stack([_right(known(each, classes), batch) for each in logits], -1)
    return figures


# The mean logits (B, V) of all places once what some of them see is painted with the image's median colour.
def _occluded(model: Any, batch: ImageBatch, places: Tensor, side: int) -> Tensor:
    bag = model.representation
    seen = bag.field.seen(places, side, *batch.source.shape[-2:]).unsqueeze(1)
    median = batch.source.flatten(2).median(-1).values[..., None, None]  # (B, channels, 1, 1)
    logits: Tensor = bag(torch.where(seen, median, batch.source)).logits
    return logits.mean(1)


# Are the centres of the first glimpse, and of any, in the object's box? (B,)
def _hits(centre: Tensor, boxes: Tensor) -> dict[str, Tensor]:
    first, last = boxes[:, [1, 0]].unsqueeze(1), boxes[:, [3, 2]].unsqueeze(1)
    inside = ((centre >= first) & (centre < last)).all(-1)  # (B, G)
    return {"hit_first": inside[:, 0], "hit": inside.any(-1)}
