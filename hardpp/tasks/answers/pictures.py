"""Pictures of what a run makes of its items."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from hardpp.errors import UsageError
from hardpp.tasks.answers.plots import Plots
from hardpp.tasks.answers.posterior import PosteriorRun
from hardpp.tasks.answers.ranking import RankedRun
from hardpp.tasks.answers.sampling import SamplingOptions
from hardpp.tasks.arguments import check_number, check_word, named_items
from hardpp.tasks.one_thread import answering

if TYPE_CHECKING:  # slow to import, and most verbs never need it
    from matplotlib.figure import Figure
else:
    Figure = Any

Figures = Iterator[tuple[str, Figure]]  # each with a name for its file
Animations = Iterator[tuple[str, Sequence[Figure]]]  # the same of frames
ORDERS = ("uncertain", "first")


class PicturedRun(RankedRun, PosteriorRun):
    """A run whose attention can be drawn."""

    path: Path
    step: int

    @answering()
    def plot(
        self,
        *names: Any,
        items: Any = None,
        count: int = 4,
        order: str = "uncertain",
        **sampling: Unpack[SamplingOptions],
    ) -> Plots:
        """Figures of the run's attention, by names that can be a file's; a notebook shows them.

        Args:
            names: of the items to draw, as the data have them, searched for among `items`. Items may also
                come first: `run.plot(items)`.
            items: what `select` gave.
            count: how many are drawn where none are named.
            order: which: those that the run is least certain of, by its `uncertainty`, among the first
                `hardpp.tasks.answers.ranking.CONSIDERED`; or the "first".
            sampling: that of `align`.
        """
        if names and items is None and not isinstance(names[0], str):
            items, names = names[0], names[1:]
        asked = self.asked(**sampling)
        return asked.figures_of(*asked._drawn_items(names, items, count, order))

    @answering()
    def figures_of(self, items: Any, indices: Sequence[int]) -> Plots:
        """The same of items by their indices."""
        return Plots(self._plot(items, indices))

    @answering()
    def animate(
        self,
        *names: str,
        items: Any = None,
        count: int = 4,
        order: str = "uncertain",
        **sampling: Unpack[SamplingOptions],
    ) -> dict[str, Sequence[Figure]]:
        """The same as frames of moving pictures, of models that look at one thing after the other."""
        asked = self.asked(**sampling)
        items, indices = asked._drawn_items(names, items, count, order)
        return dict(asked._animate(items, indices))

    def chosen(self, items: Any, names: Sequence[str], count: int, order: str) -> list[int]:
        """Indices of the items of these names; of so many, "uncertain" or "first", if none are named."""
        if names:
            return named_items(self._names(items), names, self.kind)
        if order == "first":
            return list(self._candidates(items))[:count]
        return [item.row for item in self.most_uncertain(items, count)]

    def note(self, shown: str) -> str:
        """What a picture says of itself: which run at which step, and what is shown of it."""
        return f"run {self.path.resolve().name}, step {self.step}: {shown}"

    def _drawn_items(self, names: Sequence[str], items: Any, count: int, order: str) -> tuple[Any, list[int]]:
        check_number("count", count, 1)
        check_word("order", order, ORDERS)
        if not all(isinstance(name, str) for name in names):
            raise UsageError(f"names of what to plot are texts, not {names!r}")
        items = self._items(items)
        return items, self.chosen(items, names, count, order)

    @abstractmethod
    def _items(self, items: Any) -> Any: ...

    @abstractmethod
    def _plot(self, items: Any, indices: Sequence[int]) -> Figures:
        """Figures of the items of these indices."""

    def _animate(self, items: Any, indices: Sequence[int]) -> Animations:
        """Frames of the items of these indices."""
        name: Any = getattr(self, "family", None)
        what = f"model {getattr(name, 'name', '')} does not look at one thing after the other: nothing moves"
        raise UsageError(what, "give --format png, svg or pdf")
