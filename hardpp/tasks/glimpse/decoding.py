"""What a run says of images: the mean of its predictions over several draws of the glimpses' locations.

Shapes: K draws, B images, G glimpses, V labels.
"""

from math import log
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from hardpp.config import Section
from hardpp.diagnostics.seeds import seeded
from hardpp.tasks.glimpse.data import SelectedImages, batches
from hardpp.tasks.opened_run import OpenedRun


class GlimpseDecoding(Section):
    """How many draws of the glimpses' locations predictions and bounds take."""

    draws: int = Field(10, ge=1, description="runs over the same image whose predictions are averaged")
    particles: int = Field(10, ge=1, description="of the bound and the effective sample size")
    seed: int = Field(0, ge=0, description="of all of these draws")


@torch.no_grad()
def decode(run: OpenedRun, images: SelectedImages, options: GlimpseDecoding) -> list[str]:
    """The class of every image that is likeliest in the mean of `draws` runs over it."""
    model: Any = run.programs.model
    classes = []
    with seeded(options.seed, run.device):
        for _, batch, _ in batches(images, run.device):
            log_p = mean_labels(model, batch.source, model.sample_locations(batch.source, options.draws))
            classes += [images.classes[label] for label in log_p.argmax(-1).tolist()]
    return classes


def mean_labels(model: Any, pixels: Tensor, locations: Tensor) -> Tensor:
    """Log of the mean over K draws of the predictions after the last glimpse, (B, V) in nats.

    Args:
        model: the run's.
        pixels: (B, channels, height, width).
        locations: (K, B, G, ...) as the model draws them.
    """
    # (K, B, V), one draw after the other to save memory
    log_p = torch.stack([model.labels(pixels, of_draw)[..., -1, :] for of_draw in locations])
    return log_p.logsumexp(0) - log(len(log_p))
