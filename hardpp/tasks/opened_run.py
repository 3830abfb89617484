"""What can be asked of a trained run: figures, decoded outputs, posteriors, alignments, plots.

The verbs of the command line and the Python face call exactly these methods, which return data and print
nothing. `items` are what `select` gives; where they are left out, those of the run's test part are taken.
One question has one answer: what is drawn is drawn as `hardpp.tasks.sampling` says.
Memory and disk that ran out are a ResourceError.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Unpack

import torch

from hardpp.config import RunConfig
from hardpp.errors import UsageError, mended
from hardpp.inference.objective import SurrogateObjective
from hardpp.tasks.arguments import are_texts, check_items, check_number, check_options, check_word, data_name
from hardpp.tasks.calibrated_run import PLAIN, CalibratedRun, Certainty
from hardpp.tasks.catalogue import measured_objectives
from hardpp.tasks.family import Family, Programs
from hardpp.tasks.posterior_run import PosteriorRun
from hardpp.tasks.sampling import DEFAULT, Sampling, SamplingOptions

if TYPE_CHECKING:  # slow to import, and most verbs never need them
    from matplotlib.figure import Figure
    from xarray import DataTree as DataTree
else:
    DataTree = Figure = Any

Report = Callable[[str], None]  # told in a few words what is going on
Figures = Iterator[tuple[str, Figure]]  # each with a name for its file
Animations = Iterator[tuple[str, Sequence[Figure]]]  # the same of frames


class Decoded(NamedTuple):
    """What a run says of one item."""

    name: str  # the item, as the user knows it
    text: str


@dataclass(frozen=True, eq=False, repr=False)
class OpenedRun(PosteriorRun, CalibratedRun):
    """A trained run with its best weights, in evaluation mode; each family has a class of its own."""

    selection: ClassVar[type] = list  # what `select` gives
    item: ClassVar[type] = object  # and what such a list holds

    path: Path
    family: Family
    config: RunConfig
    description: Any
    programs: Programs
    objective: SurrogateObjective
    device: torch.device
    step: int
    data: Any = None  # the run's own data, where they are loaded already
    sampling: Sampling = DEFAULT  # of what is drawn, unless a question says otherwise
    certainty: Certainty = PLAIN  # how alignments say what is uncertain

    def __repr__(self) -> str:
        """One line, as notebooks print it: a run holds all of its data."""
        return f"<run {self.path}: {self.config.model}, {self.config.guide} guide, {self.config.objective}>"

    def select(
        self,
        data: str | Path | None = None,
        part: str | None = None,
        limit: int | None = None,
        report: Report = lambda text: None,
    ) -> Any:
        """A part of the run's data, or of other data that are read in the same way.

        Args:
            data: the name, file or folder of other data than the run's own.
            part: "train", "dev", "test" or "all" [test; all of one other file].
            limit: only the first so many.
            report: told in a few words what is going on.

        Raises:
            DataError, UsageError: the data cannot be read, are of another kind, or have no such part.
        """
        check_word("part", part, (None, "train", "dev", "test", "all"))
        check_number("limit", limit, 1, optional=True)
        return self._select(data_name(data), part, limit, report)

    def batch(self, items: Any) -> Any:
        """The items as one batch for the run's programs, on its device; a DataError if there are none."""
        return self._batch(self._items(items))

    @mended()
    def evaluate(self, items: Any = None, **decoding: Any) -> dict[str, Any]:
        """Figures by name; options of the family's decoding that are left out are the run's."""
        options = self.decoding(decoding)
        return self._evaluate(self._items(items), options)

    @mended()
    def decode(self, items: Any = None, **decoding: Any) -> list[Decoded]:
        """What the run says of every item, or of every text in a list, where the family takes texts."""
        options = self.decoding(decoding)
        if are_texts(items):
            items = self._from_texts(items)
        return self._decode(self._items(items), options)

    def read_inputs(self, path: Path | str) -> Any:
        """Every line of a file as an item of which only the source is known.

        Raises:
            UsageError: items of this family are no lines of a file.
            DataError: the file or a line cannot be read.
        """
        if self.family.inputs is None:
            raise UsageError(f"items of model {self.family.name} are no lines of a file: give --data")
        return self._read_inputs(Path(path))

    @mended()
    def plot(
        self, *names: str, items: Any = None, count: int = 4, **sampling: Unpack[SamplingOptions]
    ) -> dict[str, Figure]:
        """Figures of the run's attention, by names that can be a file's.

        `names` are those of the items to draw, as the data have them, searched for among `items`; without
        names the first `count` are drawn. `sampling` is that of `align`.
        """
        check_number("count", count, 1)
        return dict(self.asked(**sampling)._plot(self._items(items), count, names))

    @mended()
    def animate(
        self, *names: str, items: Any = None, count: int = 4, **sampling: Unpack[SamplingOptions]
    ) -> dict[str, Sequence[Figure]]:
        """The same as frames of moving pictures, of models that look at one thing after the other."""
        check_number("count", count, 1)
        return dict(self.asked(**sampling)._animate(self._items(items), count, names))

    @mended()
    def compare_gradients(
        self,
        items: Any = None,
        objectives: Sequence[str] | None = None,
        *,
        particles: int | None = None,
        draws: int = 200,
        seed: int = 0,
        report: Report = lambda text: None,
    ) -> list[dict[str, Any]]:
        """Bias, variance and cost of objectives' gradients on the items as one batch, a row for each.

        Objectives are names, all on offer if left out; particles are as many as their options say if left
        out; see `hardpp.diagnostics.gradient_comparison` for the rows.
        """
        from hardpp.diagnostics.gradient_comparison import compare_gradients

        check_number("draws", draws, 2)
        check_number("seed", seed, 0, 2**32 - 1)
        check_number("particles", particles, 1, optional=True)
        if objectives is not None and not are_texts(objectives):
            raise UsageError(f"objectives are a list of names, not {objectives!r}")
        measured = measured_objectives(self.family, self.config, objectives, particles)
        batch = self.batch(items)
        return compare_gradients(*self.programs, batch, measured, draws=draws, seed=seed, report=report)

    def decoding(self, given: Mapping[str, Any]) -> Any:
        """The options of decoding: the run's own, with those given now on top, checked."""
        return check_options(self.family, self.config.decoding, given)

    def data_config(self, data: str | None) -> Any:
        """How the run's data are read (the family's `data`), or how all of other data are."""
        other = {} if data is None else {"name": data, "train_limit": None}
        return self.config.data.model_copy(update=other)

    @cached_property
    def network(self) -> Any:
        """The sizes of the run's networks, of the family's `network`."""
        return self.family.network(**self.config.network)

    @property
    def provenance(self) -> dict[str, Any]:
        """What a file that is made from the run says of it."""
        names = {key: getattr(self.config, key) for key in ("model", "guide", "objective")}
        about = {"run": self.path.name, "data": self.description.fingerprint}
        return {**names, **about, "step": self.step, "training_seed": self.config.seed}

    def _load(self, data: str | None, report: Report) -> Any:
        if data is None and self.data is not None:
            return self.data
        return self.family.load(self.data_config(data), report)

    def _items(self, items: Any) -> Any:
        return self.select() if items is None else check_items(items, self.selection, self.item)

    # What each family answers; options are of its schema of decoding.
    @abstractmethod
    def _select(self, data: str | None, part: str | None, limit: int | None, report: Report) -> Any: ...
    @abstractmethod
    def _batch(self, items: Any) -> Any: ...
    @abstractmethod
    def _evaluate(self, items: Any, options: Any) -> dict[str, Any]: ...
    @abstractmethod
    def _decode(self, items: Any, options: Any) -> list[Decoded]: ...
    @abstractmethod
    def _plot(self, items: Any, count: int, names: Sequence[str]) -> Figures: ...

    # And only if it declares `inputs`, or looks at one thing at a time.
    def _read_inputs(self, path: Path) -> Any:
        raise NotImplementedError

    def _from_texts(self, texts: Sequence[str]) -> Any:
        raise UsageError(f"model {self.family.name} takes no texts as items", "give what select() gave")

    def _animate(self, items: Any, count: int, names: Sequence[str]) -> Animations:
        what = f"model {self.family.name} does not look at one thing after the other: nothing moves"
        raise UsageError(what, "give --format png, svg or pdf")
