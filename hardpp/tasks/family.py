"""What a model family has to tell the command line.

Adding a family is one module with a class like this and one line in `hardpp.tasks.catalogue` (or an
entry point of the group `hardpp.tasks`); no verb of the command line changes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from pydantic import BaseModel
from torch import nn

from hardpp.config import DataConfig, RunConfig, problems
from hardpp.errors import UsageError
from hardpp.types import Batch


class Programs(NamedTuple):
    """A model and a guide over the same sites."""

    model: nn.Module
    guide: nn.Module


class Run(NamedTuple):
    """A trained run, opened."""

    path: Path
    task: "Task"
    config: RunConfig
    description: dict[str, Any]
    programs: Programs
    device: torch.device
    step: int

    def decoding(self, given: Mapping[str, Any]) -> Any:
        """The family's options of `evaluate`: the run's own, and those given now on top of them.

        Raises:
            UsageError: an option that the family has not, or a wrong value.
        """
        name = self.config.model
        foreign = [
            f"--{key.replace('_', '-')} is not for model {name}"
            for key in given
            if key not in self.task.decoding.model_fields
        ]
        if foreign:
            raise UsageError("; ".join(foreign), f"hardpp models {name} lists the options of its decoding")
        options = {**self.config.decoding, **given}
        if found := problems(self.task.decoding, options):
            raise UsageError("; ".join(found))
        return self.task.decoding(**options)

    def reading(self, data: str | None) -> Any:
        """How the run's data are read (the family's `data`), or other data, all of them, likewise."""
        other = {} if data is None else {"name": data, "train_limit": None}
        return self.config.data.model_copy(update=other)

    def provenance(self) -> dict[str, Any]:
        """What a file that is made of the run says of it."""
        made = {key: getattr(self.config, key) for key in ("model", "guide", "objective")}
        return {**made, "step": self.step, "training_seed": self.config.seed}


class Task(Protocol):
    """A model family: its data, programs, and what can be asked of a trained run.

    `Data` stands for whatever the family reads (a corpus, folders of images); only the family looks
    into it.
    """

    name: str
    summary: str  # one line for `hardpp models`
    unit: str  # what is predicted, and bounds are shown for one of
    network: type[BaseModel]  # schema of the configuration's [network]
    presets: Mapping[str, Mapping[str, Any]]  # name -> tables laid under everything else
    guides: Mapping[str, str]  # name -> one line for `hardpp guides`
    data_sets: Sequence[str]  # names that `--data` takes, besides paths; the first if none is given
    data: type[DataConfig]  # schema of the configuration's [data]
    decoding: type[BaseModel]  # schema of the options of `evaluate` and `decode`

    def settings(self, data: str) -> Mapping[str, Any]:
        """What is recommended for a data set: tables laid under everything else, the preset too.

        In place of `inference` and `guide`, which depend on the objective, there may be `options` and
        `guides`: those of each objective, by name (`options` in presets too); the guide of any other is the
        one it trains. And there may be `single_particle_baseline`, what one particle is compared with where
        latents have no expected value, which soft attention needs.
        """

    def load(self, config: Any, report: Callable[[str], None]) -> Any:
        """Reads the data, fetching it where needed.

        Args:
            config: of the family's `data`; the training part has `train_limit` data at most.
            report: told in a few words what is going on.
        """

    def describe(self, data: Any) -> dict[str, Any]:
        """What a run must keep of the data to be used without them, as JSON; the fingerprint is one key."""

    def build(self, config: RunConfig, description: Mapping[str, Any]) -> Programs:
        """Model and guide, from a configuration and what `describe` kept."""

    def epoch_batches(
        self, config: RunConfig, data: Any, description: Mapping[str, Any]
    ) -> Callable[[int], Sequence[Callable[[], Batch]]]:
        """Training batches of an epoch, each made when it is asked for."""

    def dev_batches(self, config: RunConfig, data: Any, description: Mapping[str, Any]) -> Sequence[Batch]:
        """The dev part, for the bound that stops training."""

    def label(self, description: Mapping[str, Any], batch: Any, row: int) -> str:
        """How to speak of a datum of a training batch: what the user would find in the data."""

    def select(
        self, run: Run, data: str | None, part: str | None, limit: int | None, report: Callable[[str], None]
    ) -> Any:
        """What a verb is asked about: part of the run's data, or of other data read the same way."""

    def batch(self, run: Run, items: Any) -> Any:
        """What `select` gave, as one batch for the run's programs, on its device."""

    def evaluate(self, run: Run, items: Any, decoding: Mapping[str, Any]) -> dict[str, Any]:
        """Figures of the run on items that `select` gave; options of `decoding` left out are the schema's."""

    def decode(self, run: Run, items: Any, decoding: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The name of every item, as the user knows it, and what the run says of it; each is one line."""

    def posterior(self, run: Run, items: Any, *, draws: int, exact: bool, seed: int) -> Any:
        """Draws and marginals of the latents, an `xarray.DataTree` with the data's own names."""

    def alignments(self, run: Run, items: Any, which: str, style: str) -> Iterator[str]:
        """Lines that say where the model looked."""

    def pictures(self, run: Run, items: Any, count: int, sources: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Pictures of where the model looked, each with a name."""
