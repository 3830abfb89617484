"""Pictures of a training: bounds of train and dev, figures of dev items, and the learning rate, by step."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hardpp.diagnostics import plot_style as style
from hardpp.errors import UsageError

TRAINING = "bounds of train and dev, and the weights that are kept"  # what the figure shows

Records = Sequence[Mapping[str, Any]]

_NOT_FIGURES = ("split", "step", "epoch", "bound", "best", "time", "stage", "learning_rate")


def training_figure(records: Records, *, title: str, unit: str, note: str = "") -> Figure:
    """Curves of a training, one below the other over its steps; where stages begin is marked.

    Args:
        records: as in metrics.jsonl: `split` ("train" or "dev"), `step`, `bound` and so on.
        title, note: over all: the run, and what is shown of it.
        unit: bounds are in nats of this, such as "a symbol".

    Raises:
        UsageError: nothing was recorded yet.
    """
    if not records:
        raise UsageError("nothing was recorded of this training yet: there are no curves to draw")
    train, dev = ([record for record in records if record["split"] == split] for split in ("train", "dev"))
    figures = [key for key in dict.fromkeys(key for record in dev for key in record) if _is_figure(dev, key)]
    rates = _points(train, "learning_rate")  # none of a training that ended before the first record of a step
    heights = [2.0, *[1.0] * len(figures), *[0.8] * bool(rates[0])]
    figure = Figure(figsize=(7.5, 1.6 * sum(heights) + 0.6), layout="constrained")
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    _draw_bounds(axes[0], train, dev, unit)
    for axis, name in zip(axes[1:], figures, strict=False):
        axis.plot(*_points(dev, name), "o-", color=style.ORANGE, markersize=3.5, linewidth=1.2)
        axis.set_ylabel(f"dev {name}", color=style.INK)
    if rates[0]:
        axes[-1].plot(*rates, _mark(rates), color=style.GREY, linewidth=1.2)
        axes[-1].set_ylabel("learning rate", color=style.INK)
    axes[-1].set_xlabel("step", color=style.INK)
    for axis in axes:
        axis.grid(color=style.PALE, linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(colors=style.INK, length=2, labelsize=8)
    _mark_stages(list(axes), records)
    figure.align_ylabels(axes)
    style.figure_title(figure, title, note)
    return figure


def _draw_bounds(axis: Axes, train: Records, dev: Records, unit: str) -> None:
    steps = _points(train, "bound")
    if steps[0]:
        line: dict[str, Any] = {"color": style.GREY, "linewidth": 0.8, "alpha": 0.7}
        axis.plot(*steps, _mark(steps), label="train, of a batch", **line)
    axis.plot(*_points(dev, "bound"), "o-", color=style.ORANGE, markersize=3.5, label="dev, mean weights")
    if best := [record for record in dev if record.get("best") and record["bound"] is not None]:
        place = best[-1]["step"], best[-1]["bound"]
        axis.plot(*place, "o", color="none", markeredgecolor=style.INK, markersize=9, label="kept")
    axis.set_ylabel(f"bound, nats {unit}", color=style.INK)
    axis.legend(frameon=False, fontsize=8, loc="lower right")


# A line at the last step before each stage but the first, and the names at the top.
def _mark_stages(axes: Sequence[Axes], records: Records) -> None:
    begins: dict[str, int] = {}
    for record in records:
        begins.setdefault(record.get("stage", ""), record["step"])
    for number, (name, step) in enumerate(begins.items() if len(begins) > 1 else ()):
        for axis in axes if number else ():
            axis.axvline(step, color=style.INK, linewidth=0.8, linestyle=":")
        place: dict[str, Any] = {
            "xytext": (3, 2),
            "textcoords": "offset points",
            "fontsize": 8,
            "color": style.INK,
        }
        axes[0].annotate(name, (step, 1), xycoords=("data", "axes fraction"), **place)


# Steps and values; a gap between two stages, whose numbers are not of one thing.
def _points(records: Records, key: str) -> tuple[list[int], list[float]]:
    known = [record for record in records if record.get(key) is not None]
    steps, values, stage = list[int](), list[float](), known[0].get("stage") if known else None
    for record in known:
        if record.get("stage") != stage:
            steps, values, stage = [*steps, record["step"]], [*values, math.nan], record.get("stage")
        steps.append(record["step"])
        values.append(record[key])
    return steps, values


# A line of one point would not be seen.
def _mark(points: tuple[list[int], list[float]]) -> str:
    return "-" if len(points[0]) > 1 else "o"


def _is_figure(dev: Records, key: str) -> bool:
    values = [record.get(key) for record in dev]
    return key not in _NOT_FIGURES and any(isinstance(value, int | float) for value in values)
