"""What a model family declares: its data, networks, guides and settings.

Adding a family is a folder of `hardpp/tasks/` with a subclass of `Family` and one row in
`hardpp.tasks.catalogue` (or an entry point of the group `hardpp.tasks`). No verb of the command line changes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from pydantic import BaseModel
from torch import nn

from hardpp.config import DataConfig, RunConfig, Section
from hardpp.errors import UsageError
from hardpp.guides.prior import Prior
from hardpp.types import Batch, Need

_NOTHING: Mapping[str, Any] = MappingProxyType({})
# The training batches of an epoch, by its number; each is made when it is asked for.
EpochBatches = Callable[[int], Sequence[Callable[[], Batch]]]


class Programs(NamedTuple):
    """A model and a guide over the same sites."""

    model: nn.Module
    guide: nn.Module


class AlignmentForm(NamedTuple):
    """A form that alignments can be written in."""

    summary: str
    files: bool = False  # a file for every datum, instead of lines for all
    intervals: bool = False  # has it intervals, of as much probability as is asked for?
    calibrated: bool = False  # has it probabilities or intervals that can be fitted to known alignments?


def prior_guide(parts: Any) -> nn.Module:
    """The model's own latents as the guide, whatever the model."""
    return Prior(parts.model)


class Description(Section):
    """What a run keeps of its data, so that it can be used without them: `data.json`, parsed once."""

    fingerprint: str  # changes whenever the data do


class Lack(NamedTuple):
    """Why the programs of a family do not have what an objective needs, and what to do about it."""

    reason: str
    hint: str


class GuideSpec(NamedTuple):
    """A guide under a name of the command line."""

    summary: str
    build: Callable[[Any], nn.Module]  # makes the guide from the parts that `Family.parts` gave
    trained: bool = True  # has it parameters of its own?
    replays: bool = False  # does it replay what the data have on record?
    lacks: Mapping[Need, Lack] = MappingProxyType({})  # what objectives may need, and it does not give


class Recommended(NamedTuple):
    """Settings that lie under those of the user."""

    tables: Mapping[str, Any] = _NOTHING  # of the configuration: `objective`, [network], [optimiser], ...
    stages: Mapping[str, Mapping[str, Any]] = _NOTHING  # the same for single stages, on top
    guides: Mapping[str, str] = _NOTHING  # objective -> guide; of others the one that the objective trains
    options: Mapping[str, Mapping[str, Any]] = _NOTHING  # objective -> its options, [inference]
    single_particle_baseline: str | None = None  # what one particle is compared with; None: soft attention


class Stage(NamedTuple):
    """An earlier stage of training that a family begins with."""

    name: str
    summary: str
    settings: Mapping[str, Any]  # what makes it what it is: objective, guide, and tables of settings


class Family(ABC):
    """A model family. `Any` stands for types that only the family itself looks into."""

    name: ClassVar[str]  # as on the command line
    summary: ClassVar[str]  # one line for `hardpp models`
    unit: ClassVar[str]  # one of what is predicted, "a symbol": bounds are shown in nats a symbol
    data: ClassVar[type[DataConfig]]  # schema of the configuration's [data]
    network: ClassVar[type[BaseModel]]  # schema of [network]
    decoding: ClassVar[type[BaseModel]]  # schema of [decoding]: the options of `evaluate` and `decode`
    description: ClassVar[type[Description]]
    run: ClassVar[type]  # of its opened runs, a `hardpp.tasks.opened_run.OpenedRun`
    before: ClassVar[Sequence[Stage]] = ()  # stages that come first, unless `stages` leaves them out
    stage: ClassVar[str] = ""  # the name of the stage after these, the run's own
    presets: ClassVar[Mapping[str, Recommended]]  # stronger than what is recommended for the data
    guides: ClassVar[Mapping[str, GuideSpec]]
    data_sets: ClassVar[Sequence[str]]  # names that `--data` takes, besides paths; the first by default
    alignment_forms: ClassVar[Mapping[str, AlignmentForm]]  # what `align --format` can write
    layouts: ClassVar[Mapping[str, str]] = _NOTHING  # a user's own data: files of a layout -> what they hold
    figures: ClassVar[Mapping[str, str]] = _NOTHING  # what `evaluate` reports: names -> what they are
    inputs: ClassVar[str | None] = None  # what the lines of `decode --input` are; None: it takes no file
    word_links: ClassVar[bool] = False  # has it links between words, to symmetrise and to compare?
    reliability: ClassVar[Mapping[str, str]] = (
        _NOTHING  # what can be held against known alignments -> what it is
    )

    def recommended(self, data: str) -> Recommended:
        """What is recommended for a data set, or for a user's files by their layout."""
        return Recommended()

    def check(self, stages: Sequence[RunConfig]) -> None:
        """Refuses, by a UsageError, stages of a run whose settings do not go together; by default none."""
        return

    def lacks(self, network: Any) -> Mapping[Need, Lack]:
        """What objectives may need and the programs of this network do not have; by default nothing."""
        return {}

    @abstractmethod
    def load(self, config: Any, report: Callable[[str], None]) -> Any:
        """Reads the data that `config`, of the family's `data`, names, fetching it where needed.

        The training part has `train_limit` data at most; `report` is told in a few words what is going on.
        """

    @abstractmethod
    def describe(self, data: Any) -> Any:
        """The description of the data, of the family's type `description`."""

    @abstractmethod
    def parts(self, network: Any, description: Any) -> Any:
        """The model (attribute `model`) and whatever a guide is made from, by the sizes of the networks.

        Raises:
            UsageError: sizes that do not go together, or with the data.
        """

    def prepared(self, config: RunConfig, data: Any, programs: Programs) -> Any:
        """The data as a stage trains on them; by default as they are.

        They may be computed by modules that the stage does not train, whose weights are known when the first
        batch is asked for.
        """
        return data

    @abstractmethod
    def epoch_batches(self, config: RunConfig, data: Any, description: Any) -> EpochBatches:
        """Batches of the training part, in an order that seed and epoch alone decide."""

    @abstractmethod
    def dev_batches(self, config: RunConfig, data: Any, description: Any) -> Sequence[Batch]:
        """The dev part, for the bound that stops training."""

    @abstractmethod
    def label(self, description: Any, batch: Any, row: int) -> str:
        """How to speak of a datum of a training batch: what the user would find in the data."""

    def build(self, config: RunConfig, description: Any) -> Programs:
        """Model and guide; a UsageError if there is no such guide, or as for `parts`."""
        if config.guide not in self.guides:
            raise UsageError(f"model {self.name} has no guide {config.guide!r}")
        parts = self.parts(self.network(**config.network), description)
        return Programs(parts.model, self.guides[config.guide].build(parts))
