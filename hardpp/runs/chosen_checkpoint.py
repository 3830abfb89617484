"""Which of a run's checkpoints is used, and what becomes of those that are damaged or half-written.

Whoever opens a run gets the weights of the best dev bound, or those of the checkpoint that is asked for. If
they are damaged no others are taken in silence, as all figures would be others: the run is refused, and the
newest sound checkpoint is offered. A training goes on from the newest sound checkpoint. Both tell of those
that they pass over, and why.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from hardpp.data.atomic_files import unfinished
from hardpp.errors import CheckpointError, UsageError, unknown
from hardpp.runs import checkpoint
from hardpp.runs.checkpoint import Saved
from hardpp.runs.checkpoint_format import check_sizes

BEST, LATEST = "best", "latest"


def chosen(run: Path, name: str = BEST, report: Callable[[str], None] = warnings.warn) -> Saved:
    """The checkpoint of a name: "best", "latest" (the newest sound one) or "step-00001000", of that step.

    `report` is told of each checkpoint that is damaged or half-written, and why.

    Raises:
        UsageError: there is no such checkpoint.
        CheckpointError: it is damaged, or there is none.
    """
    tell_unfinished(run, report)
    if name == LATEST:
        if (newest := checkpoint.newest_sound(run, report)) is None:
            raise CheckpointError(f"{run} has no checkpoint")
        return newest
    folders = {folder.name: folder for folder in checkpoint.steps(run)}
    if name != BEST and name not in folders:
        raise UsageError(f"{run}: {unknown('checkpoint', name, [BEST, LATEST, *folders])}")
    if name == BEST and not _is_marked(run):
        return checkpoint.best(run, report)  # the newest, which tells of others
    saved = (
        checkpoint.best(run, report) if name == BEST else Saved(folders[name], checkpoint.load(folders[name]))
    )
    for folder, why in _damaged(folders):
        if folder != saved.folder.name:
            report(f"{folder} is passed over ({why})")
    return saved


def tell_unfinished(run: Path, report: Callable[[str], None] = warnings.warn) -> None:
    """Tells of checkpoints that are half-written: their training was killed, or is about to finish them."""
    try:
        found = unfinished(run / "checkpoints")
    except OSError:  # whoever reads checkpoints says so
        return
    for path, name in found.items():
        if name or path.is_dir():  # and not a marker
            report(f"{name or path.name} is passed over (its files were not written to the end)")


def replace_damaged_best(run: Path, newest: Saved, report: Callable[[str], None]) -> bool:
    """Marks the checkpoint that a training goes on from as the best, where that is damaged. Was it so?

    A best one that is newer is left: training comes to it again.
    """
    if not _is_marked(run):
        return False
    older = checkpoint.steps(run)
    older = older[: older.index(newest.folder) + 1]
    try:
        if (marked := checkpoint.marked(run, BEST)) in older:
            checkpoint.load(marked)
    except CheckpointError as error:
        report(f"warning: the best checkpoint is lost, and {newest.folder.name} takes its place ({error})")
        checkpoint.mark(run, BEST, newest.folder)
        return True
    return False


def _is_marked(run: Path) -> bool:
    return os.path.lexists(run / "checkpoints" / BEST)


def _damaged(folders: dict[str, Path]) -> Iterator[tuple[str, str]]:
    for name, folder in folders.items():
        try:
            check_sizes(folder)
        except CheckpointError as error:
            yield name, str(error)
