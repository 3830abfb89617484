"""What can be asked of a trained run: figures, decoded outputs, posteriors, alignments, plots.

The verbs of the command line and the Python face call exactly these methods, which return data and print
nothing. `items` are what `select` gives; where they are left out, those of the run's test part are taken.
One question has one answer: what is drawn is drawn as `hardpp.tasks.answers.sampling` says.
Memory and disk that ran out are a ResourceError.
"""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from hardpp.config import RunConfig
from hardpp.errors import DataError, HardppError, UsageError
from hardpp.inference.objective import SurrogateObjective
from hardpp.tasks.answers.calibrated import CalibratedRun
from hardpp.tasks.answers.certainty import PLAIN, Certainty
from hardpp.tasks.answers.decoded import Decoded as Decoded
from hardpp.tasks.answers.decoding import DecodingRun
from hardpp.tasks.answers.pictures import PicturedRun
from hardpp.tasks.answers.record import RunRecord
from hardpp.tasks.answers.sampling import DEFAULT, Sampling
from hardpp.tasks.answers.sharing import ALONE, R, Sharing
from hardpp.tasks.arguments import are_texts, check_items, check_number, check_on_bad, check_word, data_name
from hardpp.tasks.catalogue import data_problem, data_set, measured_objectives
from hardpp.tasks.family import Family, Programs
from hardpp.tasks.item_lists import some
from hardpp.tasks.one_thread import answering

if TYPE_CHECKING:  # slow to import, and most verbs never need them
    from xarray import DataTree as DataTree
else:
    DataTree = Any

Report = Callable[[str], None]  # told in a few words what is going on


