"""Pictures of gradient estimators side by side: how noisy they are, and what training pays for them."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from hardpp.diagnostics import plot_style as style

_COLOURS = {"variance": style.GREY, "variance x s": style.ORANGE}


def gradient_figure(rows: Sequence[Mapping[str, Any]], *, title: str) -> Figure:
    """Dots for the variance of each estimator's gradient, and for variance times seconds of a draw.

    Rows have the keys objective, parameters, variance (gradient units squared, per batch) and "variance x s".
    Deterministic estimators, whose variance is 0, are named at the left edge.
    """
    groups = list(dict.fromkeys(row["parameters"] for row in rows))
    names = list(dict.fromkeys(row["objective"] for row in rows))
    figure = Figure(figsize=(4.2 * len(groups) + 1.2, 0.32 * len(names) + 1.9), layout="constrained")
    axes = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axis, group in zip(axes, groups, strict=True):
        of_group = [row for row in rows if row["parameters"] == group]
        for key, colour in _COLOURS.items():
            noisy = [row for row in of_group if row[key] > 0]
            places = [names.index(row["objective"]) for row in noisy]
            axis.scatter([row[key] for row in noisy], places, s=36, color=colour, label=key, zorder=3)
        for row in of_group:
            if not row["variance"]:
                place = (0.01, names.index(row["objective"]))
                axis.annotate("no noise", place, xycoords=("axes fraction", "data"), va="center", fontsize=8)
        if any(row["variance"] > 0 for row in of_group):
            axis.set_xscale("log")
        style.panel_title(axis, f"parameters of the {group}")
        axis.grid(axis="x", color=style.PALE, zorder=0)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    key = axes[0].get_legend_handles_labels()
    figure.legend(*key, loc="outside lower center", ncols=len(_COLOURS), frameon=False, fontsize=8)
    style.figure_title(figure, title)
    return figure
