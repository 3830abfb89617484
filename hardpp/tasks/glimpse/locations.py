"""Where the glimpses of one run over each image are, drawn so that every verb shows an image alike.

Shapes: K draws, B images, G glimpses.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hardpp.diagnostics.seeds import seeded, stream
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import ImageBatch

_SEED = 0


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
