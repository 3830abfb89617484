"""Training in a run folder, new or begun, to the end or to an interrupt."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hardpp.config import RunConfig
from hardpp.data.atomic_files import remove_partial
from hardpp.runs import checkpoint
from hardpp.runs.chosen_checkpoint import tell_unfinished
from hardpp.runs.evaluation import Extent, check_extent, evaluate_test_part
from hardpp.runs.folder import holds_run
from hardpp.runs.lock import locked
from hardpp.runs.processes.process_rank import restarted
from hardpp.runs.processes.ranks import Ranks, joined_ranks
from hardpp.runs.processes.shared_answers import answered_by
from hardpp.runs.stage import place_of, step_of
from hardpp.runs.thread_timing import put_back
from hardpp.runs.trackers import Trackers, check_trackers
from hardpp.runs.training_messages import kept, next_commands
from hardpp.runs.training_stages import train_all
from hardpp.tasks.answers.sharing import ALONE
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
    with one_thread(report), joined_ranks(config.seed, config.device) as ranks:
        if ranks.writes:
            with locked(folder), Trackers(log, folder, config, report) as trackers:
                tell_unfinished(folder, report)
                for place in (folder, folder / "checkpoints"):
                    remove_partial(place)
                return _run(config, folder, resume, force, report, family, data, evaluate, ranks, trackers)
        silent = Trackers((), folder, config, report)
        return _run(config, folder, resume, force, _nothing, family, data, evaluate, ranks, silent)


def _nothing(text: str) -> None:
    return


# Trains, and evaluates where a process is to write.
def _run(
    config: RunConfig,
    folder: Path,
    resume: bool,
    force: bool,
    report: Report,
    family: Family | None,
    data: Any,
    evaluate: Extent,
    ranks: Ranks,
    trackers: Trackers,
) -> tuple[OpenedRun, dict[str, Any]]:
    began = time.monotonic()
    with put_back():
        session, steps = train_all(
            config,
            folder,
            resume=resume,
            force=force and not restarted(),
            report=report,
            trackers=trackers,
            family=family,
            data=data,
            ranks=ranks,
        )
        report(f"trained for {time.monotonic() - began:.0f} s")
        ranks.wait()  # for what is in the folder
        best = checkpoint.best(folder, report)
        session.objective(*session.programs).load_state_dict(best.checkpoint.model)
        place = place_of(best.checkpoint, len(config.stages()), best.folder)
        run = session.opened(folder, step_of(best.checkpoint, place, best.folder), config=config)
        run = answered_by(run, ranks)
        report(kept(best.checkpoint.state, run.step, session.family.unit))
        figures = evaluate_test_part(run, evaluate, steps, report)
        run = replace(run, sharing=ALONE)
        for command in next_commands(folder):
            report(f"next: {command}")
        return run, figures
