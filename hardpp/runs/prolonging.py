"""Prolonging a run: the same command with more epochs, steps or patience goes on where the run stopped.

It goes on from the newest checkpoint, with its weights, moments and random numbers. The learning rate follows
the schedule of the new length from there: half a cosine down to zero over all steps, those that were done
before included. It had come down for the old length, so it jumps up, and the run is not the one that it would
have been with the new length from its start. Whoever wants that begins anew, with --force or another --out.
"""

from pathlib import Path
from typing import Any, NamedTuple

from hardpp.config import RunConfig, to_toml
from hardpp.data.atomic_files import remove, write_file
from hardpp.runs.folder import check_same_config
from hardpp.runs.run_files import named_code, read_config
from hardpp.runs.trainer import Trainer
from hardpp.tasks.catalogue import NONE, OwnGuides
from hardpp.tasks.opened_run import Report

LENGTHS = (
    "max_epochs",
    "max_steps",
    "patience",
)  # of the last stage, which may grow; no steps: as many as epochs


class Longer(NamedTuple):
    """A setting of a run's length that grew."""

    name: str
    before: int | None
    now: int | None

    def __str__(self) -> str:
        before, now = ("as many as the epochs have" if n is None else n for n in (self.before, self.now))
        return f"training.{self.name} from {before} to {now}"


def grown(folder: Path, config: RunConfig, own_guides: OwnGuides = NONE) -> list[Longer]:
    """The lengths that are more in a configuration than in that of the run which it goes on with.

    Raises:
        UsageError: the run has another configuration, in other ways than these.
        CheckpointError: the folder's configuration is not one of ours.
    """
    there = read_config(folder, named_code(dict(config)), own_guides).training
    lengths = [Longer(name, getattr(there, name), getattr(config.training, name)) for name in LENGTHS]
    more = [length for length in lengths if _is_more(length)]
    as_before = config.training.model_copy(update={length.name: length.before for length in more})
    check_same_config(folder, config.model_copy(update={"training": as_before}), own_guides)
    return more


def prolong(folder: Path, config: RunConfig, lengths: list[Longer], report: Report) -> None:
    """Writes the new lengths into a run's configuration; it is not complete any more."""
    if not lengths:
        return
    write_file(folder / "config.toml", to_toml(config).encode())
    remove(folder / "summary.json")
    report(f"{folder}: prolonged, {', '.join(map(str, lengths))}")


def consequence(trainer: Trainer, lengths: list[Longer], before: Any) -> str:
    """What is different for the trainer of a prolonged run, in a sentence; nothing if none grew.

    Args:
        trainer: at the step that it goes on from.
        lengths: that grew.
        before: the `TrainingConfig` of the run as it was.
    """
    if not lengths:
        return ""
    if trainer.finished:
        waited = f"no better dev bound for {trainer.bad_epochs} epochs"
        return f"nothing more is trained: {waited}, and training.patience is {trainer.patience}"
    steps = len(trainer.epoch_batches(0)) * before.max_epochs
    steps = min(steps, before.max_steps or steps)
    was, now = (
        schedule.rate(trainer.step)
        for schedule in (trainer.schedule._replace(total_steps=max(steps, trainer.step)), trainer.schedule)
    )
    return (
        f"the learning rate goes on at {now:.2g}, where it had come down to {was:.2g}: it falls to zero over "
        f"{trainer.schedule.total_steps} steps now, not {steps}, unlike in a run that began with as many"
    )


def _is_more(length: Longer) -> bool:
    if length.before is None or length.now is None:
        return length.before is not None and length.now is None
    return length.now > length.before
