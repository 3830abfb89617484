"""Training a run: everything built from one configuration, and the loop that leaves a run folder."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyro
import torch

from hardpp.config import RunConfig
from hardpp.data.atomic_files import open_to_append, remove_partial, write_file
from hardpp.errors import Interrupted, UsageError
from hardpp.runs import checkpoint
from hardpp.runs.folder import (
    check_same_config,
    check_same_data,
    choose_device,
    create,
    holds_results,
    holds_run,
    open_run,
    write_json,
)
from hardpp.runs.initialisation import initialise
from hardpp.runs.lock import locked
from hardpp.runs.nonfinite import NonFiniteGuard
from hardpp.runs.optimiser_schedule import Schedule
from hardpp.runs.progress_bar import TrainingProgress
from hardpp.runs.signals import Signals
from hardpp.runs.trainer import Trainer, dump
from hardpp.tasks import catalogue
from hardpp.tasks.family import Programs, Task
from hardpp.types import Record
from hardpp.verbs.tables import finite


class Session:
    """A run that can be trained: programs, objective and data, built from one configuration.

    Args:
        config: the resolved configuration.
        report: told in a few words what is going on.
        restored: a checkpoint will give the weights, so that those of `init_from` are not asked for.
    """

    def __init__(self, config: RunConfig, report: Callable[[str], None], *, restored: bool = False):
        # Modules own their parameters; Pyro's global store would share them between runs.
        pyro.settings.set(module_local_params=True)
        self.config = config
        self.task: Task = catalogue.task(config.model)
        self.device = choose_device(config.device)
        if config.threads:
            torch.set_num_threads(config.threads)
        self.data = self.task.load(config.data, report)
        self.description = self.task.describe(self.data)
        pyro.set_rng_seed(config.seed)
        programs = self.task.build(config, self.description)
        if config.init_from is not None and not restored:
            initialise(programs, config, self.description, Path(config.init_from))
        self.programs = Programs(*(program.to(self.device) for program in programs))
        self.objective = catalogue.objective(config.objective, config.inference)
        self.dev = [
            batch.to(self.device) for batch in self.task.dev_batches(config, self.data, self.description)
        ]

    def trainer(self) -> Trainer:
        """A trainer before its first step."""
        config = self.config
        batches = self.task.epoch_batches(config, self.data, self.description)
        steps = len(batches(0)) * config.training.max_epochs
        schedule = Schedule(
            **config.optimiser.model_dump(), total_steps=min(steps, config.training.max_steps or steps)
        )
        nonfinite = NonFiniteGuard(
            self.device,
            config.training.on_nonfinite,
            latest=lambda: self.objective.latest,
            describe=lambda batch, row: self.task.label(self.description, batch, row),
        )
        return Trainer(
            self.objective(*self.programs).to(self.device),
            batches,
            self.dev_bound,
            schedule,
            device=self.device,
            max_epochs=config.training.max_epochs,
            patience=config.training.patience,
            nonfinite=nonfinite,
            weight_noise=config.training.weight_noise,
            weight_noise_steps=config.training.weight_noise_steps,
        )

    def monitors(self, record: Record) -> dict[str, float]:
        """What the objective says of the last training step besides its bound: the mean over its data."""
        latest = self.objective.latest
        if record.split != "train" or latest is None:
            return {}
        return {name: float(value.float().mean()) for name, value in latest.diagnostics.items()}

    @torch.no_grad()
    def dev_bound(self, module: Any = None) -> float:
        """The bound of the dev part under the objective (or a copy of it), in nats per symbol."""
        if module is None:
            module = self.objective(*self.programs).eval()
        bounds = [module.elbo.estimate(module.model, module.guide, batch).bound.sum() for batch in self.dev]
        return float(torch.stack(bounds).sum() / sum(batch.symbols for batch in self.dev))


def run_in_folder(
    config: RunConfig, folder: Path, *, resume: bool, force: bool, report: Callable[[str], None]
) -> dict[str, Any]:
    """Trains in a run folder, new or begun, then evaluates on the test part and writes summary.json.

    Args:
        config: the resolved configuration.
        folder: the run folder.
        resume: go on with the run that is there, if there is one.
        force: overwrite the run that is there; needless while it has no checkpoint.
        report: told in a few words what is going on.

    Raises:
        UsageError: something is there that must not be overwritten, or another process trains there.
        DataError: the data have changed since the run began.
        Interrupted: a signal came; the run can be gone on with.
    """
    holds_run(folder)  # before a lock is put into a folder of other things
    with locked(folder):
        remove_partial(folder)
        return _run_in_folder(config, folder, resume=resume, force=force, report=report)


def _run_in_folder(
    config: RunConfig, folder: Path, *, resume: bool, force: bool, report: Callable[[str], None]
) -> dict[str, Any]:
    there = holds_results(folder) and not force
    if there and not resume:
        raise UsageError(f"{folder} holds a run already", "give another --out, or --force")
    if there:
        check_same_config(folder, config)
    newest = checkpoint.newest_sound(folder, report) if there else None
    session = Session(config, report, restored=newest is not None)
    if there:
        check_same_data(folder, session.description)
    else:
        create(folder, config, session.description)
    report(f"{folder}: {config.model}, {config.guide} guide, {config.objective}, on {session.device}")
    trainer = session.trainer()
    if (schedule := trainer.schedule).warmup < schedule.warmup_steps:
        report(
            f"{schedule.total_steps} steps in all, so warm-up takes {schedule.warmup} of them, not "
            f"{schedule.warmup_steps}; a smaller training.batch_size or more training.max_epochs give more"
        )
    if newest is not None:
        trainer.restore(newest.checkpoint)
        report(f"going on from step {trainer.step}")
    began = time.monotonic()
    shown = TrainingProgress(trainer.schedule.total_steps, trainer.step, session.task.unit)
    with Signals() as caught, shown as progress:
        train(session, trainer, folder, stop=lambda: bool(caught.number), watch=progress.show, report=report)
    if caught.number:
        raise Interrupted(caught.number, "the same command goes on from here")
    report(f"trained for {time.monotonic() - began:.0f} s")
    run = open_run(folder, config.device, report)
    figures = run.task.evaluate(run, run.task.select(run, None, None, None, report), {})
    write_json(folder / "summary.json", finite(figures))
    return figures


def train(
    session: Session,
    trainer: Trainer,
    folder: Path,
    *,
    stop: Callable[[], bool],
    watch: Callable[[Record], None],
    report: Callable[[str], None],
) -> None:
    """Trains to the end in a run folder, or until told to stop.

    Every epoch, every `checkpoint_every` steps and a stop end in a checkpoint; the one of the best dev
    bound is marked.

    Args:
        session: what is trained.
        trainer: the session's trainer, new or restored from the folder's newest sound checkpoint.
        folder: the run folder.
        stop: asked after every step; True ends the run with a checkpoint.
        watch: shown every record.
        report: told of every step that is left out.

    Raises:
        NumericalError: a loss, gradient or dev bound is not finite; the checkpoints are from before.
    """
    training = session.config.training
    _cut_metrics(folder / "metrics.jsonl", trainer)
    restored = checkpoint.at_step(folder, trainer.step)
    if restored.is_dir() and trainer.validated_at == trainer.step and trainer.epochs_since_best == 0:
        checkpoint.mark(folder, "best", restored)  # in case the run was killed before it could
    # Validation costs a host synchronisation a site; one step under it finds what it can find.
    with pyro.validation_enabled(True), open_to_append(folder / "metrics.jsonl") as metrics:
        for record in trainer.records():
            pyro.enable_validation(False)
            watch(record)
            extra: dict[str, Any] = {"time": round(time.time(), 3)}
            if "skipped" in record.values:
                extra["why"] = trainer.nonfinite.reset()
                report(f"left out: {extra['why']}")
            if record.split == "dev" or record.step % training.log_every == 0 or "why" in extra:
                trainer.check()
                metrics.write(json.dumps(dump(record, **session.monitors(record), **extra)) + "\n")
                metrics.flush()
            at_interval = (
                training.checkpoint_every is not None and record.step % training.checkpoint_every == 0
            )
            stopping = record.split == "train" and stop()
            if record.split == "dev" or at_interval or stopping:
                saved = checkpoint.save(folder, record.step, trainer.checkpoint())
                if record.values.get("best"):
                    checkpoint.mark(folder, "best", saved)
                checkpoint.prune(folder, keep=2, report=report)
            if stopping:
                break


# Lines that a run wrote after the checkpoint it goes on from would stand there twice.
def _cut_metrics(path: Path, trainer: Trainer) -> None:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        lines = []
    lines_before = []
    for line in lines:
        try:
            record = json.loads(line)
            if record["step"] <= (trainer.validated_at if record["split"] == "dev" else trainer.step):
                lines_before.append(line + "\n")
        except (ValueError, KeyError, TypeError):  # a line cut short by a kill
            continue
    write_file(path, "".join(lines_before).encode())  # in place of a link, too
