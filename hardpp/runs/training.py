"""Training in a run folder, new or begun, to the end or to an interrupt."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hardpp.config import RunConfig
from hardpp.data.atomic_files import remove_partial
from hardpp.errors import Interrupted, UsageError
from hardpp.runs import checkpoint
from hardpp.runs.evaluation import Extent, check_extent, evaluate_test_part
from hardpp.runs.folder import create, holds_results, holds_run
from hardpp.runs.lock import locked
from hardpp.runs.moved_data import follow_data
from hardpp.runs.progress_bar import TrainingProgress
from hardpp.runs.prolonging import Longer, consequence, grown, prolong
from hardpp.runs.recorded_training import train
from hardpp.runs.session import Session
from hardpp.runs.signals import Signals
from hardpp.runs.stage import FIRST, Place, carry_over, check_stages, place_of, step_of
from hardpp.runs.thread_timing import put_back
from hardpp.runs.threads import AUTO, Threads, stated
from hardpp.runs.trackers import Trackers, check_trackers
from hardpp.runs.trainer import Trainer
from hardpp.runs.training_messages import ending, introduction, kept, next_commands
from hardpp.tasks.catalogue import NONE
from hardpp.tasks.family import Family
from hardpp.tasks.one_thread import one_thread
from hardpp.tasks.opened_run import OpenedRun, Report


def run_in_folder(
    config: RunConfig,
    folder: Path,
    *,
    resume: bool,
    force: bool,
    report: Report,
    family: Family | None = None,
    data: Any = None,
    evaluate: Extent = "auto",
    log: Sequence[str] = (),
) -> tuple[OpenedRun, dict[str, Any]]:
    """Trains in a run folder, then evaluates on the test part and writes summary.json.

    Args:
        config: the resolved configuration; one that is longer than that of the run that is there prolongs it.
        folder: the run folder.
        resume: go on with the run that is there, if there is one.
        force: overwrite the run that is there; needless while it has no checkpoint.
        report: told in a few words what is going on.
        family: of the run, with guides that were given as such; else that of its name.
        data: the run's data, where they are loaded already.
        evaluate: how much of the test part, see `hardpp.runs.evaluation`.
        log: names of trackers that are told, see `hardpp.runs.trackers`.

    Returns:
        the trained run, opened, and its figures on the test part; none if none were asked for.

    Raises:
        UsageError: something is there that must not be overwritten, or another process trains there.
        DataError: the data have changed since the run began.
        Interrupted: a signal came; the run can be gone on with.
    """
    check_extent(evaluate)
    check_trackers(log)
    holds_run(folder)  # before a lock is put into a folder of other things
    with one_thread(report), locked(folder), put_back(), Trackers(log, folder, config, report) as trackers:
        remove_partial(folder)
        began = time.monotonic()
        session, steps = _train_all(
            config,
            folder,
            resume=resume,
            force=force,
            report=report,
            trackers=trackers,
            family=family,
            data=data,
        )
        report(f"trained for {time.monotonic() - began:.0f} s")
        best = checkpoint.best(folder, report)
        session.objective(*session.programs).load_state_dict(best.checkpoint.model)
        place = place_of(best.checkpoint, len(config.stages()), best.folder)
        run = session.opened(folder, step_of(best.checkpoint, place, best.folder), config=config)
        report(kept(best.checkpoint.state, run.step, session.family.unit))
        figures = evaluate_test_part(run, evaluate, steps, report)
        for command in next_commands(folder):
            report(f"next: {command}")
        return run, figures


# Trains what is left of all stages; the session of the last, and the steps of all.
def _train_all(
    config: RunConfig,
    folder: Path,
    *,
    resume: bool,
    force: bool,
    report: Report,
    trackers: Trackers,
    family: Family | None,
    data: Any,
) -> tuple[Session, int]:
    begun = holds_results(folder) and not force
    newest, before, longer = None, config.training, list[Longer]()
    if begun:
        newest, longer = _newest(config, folder, family, resume=resume, report=report)
        before = config.training.model_copy(update={length.name: length.before for length in longer})
    stages, most = config.stages(), torch.get_num_threads()
    place = FIRST if newest is None else place_of(newest.checkpoint, len(stages), newest.folder)
    for number in range(place.stage, len(stages)):
        torch.set_num_threads(1 if config.threads == AUTO else most)
        given = newest is not None or number > 0  # its weights come from a checkpoint of this run
        session = Session(stages[number], report, restored=given, data=data, family=family)
        if newest is None and not number:
            _ = session.dev  # data that cannot be read are known before anything is written
            check_stages(session.family, stages, session.description, session.programs)
        first = number == place.stage
        if first and begun:
            follow_data(folder, config, session.description, report, session.family.own_guides)
            prolong(folder, config, longer, report)
        elif first:
            create(folder, config, session.description, session.family.own_guides)
        if newest is None and number:
            place = _begin(session, stages, number, folder, report)
        trainer = _trainer(session, folder, newest, report)
        if (
            newest is not None
            and number == len(stages) - 1
            and (change := consequence(trainer, longer, before))
        ):
            report(change)
        if first and not trainer.finished:
            for line in introduction(session, trainer):
                report(line)
        threads = Threads(config.threads, trainer, report, most)
        threads.begin(None if newest is None else stated(newest.checkpoint.state))
        trackers.begin(place.before + trainer.step)
        bar = TrainingProgress(trainer.schedule.total_steps, trainer.step, session.family.unit)
        with Signals() as signals, bar as progress:
            train(
                session,
                trainer,
                folder,
                place,
                stop=signals.came,
                watch=progress.show,
                report=report,
                log=trackers.log,
                threads=threads,
            )
        if signals.came():
            report(f"stopped after step {place.before + trainer.step}, which is in a checkpoint")
            raise Interrupted(signals.number, "the same command goes on from here")
        report(ending(trainer))
        newest, data = None, session.data
    return session, place.before + trainer.step


# The newest checkpoint of a run that is to be gone on with, and how much longer it is to be.
def _newest(
    config: RunConfig, folder: Path, family: Family | None, *, resume: bool, report: Report
) -> tuple[checkpoint.Saved | None, list[Longer]]:
    if not resume:
        raise UsageError(f"{folder} holds a run already", "give another --out, or --force")
    longer = grown(folder, config, NONE if family is None else family.own_guides)
    return checkpoint.newest_sound(folder, report), longer


# Takes up the best weights of the stage before.
def _begin(session: Session, stages: list[RunConfig], number: int, folder: Path, report: Report) -> Place:
    last, best = checkpoint.newest_sound(folder, report), checkpoint.best(folder, report)
    assert last is not None  # `best` is one
    before, now = stages[number - 1 : number + 1]
    names = f"{before.stage} and {now.stage}"
    same_guide = before.guide == now.guide
    carry_over(session.programs, best.checkpoint.model, same_guide=same_guide, names=names)
    place = place_of(last.checkpoint, len(stages), last.folder)
    return Place(number, step_of(last.checkpoint, place, last.folder))


# A trainer of the session, before its first step or where it was saved.
def _trainer(session: Session, folder: Path, newest: checkpoint.Saved | None, report: Report) -> Trainer:
    config, stage = session.config, f"stage {session.config.stage}: " if session.config.stage else ""
    what = f"{config.model}, {config.guide} guide, {config.objective}"
    report(f"{folder}: {stage}{what}, on {session.device}")
    trainer = session.trainer()
    if (schedule := trainer.schedule).warmup < schedule.warmup_steps:
        by_steps = schedule.total_steps == config.training.max_steps
        more = "more" if by_steps else "a smaller training.batch_size or more"
        report(
            f"{schedule.total_steps} steps in all, so warm-up takes {schedule.warmup} of them, not "
            f"{schedule.warmup_steps}; {more} training.{'max_steps' if by_steps else 'max_epochs'} give more"
        )
    if newest is not None:
        trainer.restore(newest.checkpoint)
        report(f"going on from step {trainer.step}")
    _ = session.dev  # before the first step
    return trainer
