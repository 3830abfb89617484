"""How well partly seen images are classified, by the number of patches that are shown.

Shapes: B images, G glimpses, V labels.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from hardpp.design.expected_information import entropy
from hardpp.tasks.labelled_images import SelectedImages, batches
from hardpp.tasks.masked_image.looking import Gazes, MaskedImageDecoding
from hardpp.tasks.metrics.calibration_error import expected_calibration_error
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import ImageBatch

AT_ONCE = 200  # images


def label_log_probs(run: OpenedRun, images: SelectedImages, options: MaskedImageDecoding) -> Iterator[Tensor]:
    """log p(label | what was seen) of batches of the images after the last glimpse, (B, V) in nats."""
    model: Any = run.programs.model
    gazes = Gazes(run, images, options)

    @torch.no_grad()
    def last(rows: range, batch: ImageBatch, boxes: Any) -> Tensor:
        labels: Tensor = model.labels(batch.source, *gazes.at(rows))[:, -1]
        return labels

    for _, log_p in run.each(batches(images, run.device, AT_ONCE, run.watch), last):
        yield log_p


@torch.no_grad()
def evaluate(run: OpenedRun, images: SelectedImages, options: MaskedImageDecoding) -> dict[str, Any]:
    """Accuracies, likelihoods and calibration by glimpse: see `MaskedImageFamily.figures`."""
    model: Any = run.programs.model
    gazes = Gazes(run, images, options)

    def seen(rows: range, batch: ImageBatch, boxes: Any) -> list[Tensor]:
        gaze = gazes.at(rows)
        share = model.seen(*gaze).float().mean((-1, -2))
        parts = (model.labels(batch.source, *gaze), batch.target, share, gaze.lengths)
        return [part.cpu() for part in parts]

    found = run.each(batches(images, run.device, AT_ONCE, run.watch), seen)
    predicted, labels, shares, lengths = zip(*(of_batch for _, of_batch in found), strict=True)
    log_p, label = torch.cat(predicted).double(), torch.cat(labels)  # (B, G + 1, V)
    by_glimpse: dict[str, list[float]] = {
        "accuracy": (log_p.argmax(-1) == label.unsqueeze(-1)).double().mean(0).tolist(),
        "nll": (-log_p.gather(-1, label.view(-1, 1, 1).expand(-1, log_p.shape[1], 1))).mean((0, 2)).tolist(),
        "entropy": entropy(log_p).mean(0).tolist(),
        "ece": [expected_calibration_error(of_glimpse, label) for of_glimpse in log_p.unbind(1)],
    }
    return {
        "accuracy": by_glimpse["accuracy"][-1],
        "nll": by_glimpse["nll"][-1],
        "ece": max(by_glimpse["ece"]),
        "seen": float(torch.cat(shares).mean()),
        "glimpses": float(torch.cat(lengths).double().mean()),
        **{f"{name}_{g}": value for name, values in by_glimpse.items() for g, value in enumerate(values)},
        "images": len(images.indices),
        "step": run.step,
    }
