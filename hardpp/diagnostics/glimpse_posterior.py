"""Posteriors over glimpses: labels of images, and the variables that draws of their glimpses become.

    posterior             y, x (chain, draw, image, glimpse), pixels, and scale: draws of the guide; and the
                          number of the place where the model has places
    attention             guide, marginal and, where it is known, exact (image, glimpse, row, column): how
                          probable each part of the image is as the middle of a glimpse
    log_likelihood        label_number (chain, image)
    posterior_predictive  label_number (chain, draw, image), after the last of glimpses of the model's own
    prediction            probability (image, label), the mean of the same runs
    observed_data         label_number (image), the number of the class
    constant_data         number (image) in its part of the data; height, width in pixels

Images carry their names, labels their classes, rows and columns their middle in pixels: those of the model's
places, or of 10 by 10 equal cells where it has none. What a guide that knows the label draws is weighed by
w = p(label, locations) / q(locations). Predictions are not of these draws, which depend on the label, but of
glimpses that do not know it. Each image has a stream of random numbers of its own, so that its draws are the
same whichever others are there (`hardpp.diagnostics.datum_streams`).

Shapes: K draws, N images, B of them a batch, G glimpses, V labels, C rows and columns of places.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from hardpp.diagnostics.glimpse_draws import BY_DRAW, GlimpseDraws, all_images
from hardpp.diagnostics.posterior import (
    DRAW,
    PIXELS,
    PROBABILITY,
    Variables,
    log_likelihood,
    text_labels,
)
from hardpp.diagnostics.trust import weight_statistics


class Images(NamedTuple):
    """What images and their classes are called, and where the places are."""

    names: Sequence[str]  # N, all different
    classes: Sequence[str]  # V
    numbers: Sequence[int]  # N, in their part of the data
    size: Sequence[int]  # height and width
    centres: Tensor  # (C, 2) the middle of each row and column of places, in pixels

    @property
    def datum(self) -> str:
        return "image"

    def coordinates(self) -> dict[str, xr.Variable]:
        middle = self.centres.cpu().numpy()
        axes = {name: xr.Variable(name, middle[:, n], PIXELS) for n, name in enumerate(("row", "column"))}
        return text_labels("image", image=self.names) | text_labels("label", label=self.classes) | axes

    def groups(self, rows: Sequence[Sequence[int]], draws: Sequence[GlimpseDraws]) -> dict[str, Variables]:
        every = all_images(draws)
        order = torch.tensor([row for of_batch in rows for row in of_batch]).argsort()

        def joined(name: str) -> Any:
            return getattr(every, name).index_select(int(name in BY_DRAW), order).numpy()

        places, by_draw = ("image", "glimpse", "row", "column"), (*DRAW, "image")
        views = [view for view in ("guide", "marginal", "exact") if getattr(every, view) is not None]
        exact = "exact" in views
        y, x = np.moveaxis(joined("centre"), -1, 0)[:, None]  # (1, K, N, G) each
        posterior = {
            "y": xr.Variable((*by_draw, "glimpse"), y, PIXELS),
            "x": xr.Variable((*by_draw, "glimpse"), x, PIXELS),
            "scale": xr.Variable((*by_draw, "glimpse"), joined("scale")[None]),
        }
        if every.place is not None:
            posterior["place"] = xr.Variable((*by_draw, "glimpse"), joined("place")[None])
        log_weight = joined("log_weight")  # (K, N)
        likelihood = log_likelihood("image", joined("log_marginal") if exact else None, log_weight)
        probability = joined("own").mean(0)  # (N, V)
        height, width = ([side] * len(order) for side in self.size)
        numbers = {"number": list(self.numbers), "height": height, "width": width}
        return {
            "posterior": posterior,
            "sample_stats": weight_statistics(log_weight, joined("drawn"), "image", exact=exact),
            "attention": {view: xr.Variable(places, joined(view), PROBABILITY) for view in views},
            "log_likelihood": {"label_number": likelihood},
            "posterior_predictive": {
                "label_number": xr.Variable(by_draw, joined("replicated").astype(np.int32)[None])
            },
            "prediction": {"probability": xr.Variable(("image", "label"), probability, PROBABILITY)},
            "observed_data": {"label_number": xr.Variable("image", joined("label"))},
            "constant_data": {name: xr.Variable("image", np.array(each)) for name, each in numbers.items()},
        }


def middles(space: Any, size: Sequence[int]) -> Tensor:
    """The middle of each row and column of a space's cells, in pixels of images of that size: (C, 2)."""
    centres: Tensor = space.cell_centres()
    return (centres + 1) * (centres.new_tensor(list(size)) / 2)
