"""What a run predicts of images, and one draw of the locations of the glimpses that it predicts from.

Shapes: K draws, B images, G glimpses, V labels.
"""

from collections.abc import Sequence
from math import log
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from hardpp.config import Section
from hardpp.diagnostics.seeds import seeded, stream
from hardpp.tasks.glimpse.data import SelectedImages, batches
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import ImageBatch

_SEED = 0  # of `shown_locations`, so that every verb shows an image alike


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


@torch.no_grad()
def shown_locations(run: OpenedRun, batch: ImageBatch, indices: Sequence[int], of: str) -> Tensor:
    """One draw of the locations of all glimpses of each image, (B, G, *event).

    Every image has a stream of random numbers of its own, so its draw does not depend on the other images.

    Args:
        run: the trained run.
        batch: the images.
        indices: of the images in their part of the data; they seed the streams.
        of: "prior", as the model chooses locations; "guide", as the guide does, which may know the label;
            "posterior", one of `decoding.particles` draws of the guide, picked by its weight.
    """
    from hardpp.diagnostics.glimpse_posterior import draw_locations, one_by_one

    model: Any = run.programs.model
    particles = {"prior": 0, "guide": 1, "posterior": run.decoding({}).particles}[of]
    drawn = []
    for index, image in one_by_one([(indices, batch)]):
        with seeded(stream(_SEED, index), run.device):
            if of == "prior":
                drawn.append(model.sample_locations(image.source)[0])
            else:
                locations, log_weight = draw_locations(*run.programs, image, particles)
                drawn.append(locations[log_weight[:, 0].softmax(-1).multinomial(1)[0]])
    return torch.cat(drawn)
