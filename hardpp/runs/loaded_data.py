"""Data that are at hand, and how they were read, so that a run can be trained on them and opened again."""

from functools import cached_property
from typing import Any

from hardpp.config import DataConfig, RunConfig
from hardpp.data.parts import PARTS
from hardpp.errors import UsageError
from hardpp.runs.folder import differing
from hardpp.tasks.family import Family


class LoadedData:
    """What a model family has read: its parts `train`, `dev` and `test`, and whatever else its data have.

    A part holds items that runs can be asked about: `run.evaluate(data.test[:20])`.

    Args:
        data: as the family has read them.
        config: how: the family's [data].
        model: the name of the family whose reader read them.
        family: that family.
    """

    def __init__(self, data: Any, config: DataConfig, model: str, family: Family):
        self.data, self.config, self.model, self.family = data, config, model, family

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "data":  # of a copy that is half-made
            raise AttributeError(name)
        return self.family.items(self.data, name) if name in PARTS else getattr(self.data, name)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(getattr(self.data, part))} {part}" for part in PARTS)
        return f"<data {self.config.name} of model {self.model}: {sizes}>"

    @cached_property
    def description(self) -> Any:
        """What a run would keep of them: vocabularies, sizes, a fingerprint."""
        return self.family.describe(self.data)

    def check_model(self, name: str) -> None:
        """Refuses, by a UsageError, another model than they were read for."""
        if name != self.model:
            what = f"the data were loaded for model {self.model!r}, and the run's is {name!r}"
            raise UsageError(what, f"give model={self.model!r}, or load_data(..., model={name!r})")

    def check(self, config: RunConfig) -> None:
        """Refuses, by a UsageError, a run that would have read them otherwise."""
        read, wanted = (which.model_dump() for which in (self.config, config.data))
        if difference := differing(read, wanted, "data."):
            what = f"the data were not loaded as the run wants them ({difference})"
            raise UsageError(what, "give such settings to load_data")
