"""Pictures of simulation-based calibration: rank curves beside the band that right posteriors stay in."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from hardpp.diagnostics import plot_style as style
from hardpp.diagnostics.rank_uniformity import Uniformity

_TITLES = {"log_joint": "log p(z, y)", "mean_value": "mean of z"}


def calibration_figure(curves: Mapping[str, Mapping[str, Uniformity]], *, title: str) -> Figure:
    """A row of panels for each posterior, by name, and a column for each thing that is ranked.

    A curve above the band at its left says that the truth has small ranks too often.
    """
    style.check_panels(list(curves), "a picture of calibration")
    ranked = list(dict.fromkeys(key for of_one in curves.values() for key in of_one))
    size = (3.6 * len(ranked) + 0.8, 2.2 * len(curves) + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(curves), len(ranked), sharex=True, squeeze=False)
    for row, (name, of_one) in zip(axes, curves.items(), strict=True):
        for axis, key in zip(row, ranked, strict=True):
            curve = of_one[key]
            axis.fill_between(
                curve.points, curve.lower, curve.upper, step="mid", color=style.PALE, label="95 % band"
            )
            axis.step(curve.points, curve.difference, where="mid", color=style.ORANGE, label="ranks")
            axis.axhline(0, color=style.GREY, linewidth=0.8)
            style.panel_title(axis, f"{name}: {_TITLES.get(key, key)}, p = {curve.p_value:.3g}")
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(colors=style.INK, length=2, labelsize=8)
        row[0].set_ylabel("share below, minus even", fontsize=8, color=style.INK)
    for axis in axes[-1]:
        axis.set_xlabel("rank of the truth among the draws", fontsize=8, color=style.INK)
    key = axes[0][0].get_legend_handles_labels()
    figure.legend(*key, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    style.figure_title(figure, title)
    return figure
