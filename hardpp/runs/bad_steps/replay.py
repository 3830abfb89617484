"""Shows a step whose numbers went bad again, and what in it went bad first: `hardpp replay`.

The steps from the last checkpoint before it to the step are taken again, in memory: of one seed, on the same
machine, they are the same to the last bit. Only in the last one everything that is computed is looked at.
Nothing is written, and the files that are read hold numbers and text, no code.
"""

from collections.abc import Callable, Collection
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyro
import torch

from hardpp.errors import CheckpointError, DataError, NumericalError, UsageError, mended
from hardpp.runs import checkpoint
from hardpp.runs.bad_steps.bad_batch import FILE, BadBatch, read_bad_batch
from hardpp.runs.bad_steps.first_fault import Watch
from hardpp.runs.bad_steps.replayed_step import Replay, said_of
from hardpp.runs.cores import cores
from hardpp.runs.missing_run import no_run
from hardpp.runs.processes.ranks import joined_ranks
from hardpp.runs.rollback import begin_again
from hardpp.runs.run_files import own_guides, read_config, read_json
from hardpp.runs.session import Session
from hardpp.runs.stage import place_of
from hardpp.runs.thread_timing import put_back, take
from hardpp.runs.trainer import Trainer
from hardpp.runs.training_stages import begin_stage
from hardpp.tasks import catalogue
from hardpp.tasks.arguments import data_name
from hardpp.tasks.catalogue import OwnGuides
from hardpp.tasks.one_thread import one_thread
from hardpp.tasks.own_guides import Given


def replay(
    file: Path | str,
    *,
    data: Path | str | None = None,
    device: str | None = None,
    trust: bool | Collection[str] = False,
    guide: Given | OwnGuides | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> Replay:
    """Takes a step again whose numbers went bad, and finds what went bad first: `hardpp replay`.

    Example:
        found = hardpp.replay("runs/alignment-variational-elbo-0")
        print(found.faults[0].sentence if found.shown else found.why)

    Args:
        file: bad_batch.json of a run folder, or that folder.
        data: where the run's data are now; None: where they were.
        device: "cpu" or "cuda"; None: that of the training, where it is there.
        trust, guide: see `hardpp.open_run`.
        report: told in a few words what is going on.

    Raises:
        UsageError: several processes trained the run, and there are not as many here.
        DataError: the data cannot be read, or are not those of the run.
        CheckpointError: the file is not there or not ours, or the checkpoint before the step is gone.
    """
    path = Path(file) / FILE if Path(file).is_dir() else Path(file)
    folder = path.parent
    if not (folder / "config.toml").is_file():
        raise no_run(folder if path.name == FILE else Path(file))
    if not path.is_file():
        raise CheckpointError(f"{folder} has no {FILE}: no step of it was seen to go bad")
    kept = read_bad_batch(path)
    config = read_config(folder, None if trust is True else list(trust or []), guide)
    if (name := data_name(data)) is not None:
        here = config.data.model_copy(update={"name": catalogue.data_set(name)})
        config = config.model_copy(update={"data": here})
    stages = config.stages()
    if kept.stage >= len(stages) or kept.seed != config.seed:
        raise CheckpointError(f"{path} is not of the run in its folder")
    there = "cuda" if torch.cuda.is_available() else "cpu"
    where = device or (kept.device if kept.device == "cpu" else there)
    family = catalogue.family(config.model, own_guides(dict(config), guide))
    with mended(), one_thread(report), put_back(), joined_ranks(config.seed, where) as ranks:
        if ranks.size != kept.processes:
            count = f"--nproc_per_node={kept.processes}"
            what = f"{kept.processes} processes trained the run, and there are {ranks.size} here"
            raise UsageError(what, f"torchrun --standalone {count} -m hardpp replay {path}")
        if stages[kept.stage].threads == "auto":
            torch.set_num_threads(1)  # weights are drawn as they were
        stage = stages[kept.stage].model_copy(update={"device": where})
        given = kept.begins_at is not None or kept.stage > 0
        session = Session(stage, report, restored=given, family=family, ranks=ranks)
        if read_json(folder / "data.json").get("fingerprint") != session.description.fingerprint:
            what = (
                f"the data have changed since {folder} was begun" if data is None else f"{data}: other data"
            )
            raise DataError(
                what, f"it is to be those that {folder} was begun with (--data, where they are now)"
            )
        _ = session.dev
        if kept.begins_at is None and kept.stage:
            _begin_stage(session, stages, kept, folder)
        trainer = session.trainer()
        if kept.begins_at is not None:
            _restore(trainer, kept, folder)
        if session.device.type == "cpu":
            take(min(kept.threads, cores()))
        trainer.parts.count = kept.parts
        steps = max(kept.step - trainer.step, 0)
        report(f"{steps} step{'s' if steps != 1 else ''} to step {kept.before + kept.step}, on {where}")
        with pyro.validation_enabled(False):
            return _shown(session, trainer, kept, folder)


def _begin_stage(session: Session, stages: list[Any], kept: BadBatch, folder: Path) -> None:
    newest = checkpoint.newest_sound(folder, lambda text: None)
    if newest is None or place_of(newest.checkpoint, len(stages), newest.folder).stage != kept.stage - 1:
        raise CheckpointError(f"{folder} was trained on since, and what stage {kept.stage} began at is gone")
    begin_stage(session, stages, kept.stage, folder, lambda text: None)


def _restore(trainer: Trainer, kept: BadBatch, folder: Path) -> None:
    assert kept.begins_at is not None
    saved = checkpoint.load(checkpoint.at_step(folder, kept.begins_at))
    trainer.restore(saved)
    if trainer.rollbacks != kept.rollbacks:
        begin_again(trainer, kept.seed, kept.rollbacks)


def _shown(session: Session, trainer: Trainer, kept: BadBatch, folder: Path) -> Replay:
    watch = Watch(trainer.objective, trainer.averaged.module)
    records, failure, begun = trainer.records(), "", trainer.step
    while not (trainer.finished or trainer.step >= kept.step or failure or _bad(watch, trainer)):
        begun = trainer.step
        watched = kept.by_then or trainer.step == kept.step - 1
        try:
            with watch.watching() if watched else nullcontext():
                record = next(records)
            if "skipped" in record.values and (kept.by_then or record.step < kept.step):
                trainer.nonfinite.forget()
                watch.faults.clear()
            elif not watched:
                trainer.nonfinite.check()
            elif trainer.nonfinite.noted() is None:
                _, saved = trainer.state.tensors()
                changed = {name.removeprefix("weights."): saved[name] for name in saved}
                watch.look("update", changed, masked=True)
        except (NumericalError, UsageError) as error:
            if isinstance(error, UsageError) and not watch.faults:
                raise
            failure = str(error)
    shown = bool(failure) or _bad(watch, trainer)
    return said_of(session, trainer, kept, folder, watch.faults if shown else None, failure, begun + 1)


def _bad(watch: Watch, trainer: Trainer) -> bool:
    return trainer.nonfinite.noted() is not None or any(fault.kind == "update" for fault in watch.faults)
