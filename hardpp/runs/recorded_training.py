"""Training one stage in a run folder: steps are recorded in metrics.jsonl, and saved in checkpoints.

Of several processes (`hardpp.runs.processes.ranks`) one records and saves, the others train beside it.
"""

import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyro
import torch

from hardpp.data.atomic_files import open_to_append
from hardpp.errors import CheckpointError, NumericalError
from hardpp.runs import checkpoint, history
from hardpp.runs.bad_steps.bad_batch import keep_bad_batch
from hardpp.runs.rollback import roll_back
from hardpp.runs.session import Session
from hardpp.runs.stage import FIRST, Place
from hardpp.runs.threads import Threads
from hardpp.runs.trainer import Trainer, dump
from hardpp.runs.training_warnings import TrainingWarnings
from hardpp.tasks.opened_run import Report
from hardpp.types import Record


def train(
    session: Session,
    trainer: Trainer,
    folder: Path,
    place: Place = FIRST,
    *,
    stop: Callable[[], bool],
    watch: Callable[[Record], None],
    report: Report,
    log: Callable[[dict[str, Any]], None] = lambda record: None,
    threads: Threads | None = None,
) -> None:
    """Trains to the end in a run folder, or until told to stop.

    The trainer is the session's, new or restored from the folder's newest sound checkpoint. Every epoch,
    every `checkpoint_every` steps and a stop end in a checkpoint; the one of the best dev bound is marked.

    Args:
        place: of the trainer's steps in the run.
        stop: asked after every step; True ends the run with a checkpoint.
        watch: shown every record.
        report: told of every step that is left out.
        log: told of every line of metrics.jsonl.
        threads: told how long every step took.

    Raises:
        NumericalError: a loss, gradient or dev bound is not finite; the checkpoints are from before.
    """
    warnings = TrainingWarnings(session, trainer)
    while True:
        try:
            _train(session, trainer, folder, place, stop, watch, report, log, threads, warnings)
            return
        except NumericalError as error:
            if kept := keep_bad_batch(session, trainer, folder, place, str(error), report):
                report(f"what went bad first: hardpp replay {shlex.quote(str(kept))}")
            roll_back(session, trainer, folder, place, error, report)


def _train(
    session: Session,
    trainer: Trainer,
    folder: Path,
    place: Place,
    stop: Callable[[], bool],
    watch: Callable[[Record], None],
    report: Report,
    log: Callable[[dict[str, Any]], None],
    threads: Threads | None,
    warnings: TrainingWarnings,
) -> None:
    training = session.config.training
    history.cut(folder, trained=place.before + trainer.step, validated=place.before + trainer.validated_at)
    restored = checkpoint.at_step(folder, place.before + trainer.step)
    validated = trainer.step > 0 and trainer.validated_at == trainer.step  # in this stage
    if restored.is_dir() and validated and trainer.epochs_since_best == 0:
        checkpoint.mark(folder, "best", restored)  # in case the run was killed before it could
    # Validation costs a host synchronisation a site; one step under it finds what it can find.
    with pyro.validation_enabled(True), open_to_append(folder / history.FILE) as metrics:
        session.objective.tells = (trainer.step + 1) % training.log_every == 0
        began = time.perf_counter()
        for record in trainer.records():
            seconds = time.perf_counter() - began
            pyro.enable_validation(False)
            if record.split == "dev":
                figures = session.dev_figures(trainer, folder)
                record = record._replace(values={**record.values, **figures})
            watch(record)
            extra: dict[str, Any] = {"time": round(time.time(), 3)}
            if session.config.stage:
                extra |= {"stage": session.config.stage, "step": place.before + record.step}
            if "skipped" in record.values:
                extra["why"] = trainer.nonfinite.sentence()
                keep_bad_batch(session, trainer, folder, place, extra["why"], report)
                trainer.nonfinite.forget()
                report(f"left out: {extra['why']}")
            if record.split == "dev" or record.step % training.log_every == 0 or "why" in extra:
                trainer.nonfinite.check()
                monitors = session.monitors(record)
                if record.split == "train" and (told := warnings.look(monitors)):
                    extra["warning"] = "; ".join(told)
                    for sentence in told:
                        report(f"warning: step {place.before + record.step}: {sentence}")
                line = dump(record, **monitors, **extra)
                metrics.write(json.dumps(line) + "\n")
                metrics.flush()
                log(line)
            every = training.checkpoint_every
            stopping = record.split == "train" and stop()
            changed = threads is not None and record.split == "train" and threads.step(seconds)
            due = record.split == "dev" or (every is not None and record.step % every == 0)
            if due or stopping or changed:
                if not (folder / "config.toml").exists():  # saving would make the folder anew
                    raise CheckpointError(f"{folder} was removed while it was trained")
                state = trainer.checkpoint()
                state.state.update(place._asdict(), threads=torch.get_num_threads())
                saved = checkpoint.save(folder, place.before + record.step, state)
                if record.values.get("best"):
                    checkpoint.mark(folder, "best", saved)
                checkpoint.prune(folder, keep=2, report=report)
            if stopping:
                break
            session.objective.tells = (trainer.step + 1) % training.log_every == 0
            began = time.perf_counter()


def train_beside(
    session: Session, trainer: Trainer, folder: Path, place: Place = FIRST, *, stop: Callable[[], bool]
) -> None:
    """Trains to the end, or until told to stop, in a process beside the one that records: see `train`."""
    while True:
        try:
            _train_beside(session, trainer, stop)
            return
        except NumericalError as error:
            roll_back(session, trainer, folder, place, error, lambda text: None)


def _train_beside(session: Session, trainer: Trainer, stop: Callable[[], bool]) -> None:
    with pyro.validation_enabled(True):
        for record in trainer.records():
            pyro.enable_validation(False)
            if "skipped" in record.values:
                trainer.nonfinite.forget()
            if record.split == "dev" or record.step % session.config.training.log_every == 0:
                trainer.nonfinite.check()
            if record.split == "train" and stop():
                break
