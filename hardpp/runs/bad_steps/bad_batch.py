"""The step whose numbers went bad, as the run folder keeps it in `bad_batch.json` to show it again.

    step, epoch, batch   which step, and the batch of the epoch that it was given, from 1
    items, item          the data of that batch in words, and the one whose bound was no finite number
    loss, gradient_norm  of the step, "nan" or "inf"; left out where it had none
    begins_at            the checkpoint that the steps before it begin at; null: the beginning of the stage
    rollbacks            how often training had gone back
    seed, device, threads, processes, parts   with which the same steps are the same numbers

Weights and random state are not in it. A run asks only now and then whether its numbers are finite, since to
ask makes the host wait for the device, and a copy of the weights before every step would double what each
costs. But the steps since a checkpoint follow from it, bit for bit. So the checkpoint before the bad step is
kept (`checkpoints/bad` names it), and whoever wants to see the step takes them again
(`hardpp.runs.bad_steps.replay`).
"""

from pathlib import Path
from typing import Literal

import torch
from pydantic import Field, ValidationError

from hardpp.config import Section
from hardpp.errors import CheckpointError, HardppError
from hardpp.runs import checkpoint
from hardpp.runs.run_files import read_json, write_json
from hardpp.runs.session import Session
from hardpp.runs.stage import Place, place_of
from hardpp.runs.threads import stated
from hardpp.runs.trainer import Trainer
from hardpp.tasks.opened_run import Report

FILE = "bad_batch.json"
MARKER = "bad"  # names the checkpoint before

_COUNT = Field(ge=0, lt=2**62)


class BadBatch(Section):
    """What is kept of a step that went bad; the module says what each key means."""

    version: Literal[1]
    why: str  # the message
    policy: Literal["stop", "skip", "rollback"]
    stage: int = _COUNT  # of the run, from 0
    before: int = _COUNT  # steps of the stages before it
    step: int = _COUNT  # of the stage, from 1; where `by_then`, the last that it may have been
    by_then: bool
    epoch: int = _COUNT
    batch: int = _COUNT
    items: list[str]
    item: str | None
    loss: str | None
    gradient_norm: str | None
    begins_at: int | None = Field(ge=0, lt=2**62)  # a step of the run
    rollbacks: int = _COUNT
    seed: int = _COUNT
    device: Literal["cpu", "cuda"]
    threads: int = Field(ge=1, le=2**15)
    processes: int = Field(ge=1, le=2**20)
    parts: int = Field(1, ge=1, lt=2**62)  # of a batch, see `hardpp.runs.batch_parts`


def keep_bad_batch(
    session: Session, trainer: Trainer, folder: Path, place: Place, why: str, report: Report
) -> Path | None:
    """Writes bad_batch.json of the step that went bad, and keeps the checkpoint before it.

    A file that cannot be written hides nothing: `report` is told, and the result is None.

    Args:
        session, trainer: of the stage, as the bad step left them.
        folder: the run's.
        place: of the stage in the run.
        why: what is said of the step.
        report: told what went wrong.
    """
    try:
        saved = checkpoint.newest_sound(folder, lambda text: None)
        if saved is not None and place_of(saved.checkpoint, place.stage + 1, saved.folder) != place:
            saved = None  # of the stage before
        if saved is not None:
            checkpoint.mark(folder, MARKER, saved.folder)
        begins_at = None if saved is None else place.before + int(saved.checkpoint.state["step"])
        bad = _described(session, trainer, place, why, begins_at)
        if saved is not None and (threads := stated(saved.checkpoint.state)):
            bad = bad.model_copy(update={"threads": threads})
        write_json(folder / FILE, bad.model_dump())
    except (HardppError, OSError, RuntimeError, ValueError, LookupError) as error:
        report(f"warning: {folder / FILE} could not be written ({error})")
        return None
    return folder / FILE


def read_bad_batch(path: Path) -> BadBatch:
    """The step that a bad_batch.json keeps; a CheckpointError where it is not as hardpp writes it."""
    try:
        return BadBatch.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole"
        raise CheckpointError(f"{path} is not what hardpp writes there ({key}: {first['msg']})") from error


def _described(session: Session, trainer: Trainer, place: Place, why: str, begins_at: int | None) -> BadBatch:
    noted = trainer.nonfinite.noted()
    step = trainer.step + 1 if noted is None else noted.step
    make = trainer.nonfinite.batches.get(step)
    epoch, done = trainer.epoch, trainer.position - trainer.step + step
    if done < 1:  # the epoch is over
        epoch -= 1
        done += len(trainer.epoch_batches(epoch))
    batch, items = None if make is None else make(), list[str]()
    if batch is not None:
        items = [session.family.label(session.description, batch, row) for row in range(batch.size)]
    return BadBatch(
        version=1,
        why=why,
        policy=session.config.training.on_nonfinite,
        stage=place.stage,
        before=place.before,
        step=step,
        by_then=noted is None,
        epoch=epoch,
        batch=0 if batch is None else done,
        items=items,
        item=None if noted is None or not 0 <= noted.row < len(items) else items[noted.row],
        loss=None if noted is None else str(noted.loss),
        gradient_norm=None if noted is None else str(noted.gradient_norm),
        begins_at=begins_at,
        rollbacks=trainer.rollbacks,
        seed=session.config.seed,
        device="cuda" if session.device.type == "cuda" else "cpu",
        threads=torch.get_num_threads(),
        processes=session.ranks.size,
        parts=trainer.parts.count,
    )
