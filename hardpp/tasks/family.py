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
from hardpp.guides.prior import Prior
from hardpp.types import Batch, Need

DEV_ITEMS = 200  # that figures are taken of after every epoch

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


def has_own_parameters(programs: Programs) -> bool:
    """Has the guide parameters that are not the model's?"""
    shared = set(map(id, programs.model.parameters()))
    return any(id(parameter) not in shared for parameter in programs.guide.parameters())


def prior_guide(parts: Any) -> nn.Module:
    """The model's own latents as the guide, whatever the model."""
    return Prior(parts.model)


class Description(Section):
    """What a run keeps of its data, so that it can be used without them: `data.json`, parsed once."""

    fingerprint: str  # changes whenever the data do

    def symbols_apart(self, other: "Description") -> list[str]:
        """Which lists of symbols, for which rows of the parameters stand, are not the same in another."""
        theirs, ours = other._symbols(), self._symbols()
        return [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]

    # All else shows in the parameters' shapes, or is a figure.
    def _symbols(self) -> dict[str, Any]:
        return {
            key: value
            for key, value in self.model_dump().items()
            if isinstance(value, list) and all(isinstance(name, str) for name in value)
        }


class Lack(NamedTuple):
    """Why the programs of a family do not have what an objective needs, and what to do about it."""

    reason: str
    hint: str


class GuideSpec(NamedTuple):
    """A guide under a name of the command line; `hardpp.tasks.catalogue.guide_spec` finds it."""

    summary: str
    build: Callable[..., nn.Module]  # makes the guide from the parts that `Family.parts` gave
    trained: bool | None = True  # has it parameters of its own? None: it is known once it is made
    replays: bool = False  # does it replay what the data have on record?
    lacks: Mapping[Need, Lack] = MappingProxyType({})  # what objectives may need, and it does not give
    described: bool = False  # is it made from the description of the data, too?

    def made(self, parts: Any, description: Any) -> nn.Module:
        """The guide for a model: `parts` is what `Family.parts` gave, `description` that of the data."""
        return self.build(parts, description) if self.described else self.build(parts)


class Recommended(NamedTuple):
    """Settings that lie under those of the user."""

    tables: Mapping[str, Any] = _NOTHING  # of the configuration: `objective`, [network], [optimiser], ...
    stages: Mapping[str, Mapping[str, Any]] = _NOTHING  # the same for single stages, on top
    guides: Mapping[str, str] = _NOTHING  # objective -> guide; of others the one that the objective trains
    options: Mapping[str, Mapping[str, Any]] = _NOTHING  # objective -> its options, [inference]
    single_particle_baseline: str | None = None  # what one particle is compared with; None: soft attention
    summary: str = ""  # of a preset: what it is for


class Stage(NamedTuple):
    """An earlier stage of training that a family begins with."""

    name: str
    summary: str
    settings: Mapping[str, Any]  # what makes it what it is: objective, guide, and tables of settings


class Toy(NamedTuple):
    """A few made-up data of a family, which need no network and no file: what its programs are checked on."""

    data: Any  # as `Family.load` gives; the first training datum is the shortest, with few latent values
    settings: Mapping[str, Any]  # tables of the configuration: networks and batches of a few numbers


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
    protocol: ClassVar[type | None] = None  # a typing.Protocol: what runs need of the model beside its sites
    data_sets: ClassVar[Sequence[str]]  # names that `--data` takes, besides paths; the first by default
    alignment_forms: ClassVar[Mapping[str, AlignmentForm]]  # what `align --format` can write
    reads: ClassVar[Sequence[str]] = ()  # kinds of a user's data, of `hardpp.data.kinds`; (): not told
    layouts: ClassVar[Mapping[str, str]] = _NOTHING  # a user's own data: files of a layout -> what they hold
    figures: ClassVar[Mapping[str, str]] = _NOTHING  # what `evaluate` reports: names -> what they are
    trust: ClassVar[Sequence[str]] = ()  # those of `figures` that tell how far probabilities can be trusted
    inputs: ClassVar[str | None] = None  # what the lines of `decode --input` are; None: it takes no file
    results: ClassVar[Sequence[str]] = ()  # further forms of what `decode` writes, of its `--format`
    nbest: ClassVar[str | None] = None  # the n best of `decode` and their probabilities; None: it has none
    together: ClassVar[bool] = True  # are all parts one list, which `--part all` asks about?
    word_links: ClassVar[bool] = False  # has it links between words, to symmetrise and to compare?
    reliability: ClassVar[Mapping[str, str]] = _NOTHING  # what can be held against known alignments
    own_guides: Mapping[str, type | nn.Module] = (
        _NOTHING  # given as such, by the names that a run has for them
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

    def toy(self) -> Toy | None:
        """Toy data for `hardpp check`; None: there are none, and programs of the family cannot be checked."""
        return None

    @abstractmethod
    def load(self, config: Any, report: Callable[[str], None]) -> Any:
        """Reads the data that `config`, of the family's `data`, names, fetching it where needed.

        The training part has `train_limit` data at most; `report` is told in a few words what is going on.
        """

    def items(self, data: Any, part: str) -> Any:
        """The items of a part that runs of the family can be asked about, as `OpenedRun.select` has them."""
        return getattr(data, part)

    @abstractmethod
    def describe(self, data: Any) -> Any:
        """The description of the data, of the family's type `description`."""

    @abstractmethod
    def parts(self, network: Any, description: Any) -> Any:
        """The model (attribute `model`) and whatever a guide is made from, by the sizes of the networks.

        Raises:
            UsageError: sizes that do not go together, or with the data.
        """

    def usable(self, config: RunConfig, data: Any, description: Any, report: Callable[[str], None]) -> Any:
        """The data that a run's networks can take; by default all. Others are refused, or left out and said.

        Raises:
            DataError: data that are not to be left out, or none is left.
        """
        return data

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

    def outline(self, config: RunConfig, description: Any) -> list[str]:
        """What the data are like, in a few phrases: sizes of vocabularies or images; by default nothing."""
        return []

    def dev_figures(self, run: Any) -> dict[str, float]:
        """Cheap figures of a few dev items, told beside the dev bound after every epoch; by default none.

        They come from `run`, an opened run with the weights so far; DEV_ITEMS are a good number of items.
        """
        return {}

    @abstractmethod
    def label(self, description: Any, batch: Any, row: int) -> str:
        """How to speak of a datum of a training batch: what the user would find in the data."""

    def build(self, config: RunConfig, description: Any, guide: GuideSpec) -> Programs:
        """Model and guide, by `hardpp.tasks.catalogue.programs`; a UsageError as for `parts`."""
        parts = self.parts(self.network(**config.network), description)
        return Programs(parts.model, guide.made(parts, description))
