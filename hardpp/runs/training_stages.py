"""The stages of a training, one after the other: each begun, or gone on with where it was interrupted."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hardpp.config import RunConfig
from hardpp.errors import Interrupted, UsageError
from hardpp.runs import checkpoint
from hardpp.runs.chosen_checkpoint import replace_damaged_best
from hardpp.runs.folder import create, holds_results
from hardpp.runs.moved_data import follow_data
from hardpp.runs.processes.ranks import Ranks
from hardpp.runs.progress_bar import TrainingProgress
from hardpp.runs.prolonging import Longer, consequence, grown, prolong
from hardpp.runs.recorded_training import train, train_beside
from hardpp.runs.resources import check_room
from hardpp.runs.session import Session
from hardpp.runs.signals import Signals
from hardpp.runs.stage import FIRST, Place, carry_over, check_stages, place_of, step_of
from hardpp.runs.threads import AUTO, Threads, stated
from hardpp.runs.trackers import Trackers
from hardpp.runs.trainer import Trainer
from hardpp.runs.training_messages import ending, introduction
from hardpp.tasks.catalogue import NONE
from hardpp.tasks.family import Family
from hardpp.tasks.opened_run import Report


def train_all(
    config: RunConfig,
    folder: Path,
    *,
    resume: bool,
    force: bool,
    report: Report,
    trackers: Trackers,
    family: Family | None,
    data: Any,
    ranks: Ranks,
) -> tuple[Session, int]:
    """Trains what is left of all stages of a run; the session of the last, and the steps of all.

    Args:
        config: the resolved configuration.
        folder: the run folder.
        resume, force, report, family, data: as for `hardpp.runs.training.run_in_folder`.
        trackers: told what is recorded.
        ranks: this process among those that train the run.

    Raises:
        UsageError: a run is there that is not to be gone on with.
        DataError: the data have changed since it began.
        ResourceError: it does not fit into memory, or onto the disk.
        Interrupted: a signal came; the run can be gone on with.
    """
    begun = holds_results(folder) and not force
    newest, before, longer = None, config.training, list[Longer]()
    if begun:
        newest, longer = _newest(config, folder, family, resume=resume, report=report)
        before = config.training.model_copy(update={length.name: length.before for length in longer})
    stages, most = config.stages(), torch.get_num_threads()
    # Processes that time steps beside each other would time each other.
    threads_of = config.threads if ranks.size == 1 or config.threads != AUTO else most
    place = FIRST if newest is None else place_of(newest.checkpoint, len(stages), newest.folder)
    for number in range(place.stage, len(stages)):
        torch.set_num_threads(1 if threads_of == AUTO else most)
        given = newest is not None or number > 0  # its weights come from a checkpoint of this run
        session = Session(stages[number], report, restored=given, data=data, family=family, ranks=ranks)
        if newest is None and not number:
            _ = session.dev  # data that cannot be read are known before anything is written
            check_stages(session.family, stages, session.description, session.programs)
        first = number == place.stage
        check_room(folder, session.programs)
        ranks.wait()  # until all have read what one of them is about to change, or has written
        if first and begun and ranks.writes:
            follow_data(folder, config, session.description, report, session.family.own_guides)
            prolong(folder, config, longer, report)
        elif first and ranks.writes:
            create(folder, config, session.description, session.family.own_guides)
        if newest is None and number:
            place = begin_stage(session, stages, number, folder, report)
        trainer = _trainer(session, folder, newest, report)
        if newest is not None and ranks.writes and replace_damaged_best(folder, newest, report):
            trainer.best = -math.inf  # the next one is better than none
        if (
            newest is not None
            and number == len(stages) - 1
            and (change := consequence(trainer, longer, before))
        ):
            report(change)
        if first and not trainer.finished:
            for line in introduction(session, trainer):
                report(line)
        threads = Threads(threads_of, trainer, report, most)
        threads.begin(None if newest is None else stated(newest.checkpoint.state))
        with Signals() as signals:
            stop = partial(_came, signals, ranks)
            if ranks.writes:
                trackers.begin(place.before + trainer.step)
                bar = TrainingProgress(trainer.schedule.total_steps, trainer.step, session.family.unit)
                with bar as progress:
                    train(
                        session,
                        trainer,
                        folder,
                        place,
                        stop=stop,
                        watch=progress.show,
                        report=report,
                        log=trackers.log,
                        threads=threads,
                    )
            else:
                train_beside(session, trainer, folder, place, stop=stop)
            number_of = ranks.largest(signals.number)
        if number_of:
            report(f"stopped after step {place.before + trainer.step}, which is in a checkpoint")
            raise Interrupted(number_of, "the same command goes on from here")
        report(ending(trainer))
        newest, data = None, session.data
    return session, place.before + trainer.step


# Has a signal come, to this process or to another one?
def _came(signals: Signals, ranks: Ranks) -> bool:
    return ranks.largest(signals.number) > 0


# The newest checkpoint of a run that is to be gone on with, and how much longer it is to be.
def _newest(
    config: RunConfig, folder: Path, family: Family | None, *, resume: bool, report: Report
) -> tuple[checkpoint.Saved | None, list[Longer]]:
    if not resume:
        raise UsageError(f"{folder} holds a run already", "give another --out, or --force")
    longer = grown(folder, config, NONE if family is None else family.own_guides)
    return checkpoint.newest_sound(folder, report), longer


def begin_stage(
    session: Session, stages: list[RunConfig], number: int, folder: Path, report: Report
) -> Place:
    """Takes up the best weights of the stage before, and returns the place of this one, of that number."""
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