@dataclass(frozen=True, eq=False, repr=False)
class OpenedRun(RunRecord, DecodingRun, PicturedRun, CalibratedRun):
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
    watch: Callable[[int], None] = lambda count: None  # told how many items each batch had
    warn: Report = warnings.warn  # told what is not as it should be
    sampling: Sampling = DEFAULT  # of what is drawn, unless a question says otherwise
    certainty: Certainty = PLAIN  # how alignments say what is uncertain
    sharing: Sharing = ALONE  # which batches this process works on

    def select(
        self,
        data: str | Path | None = None,
        part: str | None = None,
        limit: int | None = None,
        report: Report = lambda text: None,
        on_bad: str | None = None,
    ) -> Any:
        """A part of the run's data, or of other data that are read in the same way.

        Args:
            data: the name, file or folder of other data than the run's own.
            part: "train", "dev", "test" or "all" [test; all of one other file].
            limit: only the first so many.
            report: told in a few words what is going on.
            on_bad: "stop" at data that cannot be used, or "skip" them and say so [as the run was trained].

        Raises:
            UsageError: there are no such data, or not all parts can be asked about at once.
            DataError: the data cannot be read, or are of another kind.
        """
        asked = self._asked_data(data, part, limit)
        if part is None and data is not None and Path(data).is_file() and _lies_there(self, str(data)):
            what = f"{data} is what the run was trained on, and all of it is asked about"
            report(f"warning: {what}: --part test leaves out what was trained on")
        return self._reading(on_bad)._select(*asked, report)

    def select_lines(
        self,
        data: str | Path | None = None,
        part: str | None = None,
        limit: int | None = None,
        report: Report = lambda text: None,
        on_bad: str | None = None,
    ) -> Any:
        """The same for what is written a line for each line that is read: `decode` and `align` take it.

        Where items are lines of a file, there is None for each that is left out. A line without a text is
        left out and not refused, unless `on_bad` says "stop".
        """
        asked = self._asked_data(data, part, limit)
        return self._reading(on_bad)._select_lines(*asked, report, strict=on_bad == "stop")

    def _asked_data(
        self, data: str | Path | None, part: str | None, limit: int | None
    ) -> tuple[str | None, str | None, int | None]:
        check_word("part", part, (None, "train", "dev", "test", "all"))
        check_number("limit", limit, 1, optional=True)
        if part == "all" and not self.family.together:
            what = f"parts of model {self.family.name}'s data are asked about one by one"
            raise UsageError(what, "give --part train, dev or test")
        name = data_name(data)
        if name is not None and name not in self.family.data_sets:
            name = data_set(name)
            what, hint = data_problem(self.family, name)
            if what:
                raise UsageError(what, hint)
        elif name is None and self.data is None:
            self._check_still_there()
        return name, part, limit

    def batch(self, items: Any) -> Any:
        """The items as one batch for the run's programs, on its device; a DataError if there are none."""
        return self._batch(self._items(items))

    @answering()
    def evaluate(self, items: Any = None, **decoding: Any) -> dict[str, Any]:
        """Figures by name; options of the family's decoding that are left out are the run's."""
        options = self.decoding(decoding)
        return self._evaluate(self._items(items), options)

    @answering()
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

        Objectives are names [all], particles are for each [its own]; rows are `gradient_comparison`'s.
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

    def each(
        self, batches: Iterable[tuple[Any, ...]], compute: Callable[..., R], *, first_alone: bool = False
    ) -> Iterator[tuple[Any, R]]:
        """What is computed of every batch, by this process or by others beside it: see `Sharing.each`."""
        return self.sharing.each(batches, compute, self.device, first_alone=first_alone)

    def data_config(self, data: str | None) -> Any:
        """How the run's data are read (the family's `data`), or how all of other data are."""
        other = {} if data is None else {"name": data, "train_limit": None}
        return self.config.data.model_copy(update=other)

    @cached_property
    def network(self) -> Any:
        """The sizes of the run's networks, of the family's `network`."""
        return self.family.network(**self.config.network)

    def _at(self, items: Any, indices: Sequence[int]) -> Any:
        return some(items, indices)

    def _check_still_there(self) -> None:
        name = self.config.data.name
        if name not in self.family.data_sets and not self.config.data.is_there(name):
            what = f"{name}: the data that the run was trained on are not there any more"
            raise DataError(what, "say where they are now: --data PATH --part test")

    # The run, as it reads data where those that cannot be used are stopped at, or left out.
    def _reading(self, on_bad: str | None) -> "OpenedRun":
        if on_bad is None:
            return self
        check_on_bad(self.family, on_bad)
        data = self.config.data.model_copy(update={"on_bad": on_bad})
        return replace(self, config=self.config.model_copy(update={"data": data}), data=None)

    def _load(self, data: str | None, report: Report) -> Any:
        if data is None and self.data is not None:
            return self.data
        return self.family.load(self.data_config(data), report)

    def _items(self, items: Any) -> Any:
        if items is None:
            return self.select()
        self._check_like(check_items(items, self.selection, self.item))
        return list(items) if self.selection is list and not isinstance(items, list) else items

    # Refuses, by a DataError, items that are not like the data that the run was trained on, of which its
    # answers would be wrong; `of` says whose they are, before a colon. By default all are.
    def _check_like(self, items: Any, of: str = "") -> None:
        return

    # Only of families whose items are lines of files of the user's own.
    def _select_lines(
        self, data: str | None, part: str | None, limit: int | None, report: Report, *, strict: bool
    ) -> Any:
        return self._select(data, part, limit, report)

    # What each family answers; options are of its schema of decoding.
    @abstractmethod
    def _select(self, data: str | None, part: str | None, limit: int | None, report: Report) -> Any: ...
    @abstractmethod
    def _batch(self, items: Any) -> Any: ...
    @abstractmethod
    def _evaluate(self, items: Any, options: Any) -> dict[str, Any]: ...


def is_own(run: OpenedRun, data: str) -> bool:
    """Was the run trained on the data there? Then their parts are those of training, which made some.

    They may have been moved: then it is told by their fingerprint.
    """
    if _lies_there(run, data):
        return True
    config = run.config.data.model_copy(update={"name": data})
    try:
        found = run.family.describe(run.family.load(config, lambda text: None))
    except HardppError:  # they are no data that it could have been trained on
        return False
    return bool(found.fingerprint == run.description.fingerprint)


def _lies_there(run: OpenedRun, data: str) -> bool:
    return Path(data).resolve() == Path(run.config.data.name).resolve()
