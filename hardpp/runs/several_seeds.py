"""One configuration trained with several seeds: a run for each, and figures with their mean and error."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from hardpp.config import RunConfig
from hardpp.errors import UsageError
from hardpp.runs.new_run import default_folder
from hardpp.runs.training import run_in_folder
from hardpp.tasks.opened_run import Report

Row = dict[str, Any]


def parse_seeds(text: str) -> list[int]:
    """Seeds that are given as whole numbers with commas between them, as `0,1,2`.

    Raises:
        UsageError: they are not, or one is there twice.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() for word in words):
        raise UsageError(f"--seeds are whole numbers with commas between them, such as 0,1,2, not {text!r}")
    seeds = [int(word) for word in words]
    if twice := [seed for seed in seeds if seeds.count(seed) > 1]:
        raise UsageError(f"--seeds: {twice[0]} is there twice")
    return seeds


def folder_of(config: RunConfig, parent: Path | None) -> Path:
    """Where the run of a configuration's seed lies: in a parent folder, or else where one run would."""
    return default_folder(config) if parent is None else parent / f"seed-{config.seed}"


def train_seeds(
    configs: Sequence[RunConfig], parent: Path | None, report: Report, **options: Any
) -> list[Row]:
    """Trains runs one after the other, and returns the rows of `mean_and_error`.

    The same call goes on where it was interrupted: with the run that is not complete, and those that follow.

    Args:
        configs: that differ in their seeds.
        parent: a folder for folders seed-0, seed-1, ...; None: each where a run of its own would be.
        report: told in a few words what is going on.
        options: of `run_in_folder`.
    """
    figures = {}
    for config in configs:
        _, found = run_in_folder(config, folder_of(config, parent), report=report, **options)
        figures[f"seed {config.seed}"] = found
    return mean_and_error(figures)


def mean_and_error(figures: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """A row for each figure: its value in each run, their mean, and the standard error of that.

    Both are left blank of counts and of what is no number; the error, which is the deviation over the square
    root of the number of runs, also of a single run.
    """
    names = dict.fromkeys(name for of_run in figures.values() for name in of_run)
    rows = []
    for name in names:
        values = {run: of_run.get(name) for run, of_run in figures.items()}
        numbers = [value for value in values.values() if isinstance(value, float)]
        whole = len(numbers) == len(values)
        error = stdev(numbers) / len(numbers) ** 0.5 if whole and len(numbers) > 1 else None
        mean = fmean(numbers) if whole else None
        rows.append({"figure": name, **values, "mean": mean, "standard error": error})
    return rows
