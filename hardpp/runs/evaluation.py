"""The evaluation that ends a training: of the whole test part, of its first items, or none.

    full    the whole test part
    quick   its first `QUICK` items; the figures say how many
    none    no figures

What is left to "auto" is full, unless the training is a quick one: it takes fewer data than the test part has
(steps times batch size), so that evaluating would take longer than training. `summary.json` says which.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from hardpp.config import RunConfig
from hardpp.runs import history
from hardpp.runs.progress_bar import ItemProgress
from hardpp.runs.run_files import write_json
from hardpp.tasks.arguments import check_word
from hardpp.tasks.opened_run import OpenedRun, Report

QUICK = 200  # items

Extent = Literal["auto", "full", "quick", "none"]
EXTENTS: tuple[Extent, ...] = get_args(Extent)


def check_extent(extent: str) -> None:
    """Refuses, by a UsageError, what is no extent of an evaluation."""
    check_word("evaluate", extent, EXTENTS)


def extent_of(asked: Extent, config: RunConfig, steps: int, items: int) -> Extent:
    """How much is evaluated of a test part of so many items, after a training of so many steps."""
    if asked != "auto":
        return "full" if asked == "quick" and items <= QUICK else asked
    return "quick" if items > max(QUICK, steps * config.training.batch_size) else "full"


def evaluate_test_part(run: OpenedRun, asked: Extent, steps: int, report: Report) -> dict[str, Any]:
    """Figures of the test part, none if none are asked for; summary.json has them, and the extent.

    Args:
        run: trained, with its data at hand.
        asked: the extent.
        steps: how many it was trained for.
        report: told what is evaluated.
    """
    items = len(run.data.test)
    extent, figures = extent_of(asked, run.config, steps, items), dict[str, Any]()
    if extent != "none":
        whole = f"{items:,} items of the test part"
        report(
            f"evaluating the {whole}"
            if extent == "full"
            else f"evaluating the first {QUICK} of {whole}, as the training is short; --evaluate full for all"
            if asked == "auto"
            else f"evaluating the first {QUICK} of {whole}"
        )
        limit = QUICK if extent == "quick" else None
        with ItemProgress(limit or items, "items of the test part") as progress:
            run = replace(run, watch=progress.add)
            figures = run.evaluate(run.select(limit=limit, report=report))
    if run.sharing.writes:
        write_summary(run.path, figures, extent)
    return figures


def write_summary(folder: Path, figures: dict[str, Any], extent: Extent) -> None:
    """Writes summary.json; it repeats the warnings of the training, if there were any."""
    warned = history.warnings(folder)
    more = {"warnings": warned} if warned else {}
    write_json(folder / "summary.json", {**figures, "evaluation": extent, **more})
