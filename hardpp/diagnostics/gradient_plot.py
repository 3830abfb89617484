"""Pictures of gradient estimators side by side: how far one draw is off, and how much of that is bias."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from hardpp.diagnostics import plot_style as style

Row = Mapping[str, Any]
_CERTAIN = 2.0  # standard errors from 0 at which a bias is one
_RELATIVE = "relative to |exact gradient|²"


def gradient_figure(rows: Sequence[Row], *, title: str, note: str = "") -> Figure:
    """Bars for the mean squared error of a draw of each estimator, with bias^2 and variance marked on them.

    Rows have the keys of `hardpp.diagnostics.gradient_comparison`. Estimators whose bias cannot be told from
    noise come first, those of an unknown bias next, and those with a bias last, each kind by its error for
    the model's parameters: a smaller error that is bias stays however many draws are averaged. Where no
    exact gradient is known there are variances alone, and they are absolute.
    """
    groups = list(dict.fromkeys(row["parameters"] for row in rows))
    names = ranked(rows)
    figure = Figure(figsize=(4.8 * len(groups) + 1.4, 0.4 * len(names) + 2.4), layout="constrained")
    axes = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axis, group in zip(axes, groups, strict=True):
        of_group = [row for row in rows if row["parameters"] == group]
        known = any(row["mse"] is not None for row in of_group)
        values = [value for row in of_group for value in _parts(row, known).values() if value > 0]
        if values:
            axis.set_xscale("log")
            axis.set_xlim(min(values) / 5, max(values) * 30)
        for row in of_group:
            _draw(axis, names.index(row["objective"]), row, known)
        style.panel_title(axis, f"parameters of the {group}")
        axis.set_xlabel(_RELATIVE if known else "variance, absolute: no exact gradient is known", fontsize=8)
        axis.grid(axis="x", color=style.PALE, zorder=0)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    style.legend(figure, _marks())
    style.figure_title(figure, title, note)
    return figure


def ranked(rows: Sequence[Row]) -> list[str]:
    """Names of the objectives: unbiased ones, those of unknown bias, biased ones, each by their error."""

    def place(name: str) -> tuple[int, float]:
        of_name = [row for row in rows if row["objective"] == name]
        kinds = [2 if is_biased(row) else 1 if row["mse"] is None else 0 for row in of_name]
        first = of_name[0]
        return max(kinds), first["variance"] if first["mse"] is None else first["mse"]

    return sorted(dict.fromkeys(row["objective"] for row in rows), key=place)


def is_biased(row: Row) -> bool:
    """Can the bias be told from noise? Not where it is unknown, or mere rounding."""
    bias = row["bias^2"]
    return bias is not None and bias > max(1e-9, _CERTAIN * row["+-"])


# What is drawn of a row, by name; a bias that cannot be told from noise is an upper limit.
def _parts(row: Row, relative: bool) -> dict[str, float]:
    if row["mse"] is None:
        return {} if relative else {"variance": row["variance"]}
    if row["bias^2"] is None:
        return {"mse": row["mse"], "variance": row["mse"]}
    bias = row["bias^2"] if is_biased(row) else max(row["bias^2"], 0.0) + _CERTAIN * row["+-"]
    return {"mse": row["mse"], "variance": row["mse"] - max(row["bias^2"], 0.0), "bias": bias}


def _draw(axis: Axes, place: int, row: Row, relative: bool) -> None:
    parts, least = _parts(row, relative), axis.get_xlim()[0]
    biased = is_biased(row)
    if (total := parts.get("mse", 0.0)) > least:
        colour = style.ORANGE if biased else style.GREY
        axis.barh(place, total - least, left=least, height=0.62, color=colour, alpha=0.3)
        error = min(row["mse +-"], total - least)
        ends: dict[str, Any] = {"ecolor": style.INK, "elinewidth": 1.0, "capsize": 3}
        axis.errorbar(total, place, xerr=[[error], [row["mse +-"]]], fmt="none", **ends)
    if parts.get("variance", 0.0) > least:
        axis.plot(parts["variance"], place, "o", color=style.BLUE, markersize=6)
    if (bias := parts.get("bias", 0.0)) > least:
        form: dict[str, Any] = {"markersize": 6.5, "color": style.ORANGE, "linestyle": "none"}
        if not biased:
            form["markerfacecolor"] = "white"
        axis.plot(bias, place, marker="D" if biased else "<", **form)
    words = [f"{row['ms']:.3g} ms"]
    if not row["variance"]:
        words.insert(0, "no noise")
    if row["bias^2"] is None and relative:
        known = row["mse"] is not None
        words.insert(0, "of a bound of its own" if known else "bias not known")
    text: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": 7.5, "color": style.INK}
    axis.annotate(", ".join(words), (0.995, place), xycoords=("axes fraction", "data"), **text)


def _marks() -> list[Artist]:
    plain: dict[str, Any] = {"linestyle": "none", "color": style.ORANGE, "markersize": 6.5}
    return [
        Patch(color=style.GREY, alpha=0.3, label="mean squared error of a draw, ± its standard error"),
        Patch(color=style.ORANGE, alpha=0.3, label="the same of a biased estimator"),
        Line2D([], [], color=style.BLUE, marker="o", linestyle="none", label="variance"),
        Line2D([], [], marker="D", label="bias²", **plain),
        Line2D([], [], marker="<", markerfacecolor="white", label="bias² is at most this", **plain),
    ]
