"""What the doctor looks at: the model and a guide of a family, and the batches of its toy data."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pyro
import torch
from torch import Tensor, nn

from hardpp.config import RunConfig, merge
from hardpp.errors import UsageError
from hardpp.inference.weights.joined_plates import joined
from hardpp.tasks import catalogue
from hardpp.tasks.configuration import resolve
from hardpp.tasks.doctor.recorded import Recorded, recorded
from hardpp.tasks.family import Family, Lack, Programs, Toy
from hardpp.tasks.named_classes import name_of
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import Need


class ToyPrograms(NamedTuple):
    """A family's toy data, described, and how a run on them is configured."""

    family: Family
    config: RunConfig
    toy: Toy
    description: Any


def toy_of(
    model: str | type[Family],
    settings: Mapping[str, Any] | None = None,
    own_guides: catalogue.OwnGuides = catalogue.NONE,
) -> ToyPrograms:
    """The toy data of a family, and the configuration of a run on them with some settings on top.

    Args:
        model: the family's name, or its class.
        settings: tables of the configuration.
        own_guides: guides that are given as classes or objects, by their names.

    Raises:
        UsageError: there is no such family, it has no toy data, or the settings are wrong.
    """
    name = model if isinstance(model, str) else name_of(model)
    family = catalogue.family(name, own_guides)
    toy = family.toy()
    if toy is None:
        raise UsageError(
            f"model {name} has no toy data to check programs on",
            "its Family.toy() gives some, without network and files",
        )
    config = resolve([{"model": name}, merge([toy.settings, settings or {}])])
    return ToyPrograms(family, config, toy, family.describe(toy.data))


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and a guide over toy data, and what the guide declares not to give to objectives."""

    run: OpenedRun
    lacks: Mapping[Need, Lack] = field(default_factory=dict)

    @property
    def model(self) -> nn.Module:
        """The model as its guide wants it to be run."""
        joint: nn.Module = joined(self.run.programs.model, self.guide)
        return joint

    @property
    def guide(self) -> nn.Module:
        return self.run.programs.guide

    def batch(self, limit: int | None = None) -> Any:
        """The training data as one batch, or the first so many."""
        return self.run.batch(self.run.select(part="train", limit=limit))

    @cached_property
    def whole(self) -> Any:
        """All training data."""
        return self.batch()

    @cached_property
    def drawn(self) -> Recorded:
        """One run of the guide on all data."""
        return recorded(self.guide, self.whole)

    @cached_property
    def prior(self) -> Recorded:
        """One run of the model on all data, without the guide."""
        return recorded(self.model, self.whole)

    @property
    def shared(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Model's and guide's latents of the same names."""
        model, guide = self.prior.latents, self.drawn.latents
        return [(model[name], guide[name]) for name in model if name in guide]

    def own_parameters(self) -> dict[str, nn.Parameter]:
        """Those of the guide that are not the model's, and are trained."""
        model = {id(parameter) for parameter in self.model.parameters()}
        named = self.guide.named_parameters()
        return {name: p for name, p in named if id(p) not in model and p.requires_grad}

    def precise(self) -> "Subject":
        """The same in float64; as it is where its programs do not run so."""
        programs = Programs(*copy.deepcopy(tuple(self.run.programs)))
        run = replace(self.run, programs=Programs(*(each.double() for each in programs)))
        subject = _Precise(run, self.lacks)
        runs = not (
            recorded(subject.guide, subject.whole).error or recorded(subject.model, subject.whole).error
        )
        return subject if runs else self


class _Precise(Subject):
    def batch(self, limit: int | None = None) -> Any:
        batch = super().batch(limit)
        return with_fields(batch, lambda name, field: field.double() if field.is_floating_point() else field)


def subject_of(on: ToyPrograms, guide: str | None = None, seed: int = 0) -> Subject:
    """The model of a toy run with the guide of a name; None: that of its configuration.

    Raises:
        UsageError: there is no such guide, or it cannot be made.
    """
    spec = catalogue.guide_spec(on.family, guide or on.config.guide)
    pyro.settings.set(module_local_params=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = on.family.parts(on.family.network(**on.config.network), on.description)
        programs = Programs(parts.model, spec.made(parts, on.description))
    objective = catalogue.objective(on.config.objective, on.config.inference)
    made_of = (Path("toy"), on.family, on.config, on.description, programs, objective, torch.device("cpu"))
    run: OpenedRun = on.family.run(*made_of, step=0, data=on.toy.data)
    return Subject(run, spec.lacks)


def with_fields(batch: Any, change: Callable[[str, Tensor], Tensor]) -> Any:
    """A batch, a NamedTuple of tensors, with each of them changed."""
    fields = {
        name: change(name, field) if isinstance(field, Tensor) else field
        for name, field in batch._asdict().items()
    }
    return type(batch)(**fields)


def rows(batch: Any, index: Tensor) -> Any:
    """Some data of a batch, whose tensors all have the data first."""
    return with_fields(batch, lambda _, field: field[index])
