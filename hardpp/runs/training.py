"""Training in a run folder, new or begun, to the end or to an interrupt."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyro

from hardpp.config import RunConfig
from hardpp.data.atomic_files import open_to_append, remove_partial, write_file
from hardpp.errors import Interrupted, UsageError
from hardpp.runs import checkpoint
from hardpp.runs.folder import check_same_config, check_same_data, create, holds_results, holds_run
from hardpp.runs.lock import locked
from hardpp.runs.progress_bar import TrainingProgress
from hardpp.runs.run_files import write_json
from hardpp.runs.session import Session
from hardpp.runs.signals import Signals
from hardpp.runs.stage import FIRST, Place, carry_over, check_stages, place_of, step_of
from hardpp.runs.trainer import Trainer, dump
from hardpp.tasks.catalogue import NONE
from hardpp.tasks.family import Family
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import Record


def run_in_folder(
    config: RunConfig,
    folder: Path,
    *,
    resume: bool,
    force: bool,
    report: Callable[[str], None],
    family: Family | None = None,
    data: Any = None,
) -> tuple[OpenedRun, dict[str, Any]]:
    """Trains in a run folder, then evaluates on the test part and writes summary.json.

    Args:
        config: the resolved configuration.
        folder: the run folder.
        resume: go on with the run that is there, if there is one.
        force: overwrite the run that is there; needless while it has no checkpoint.
        report: told in a few words what is going on.
        family: of the run, with guides that were given as such; else that of its name.
        data: the run's data, where they are loaded already.

    Returns:
        the trained run, opened, and its figures on the test part.

    Raises:
        UsageError: something is there that must not be overwritten, or another process trains there.
        DataError: the data have changed since the run began.
        Interrupted: a signal came; the run can be gone on with.
    """
    holds_run(folder)  # before a lock is put into a folder of other things
    with locked(folder):
        remove_partial(folder)
        begun = holds_results(folder) and not force
        newest = _newest(config, folder, family, resume=resume, report=report) if begun else None
        stages, began = config.stages(), time.monotonic()
        place = FIRST if newest is None else place_of(newest.checkpoint, len(stages), newest.folder)
        for number in range(place.stage, len(stages)):
            given = newest is not None or number > 0  # its weights come from a checkpoint of this run
            session = Session(stages[number], report, restored=given, data=data, family=family)
            if newest is None and not number:
                _ = session.dev  # data that cannot be read are known before anything is written
                check_stages(session.family, stages, session.description, session.programs)
            first = number == place.stage
            if first and begun:
                check_same_data(folder, session.description)
            elif first:
                create(folder, config, session.description, session.family.own_guides)
            if newest is None and number:
                place = _begin(session, stages, number, folder, report)
            trainer = _trainer(session, folder, newest, report)
            bar = TrainingProgress(trainer.schedule.total_steps, trainer.step, session.family.unit)
            with Signals() as signals, bar as progress:
                train(session, trainer, folder, place, stop=signals.came, watch=progress.show, report=report)
            if signals.came():
                raise Interrupted(signals.number, "the same command goes on from here")
            newest, data = None, session.data
        report(f"trained for {time.monotonic() - began:.0f} s")
        best = checkpoint.best(folder, report)
        session.objective(*session.programs).load_state_dict(best.checkpoint.model)
        place = place_of(best.checkpoint, len(stages), best.folder)
        run = session.opened(folder, step_of(best.checkpoint, place, best.folder), config=config)
        figures = run.evaluate(run.select(report=report))
        write_json(folder / "summary.json", figures)
        return run, figures


# The newest checkpoint of a run that is to be gone on with.
def _newest(
    config: RunConfig, folder: Path, family: Family | None, *, resume: bool, report: Callable[[str], None]
) -> checkpoint.Saved | None:
    if not resume:
        raise UsageError(f"{folder} holds a run already", "give another --out, or --force")
    check_same_config(folder, config, NONE if family is None else family.own_guides)
    return checkpoint.newest_sound(folder, report)


# Takes up the best weights of the stage before.
def _begin(
    session: Session, stages: list[RunConfig], number: int, folder: Path, report: Callable[[str], None]
) -> Place:
    last, best = checkpoint.newest_sound(folder, report), checkpoint.best(folder, report)
    assert last is not None  # `best` is one
    before, now = stages[number - 1 : number + 1]
    names = f"{before.stage} and {now.stage}"
    same_guide = before.guide == now.guide
    carry_over(session.programs, best.checkpoint.model, same_guide=same_guide, names=names)
    place = place_of(last.checkpoint, len(stages), last.folder)
    return Place(number, step_of(last.checkpoint, place, last.folder))


# A trainer of the session, before its first step or where it was saved.
def _trainer(
    session: Session, folder: Path, newest: checkpoint.Saved | None, report: Callable[[str], None]
) -> Trainer:
    config, stage = session.config, f"stage {session.config.stage}: " if session.config.stage else ""
    what = f"{config.model}, {config.guide} guide, {config.objective}"
    report(f"{folder}: {stage}{what}, on {session.device}")
    trainer = session.trainer()
    if (schedule := trainer.schedule).warmup < schedule.warmup_steps:
        report(
            f"{schedule.total_steps} steps in all, so warm-up takes {schedule.warmup} of them, not "
            f"{schedule.warmup_steps}; a smaller training.batch_size or more training.max_epochs give more"
        )
    if newest is not None:
        trainer.restore(newest.checkpoint)
        report(f"going on from step {trainer.step}")
    _ = session.dev  # before the first step
    return trainer


def train(
    session: Session,
    trainer: Trainer,
    folder: Path,
    place: Place = FIRST,
    *,
    stop: Callable[[], bool],
    watch: Callable[[Record], None],
    report: Callable[[str], None],
) -> None:
    """Trains to the end in a run folder, or until told to stop.

    The trainer is the session's, new or restored from the folder's newest sound checkpoint. Every epoch,
    every `checkpoint_every` steps and a stop end in a checkpoint; the one of the best dev bound is marked.

    Args:
        place: of the trainer's steps in the run.
        stop: asked after every step; True ends the run with a checkpoint.
        watch: shown every record.
        report: told of every step that is left out.

    Raises:
        NumericalError: a loss, gradient or dev bound is not finite; the checkpoints are from before.
    """
    training = session.config.training
    _cut_metrics(folder / "metrics.jsonl", trainer, place)
    restored = checkpoint.at_step(folder, place.before + trainer.step)
    validated = trainer.step > 0 and trainer.validated_at == trainer.step  # in this stage
    if restored.is_dir() and validated and trainer.epochs_since_best == 0:
        checkpoint.mark(folder, "best", restored)  # in case the run was killed before it could
    # Validation costs a host synchronisation a site; one step under it finds what it can find.
    with pyro.validation_enabled(True), open_to_append(folder / "metrics.jsonl") as metrics:
        for record in trainer.records():
            pyro.enable_validation(False)
            watch(record)
            extra: dict[str, Any] = {"time": round(time.time(), 3)}
            if session.config.stage:
                extra |= {"stage": session.config.stage, "step": place.before + record.step}
            if "skipped" in record.values:
                extra["why"] = trainer.nonfinite.reset()
                report(f"left out: {extra['why']}")
            if record.split == "dev" or record.step % training.log_every == 0 or "why" in extra:
                trainer.nonfinite.check()
                metrics.write(json.dumps(dump(record, **session.monitors(record), **extra)) + "\n")
                metrics.flush()
            every = training.checkpoint_every
            stopping = record.split == "train" and stop()
            if record.split == "dev" or stopping or (every is not None and record.step % every == 0):
                state = trainer.checkpoint()
                state.state.update(place._asdict())
                saved = checkpoint.save(folder, place.before + record.step, state)
                if record.values.get("best"):
                    checkpoint.mark(folder, "best", saved)
                checkpoint.prune(folder, keep=2, report=report)
            if stopping:
                break


# Lines that a run wrote after the checkpoint it goes on from would stand there twice.
def _cut_metrics(path: Path, trainer: Trainer, place: Place) -> None:
    lines = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else ():
        try:
            record = json.loads(line)
            done = trainer.validated_at if record["split"] == "dev" else trainer.step
            if record["step"] <= place.before + done:
                lines.append(line + "\n")
        except (ValueError, KeyError, TypeError, RecursionError):  # a line cut short by a kill
            continue
    write_file(path, "".join(lines).encode())  # in place of a link, too
