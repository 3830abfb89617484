"""The refusal of a folder that holds no run, which names the runs that were probably meant."""

from pathlib import Path

from hardpp.errors import CheckpointError, closest
from hardpp.runs.listing import runs_in

_NAMED = 3  # runs of a folder of runs


def no_run(folder: Path) -> CheckpointError:
    """What to raise of a folder without a run: runs in it are named, else the one with the nearest name.

    That one may lie beside the folder or in `runs`, where training puts them.
    """
    what = f"{folder} is not a run folder (no config.toml)"
    if inside := _runs_of(folder):
        more = f" and {len(inside) - _NAMED} more" if len(inside) > _NAMED else ""
        return CheckpointError(what, f"there are runs in it: {', '.join(map(str, inside[:_NAMED]))}{more}")
    runs = {run.name: run for place in (Path("runs"), folder.parent) for run in _runs_of(place)}
    for name in closest(folder.name, runs):
        what += f"; did you mean {str(runs[name])!r}?"
    return CheckpointError(what, "hardpp train makes one, and hardpp runs lists those of a folder")


def _runs_of(folder: Path) -> list[Path]:
    return sorted(runs_in(folder, 1)) if folder.is_dir() else []
