"""Posterior draws of the codes of images.

    posterior             code (chain, draw, image, feature): draws of the guide
    attention             marginal (image, feature, moment): mean and standard deviation of the weighted draws
    log_likelihood        pixels (chain, image), a bound
    posterior_predictive  pixels (chain, draw, image, channel, row, column) of codes drawn anew, `SHOWN` draws
    observed_data         pixels (image, channel, row, column), 0 to 255
    constant_data         number (image) in its part of the data; label_number (image)

There is no exact posterior of a code. The rest is as in `hardpp.diagnostics.posterior`.

Shapes: K draws, N images, D features of a code; C channels, H x W pixels.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from hardpp import sites
from hardpp.diagnostics.draws import weight_tables
from hardpp.diagnostics.posterior import DRAW, Variables, log_likelihood, text_labels
from hardpp.diagnostics.replicates import replicates
from hardpp.diagnostics.trust import weight_statistics
from hardpp.types import PartlySeenBatch

SHOWN = 10  # of an image drawn anew: pixels are many


class CodeDraws(NamedTuple):
    """Codes of one image."""

    code: Tensor  # (K, D)
    log_weight: Tensor  # (K,) nats
    label: Tensor  # () int32
    pixels: Tensor  # (C, H, W) int16, as ArviZ takes no unsigned numbers
    replicated: Tensor  # (at most SHOWN, C, H, W) int16

    def cpu(self) -> "CodeDraws":
        return CodeDraws(*(part.cpu() for part in self))


class CodeLabels(NamedTuple):
    """What images are called, and their numbers in their part of the data."""

    names: Sequence[str]  # N, all different
    numbers: Sequence[int]

    @property
    def datum(self) -> str:
        return "image"

    def coordinates(self) -> Variables:
        return text_labels("image", image=self.names) | text_labels("moment", moment=("mean", "sd"))

    def groups(self, rows: Sequence[int], draws: Sequence[CodeDraws]) -> dict[str, Variables]:
        by_image = [part for _, part in sorted(zip(rows, draws, strict=True), key=lambda pair: pair[0])]
        code, log_weight, label, pixels, anew = (
            torch.stack(parts).numpy() for parts in zip(*by_image, strict=True)
        )
        weight = torch.from_numpy(log_weight).softmax(-1).unsqueeze(-1).numpy()  # (N, K, 1)
        mean = (weight * code).sum(1)  # (N, D)
        sd = np.sqrt((weight * np.square(code - mean[:, None])).sum(1))
        picture = ("image", "channel", "row", "column")
        moments = np.stack([mean, sd], -1)
        code, anew = (each.swapaxes(0, 1) for each in (code, anew))  # the draws first
        return {
            "posterior": {"code": xr.Variable((*DRAW, "image", "feature"), code[None])},
            "sample_stats": weight_statistics(log_weight.T, code, "image", exact=False),
            "attention": {"marginal": xr.Variable(("image", "feature", "moment"), moments)},
            "log_likelihood": {"pixels": log_likelihood("image", None, log_weight.T)},
            "posterior_predictive": {"pixels": xr.Variable((*DRAW, *picture), anew[None])},
            "observed_data": {"pixels": xr.Variable(picture, pixels)},
            "constant_data": {
                "number": xr.Variable("image", np.array(self.numbers)),
                "label_number": xr.Variable("image", label),
            },
        }


@torch.no_grad()
def draw_codes(
    model: Any, guide: Any, image: PartlySeenBatch, *, draws: int, at_once: int = 100
) -> CodeDraws:
    """Draws codes from the guide and scores them under the model.

    Args:
        model, guide: programs in evaluation mode.
        image: a batch of one.
        draws: K, at most `at_once` of them in one run.
    """
    codes, log_weights = [], []
    for table in weight_tables(model, guide, image, draws, at_once):
        codes.append(table.latents[0].guide["value"].reshape(-1, model.space.features))
        log_weights.append(table.log_weights[:, 0])
    shown = min(draws, SHOWN)
    anew = replicates(model, guide, image, sites.PIXELS, image.source, shown, at_once)
    return CodeDraws(
        torch.cat(codes),
        torch.cat(log_weights),
        image.target[0].int(),
        image.source[0].to(torch.int16),
        anew[:, 0].to(torch.int16),
    )
