"""Runs compared on the same held-out items: differences of log likelihood, and how sure they are.

The elpd of a run is the sum of log p over the items (expected log predictive density, on held-out data and
hence without a correction). Differences are taken item by item, so that what makes an item hard for all runs
cancels: their standard error is often far smaller than those of the sums.

Source: Vehtari, Gelman and Gabry (2017), Practical Bayesian model evaluation, for sums and errors.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from hardpp.diagnostics import plot_style as style
from hardpp.errors import UsageError

Row = dict[str, Any]


def compare_elpd(nats: Mapping[str, ArrayLike]) -> list[Row]:
    """A row for each run, the best first, with the names of ArviZ's comparisons.

    `elpd` and its standard error `se` in nats, summed over items; `elpd_diff`, how much less than the best,
    and the standard error `dse` of that, from differences item by item. Both are 0 of the best.

    Args:
        nats: log p of every item, (N,), by the names of the runs; of the same items in the same order.

    Raises:
        UsageError: fewer than two runs or two items, or not of as many items.
    """
    values = {name: np.asarray(of_run, dtype=float) for name, of_run in nats.items()}
    sizes = {of_run.shape for of_run in values.values()}
    if len(values) < 2 or len(sizes) != 1 or next(iter(sizes))[0] < 2:
        raise UsageError("a comparison needs two runs at least, and two items that all of them were given")
    order = sorted(values, key=lambda name: -values[name].sum())
    best = values[order[0]]
    return [
        {
            "name": name,
            "rank": rank,
            "elpd": float(values[name].sum()),
            "elpd_diff": float((best - values[name]).sum()),
            "se": _error(values[name]),
            "dse": _error(best - values[name]),
        }
        for rank, name in enumerate(order)
    ]


def comparison_frame(rows: list[Row]) -> Any:
    """The rows as a pandas frame that `arviz.plot_compare` draws, in either line of ArviZ.

    ArviZ 0.2x takes no comparison but by LOO or WAIC: for it, held-out `elpd` is there as `elpd_loo`, too.
    """
    columns = {key: ("name", [row[key] for row in rows]) for key in rows[0] if key != "name"}
    frame = xr.Dataset(columns, coords={"name": [row["name"] for row in rows]}).to_dataframe()
    frame.index.name = None
    frame["elpd_loo"] = frame["elpd"]
    # Of held-out data: no parameters to be corrected for, no weights of a mixture of the runs.
    return frame.assign(p=0.0, p_loo=0.0, weight=np.nan, warning=False, scale="log")


def elpd_figure(rows: list[Row], *, title: str) -> Figure:
    """Differences from the best run in nats, with one and two standard errors; the best is at 0."""
    figure = Figure(figsize=(7.0, 0.45 * len(rows) + 1.3), layout="constrained")
    axis = figure.subplots()
    for place, row in enumerate(rows):
        difference, error = -row["elpd_diff"], row["dse"]
        for times, width in ((2, 1.2), (1, 3.5)):
            ends = [difference - times * error, difference + times * error]
            axis.plot(ends, [place, place], color=style.GREY, linewidth=width, solid_capstyle="butt")
        axis.plot(difference, place, "o", color=style.ORANGE if place else style.GREEN, zorder=3)
    axis.axvline(0, color=style.INK, linewidth=0.8, linestyle=":")
    axis.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel("log likelihood less than the best, nats (1 and 2 standard errors)", color=style.INK)
    axis.grid(axis="x", color=style.PALE)
    axis.spines[["top", "right"]].set_visible(False)
    style.plain_tick_labels(axis)
    style.figure_title(figure, title)
    return figure


def _error(values: "np.ndarray[Any, np.dtype[np.float64]]") -> float:
    return float(np.sqrt(len(values) * values.var(ddof=1)))
