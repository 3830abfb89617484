"""Posterior draws of the codes of images.

    posterior      code (chain, draw, image, feature): draws of the guide
    sample_stats   log_weight, log p - log q (chain, draw, image); ess, pareto_k (image)
    observed_data  label_number (image), the number of the class

There is no exact posterior of a code.

Shapes: K draws, N images, D features of a code.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import xarray as xr
from torch import Tensor

from hardpp.diagnostics.draws import weight_tables
from hardpp.diagnostics.posterior import DRAW, Variables, text_labels, weight_statistics
from hardpp.types import PartlySeenBatch


class CodeDraws(NamedTuple):
    """Codes of one image."""

    code: Tensor  # (K, D)
    log_weight: Tensor  # (K,) nats
    label: Tensor  # () int32

    def cpu(self) -> "CodeDraws":
        return CodeDraws(*(part.cpu() for part in self))


class CodeLabels(NamedTuple):
    """What images are called."""

    names: Sequence[str]  # N, all different

    def coordinates(self) -> Variables:
        return text_labels("image", image=self.names)

    def groups(self, rows: Sequence[int], draws: Sequence[CodeDraws]) -> dict[str, Variables]:
        by_image = [part for _, part in sorted(zip(rows, draws, strict=True), key=lambda pair: pair[0])]
        code, log_weight, label = (torch.stack(parts) for parts in zip(*by_image, strict=True))
        dims = (*DRAW, "image", "feature")
        return {
            "posterior": {"code": xr.Variable(dims, code.movedim(0, 1).numpy()[None])},
            "sample_stats": weight_statistics(log_weight.T.numpy(), "image"),
            "observed_data": {"label_number": xr.Variable("image", label.numpy())},
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
    return CodeDraws(torch.cat(codes), torch.cat(log_weights), image.target[0].int())
