"""Trackers of experiments: TensorBoard, Weights & Biases or MLflow are told what goes into metrics.jsonl.

metrics.jsonl stays the record of a run; a tracker is a view of it. One that fails, or does not answer, never
stops a training: that is told once, and training goes on without it. Only one whose package is not installed
is refused, before anything is trained. Each is a few lines around the package's own client, and reads that
client's environment (WANDB_MODE, MLFLOW_TRACKING_URI and so on).
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from numbers import Real
from pathlib import Path
from typing import Any, Protocol, Self

from hardpp.config import RunConfig
from hardpp.data.undecoded import utf8
from hardpp.errors import UsageError, unknown
from hardpp.runs.calls_aside import CallsAside
from hardpp.tasks.opened_run import Report

Values = Mapping[str, float]


class Tracker(Protocol):
    """What a tracker is told."""

    def log(self, split: str, step: int, values: Values) -> None:
        """Numbers of a step ("train") or of a validation ("dev"), by their names in metrics.jsonl."""

    def close(self) -> None:
        """The process trains no more."""


class TensorBoard:
    """Events in RUN/tensorboard: `tensorboard --logdir RUN`."""

    def __init__(self, folder: Path, config: RunConfig, step: int):
        writer = import_module("torch.utils.tensorboard").SummaryWriter
        # What a process that was killed told of later steps is hidden.
        self.writer = writer(str(folder / "tensorboard"), purge_step=step + 1 if step else None)

    def log(self, split: str, step: int, values: Values) -> None:
        for name, value in values.items():
            self.writer.add_scalar(f"{split}/{name}", value, step)

    def close(self) -> None:
        self.writer.close()


class WeightsAndBiases:
    """A run of the project hardpp; it is gone on with when the run of the same folder is."""

    def __init__(self, folder: Path, config: RunConfig, step: int):
        self.run = import_module("wandb").init(
            project="hardpp",
            name=folder.name,
            dir=str(folder),
            id=hashlib.sha256(utf8(str(folder.resolve()))).hexdigest()[:16],
            resume="allow",
            config=config.model_dump(mode="json"),
        )

    def log(self, split: str, step: int, values: Values) -> None:
        self.run.log({f"{split}/{name}": value for name, value in values.items()}, step=step)

    def close(self) -> None:
        self.run.finish()


class MLflow:
    """A run of the experiment hardpp, with its folder for a tag; every process makes one of its own."""

    def __init__(self, folder: Path, config: RunConfig, step: int):
        mlflow = import_module("mlflow")
        mlflow.set_experiment("hardpp")
        self.client = mlflow
        mlflow.start_run(run_name=folder.name, tags={"hardpp.folder": str(folder.resolve())})
        names = ("model", "guide", "objective", "seed")
        mlflow.log_params({"data": config.data.name, **{name: getattr(config, name) for name in names}})

    def log(self, split: str, step: int, values: Values) -> None:
        self.client.log_metrics({f"{split}/{name}": value for name, value in values.items()}, step=step)

    def close(self) -> None:
        self.client.end_run()


Begin = Callable[[Path, RunConfig, int], Tracker]
TRACKERS: dict[str, Begin] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases, "mlflow": MLflow}


def check_trackers(names: Iterable[str]) -> None:
    """Refuses, by a UsageError, names of trackers that are not known or whose package is not installed."""
    for name in names:
        if name not in TRACKERS:
            raise UsageError(unknown("tracker", name, TRACKERS))
        if not _is_installed(name):
            raise UsageError(f"--log {name}: {name} is not installed", f"pip install 'hardpp[{name}]'")


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):  # there is something of that name, and it is broken
        return True


class Trackers:
    """Tells trackers what is recorded; use it as a context manager.

    Each is called in a thread of its own, so that one which never answers is left behind.

    Args:
        names: of `TRACKERS`.
        folder: the run's.
        config: the run's.
        report: told, once, of each tracker that fails or does not answer.
    """

    def __init__(self, names: Iterable[str], folder: Path, config: RunConfig, report: Report):
        self.names, self.folder, self.config, self.report = tuple(names), folder, config, report
        self.trackers: dict[str, _Told] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for name, told in list(self.trackers.items()):
            told.calls.finish(told.close)
            self._check(name)

    def begin(self, step: int) -> None:
        """The run is there, and has so many steps; the first call counts."""
        for name in self.names:
            told = self.trackers[name] = _Told()
            told.calls.finish(partial(told.begin, TRACKERS[name], self.folder, self.config, step))
            self._check(name)
        self.names = ()

    def log(self, record: Mapping[str, Any]) -> None:
        """Tells the numbers of a line of metrics.jsonl."""
        left = ("split", "step", "time")
        values = {
            key: float(value) for key, value in record.items() if key not in left and isinstance(value, Real)
        }
        for name, told in list(self.trackers.items()):
            told.calls.ask(partial(told.log, record["split"], record["step"], values))
            self._check(name)

    # Whatever somebody else's client does, the training is not to stop for it.
    def _check(self, name: str) -> None:
        if what := self.trackers[name].calls.fault():
            del self.trackers[name]
            self.report(f"warning: --log {name} failed, and training goes on without it: {what}")


# A tracker that is made, told and closed in one thread, as clients keep what they have begun by thread.
class _Told:
    def __init__(self) -> None:
        self.calls = CallsAside()
        self.tracker: Tracker | None = None

    def begin(self, begin: Begin, folder: Path, config: RunConfig, step: int) -> None:
        self.tracker = begin(folder, config, step)

    def log(self, split: str, step: int, values: Values) -> None:
        if self.tracker is not None:
            self.tracker.log(split, step, values)

    def close(self) -> None:
        if self.tracker is not None:
            self.tracker.close()
