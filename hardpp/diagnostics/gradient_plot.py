"""Estimators side by side: how noisy, and how dear."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

_COLOURS = {"variance": "#7a8ca3", "variance x s": "#e66101"}


def gradient_figure(rows: Sequence[Mapping[str, Any]], *, title: str) -> Figure:
    """Dots for the variance of each estimator's gradient, and for variance times seconds of a draw.

    Args:
        rows: with the keys objective, parameters, variance (gradient units squared, per batch) and
            "variance x s"; deterministic estimators, whose variance is 0, are named at the left edge.
        title: of the picture.
    """
    groups = list(dict.fromkeys(row["parameters"] for row in rows))
    names = list(dict.fromkeys(row["objective"] for row in rows))
    figure = Figure(figsize=(4.2 * max(len(groups), 1) + 1.2, 0.32 * len(names) + 1.6), layout="constrained")
    axes = figure.subplots(1, max(len(groups), 1), sharey=True, squeeze=False)[0]
    for axis, group in zip(axes, groups, strict=False):
        shown = [row for row in rows if row["parameters"] == group]
        for key, colour in _COLOURS.items():
            noisy = [row for row in shown if row[key] > 0]
            axis.scatter(
                [row[key] for row in noisy],
                [names.index(row["objective"]) for row in noisy],
                s=36,
                color=colour,
                label=key,
                zorder=3,
            )
        for row in shown:
            if not row["variance"]:
                place = (0.01, names.index(row["objective"]))
                axis.annotate("no noise", place, xycoords=("axes fraction", "data"), va="center", fontsize=8)
        if any(row["variance"] > 0 for row in shown):
            axis.set_xscale("log")
        axis.set_title(f"parameters of the {group}", fontsize=10)
        axis.grid(axis="x", color="#dddddd", zorder=0)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    axes[-1].legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=11)
    return figure
