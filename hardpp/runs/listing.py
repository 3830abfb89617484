"""The runs in a folder, and what each came to: a row a run.

Nothing that a run names is imported or executed, and none of its tensors are read; see
`hardpp.runs.checkpoint_state` for what is verified. A run that is damaged is a row that says so.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hardpp.config import read_toml
from hardpp.errors import CheckpointError, HardppError
from hardpp.runs.checkpoint_state import best_state
from hardpp.runs.run_files import read_json

Row = dict[str, Any]

_DEPTH = 3  # folders below the first one that are looked into
_MARKS = {"config.toml", "versions.json", "checkpoints", "metrics.jsonl"}  # any two of them make a run
_NAMES = ("model", "guide", "objective")


def list_runs(folder: Path | str = "runs") -> list[Row]:
    """A row for every run in a folder, in the folders in it, or for the folder if it is a run itself.

    `figure` is the first that `evaluate` gives, on the part of the test part that `evaluation` says; `bound`
    the best dev bound, in nats; `step` that of the weights that are kept. What is not there is None.

    Raises:
        CheckpointError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder", "hardpp train makes runs in the folder runs")
    return [_row(path, folder) for path in sorted(runs_in(folder, _DEPTH))]


def runs_in(folder: Path, depth: int) -> Iterator[Path]:
    """Folders of runs: this one, or those in it, and in its folders down to a depth; in no order."""
    try:
        entries = {entry.name: entry for entry in os.scandir(folder)}
    except OSError:  # one that may not be read holds no runs of ours
        return
    if len(_MARKS & entries.keys()) > 1:
        yield folder
    elif depth:
        for entry in entries.values():
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield from runs_in(folder / entry.name, depth - 1)


def _row(run: Path, folder: Path) -> Row:
    row: Row = {"run": str(run.relative_to(folder)) if run != folder else str(run)}
    row |= dict.fromkeys((*_NAMES, "data", "seed", "step", "bound", "figure", "value", "evaluation"))
    problems = []
    for read in (_configuration, _reached, _result):
        try:
            row |= read(run)
        except HardppError as error:
            problems.append(str(error))
    complete = (run / "summary.json").exists()
    row["state"] = f"damaged: {problems[0]}" if problems else "complete" if complete else "not complete"
    return {key: _printable(value) for key, value in row.items()}


def _configuration(run: Path) -> Row:
    tables = read_toml(run / "config.toml")
    names = {key: tables.get(key) for key in _NAMES}
    data = tables.get("data")
    name = data.get("name") if isinstance(data, Mapping) else None
    if not all(isinstance(value, str) for value in (*names.values(), name)):
        raise CheckpointError(f"{run / 'config.toml'} is not what hardpp writes there")
    seed = tables.get("seed")
    return {**names, "data": name, "seed": seed if type(seed) is int else None}


# Of a run that was begun and has no checkpoint yet there is nothing to tell.
def _reached(run: Path) -> Row:
    if not (run / "checkpoints").exists():
        return {}
    state = best_state(run)
    step, before, bound = (state.get(key) for key in ("step", "before", "best"))
    if type(step) is not int:
        raise CheckpointError(f"{run}: its checkpoint does not state the step")
    return {
        "step": step + (before if type(before) is int else 0),
        "bound": bound if isinstance(bound, float) else None,
    }


def _result(run: Path) -> Row:
    if not (run / "summary.json").exists():
        return {}
    figures = read_json(run / "summary.json")
    evaluation = figures.pop("evaluation", "full")  # runs of before do not say it
    numbers = [(key, value) for key, value in figures.items() if isinstance(value, float)]
    figure, value = numbers[0] if numbers else (None, None)
    return {"figure": figure, "value": value, "evaluation": evaluation}


# Names come from files that anybody may have written, and are to be shown on a terminal.
def _printable(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value)
