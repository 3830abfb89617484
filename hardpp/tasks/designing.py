"""Runs that design glimpse sequences, and runs that complete partly seen images for them.

What a run can do it says by its class, which `hardpp design` asks for. The options are the same of all.

Shapes: B images, T glimpses, L places.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from hardpp.config import Section
from hardpp.config.problems import problems
from hardpp.design.completion import Completion
from hardpp.errors import UsageError
from hardpp.tasks.arguments import check_number

_PLOTTED = 30  # completions where all places are judged


class Designed(NamedTuple):
    """The sequence of one image, when it is found."""

    name: str  # of the image
    file: str  # its name, so that it can be one of a file
    number: int  # of the images that have one by then
    total: int  # of all
    maps: Callable[[], Any]  # what each place was expected to tell, an xarray.DataTree


Watch = Callable[[Designed], None]


class DesignOptions(Section):
    """How glimpses are designed."""

    glimpses: int | None = Field(
        None, ge=1, le=10_000, description="how many an image [as many as the run was trained on]"
    )
    completions: int = Field(
        100,
        ge=2,
        le=1_000_000,
        description="whole images that what was seen is completed to at a glimpse",
    )
    first: int = Field(
        1000, ge=2, le=1_000_000, description="completions before the first glimpse, which is designed once"
    )
    database: int | None = Field(
        None,
        ge=2,
        description="retrieval and enumeration: the first so many training images [all]",
    )
    deviation: float = Field(
        20.0, ge=0.01, description="retrieval and enumeration: of the noise of what was seen, in grey values"
    )
    effective: float = Field(
        20.0, ge=1, description="retrieval: how many completions are to count effectively, at least"
    )
    budget: float = Field(
        0.0, ge=0, description="nats: end a sequence where the next glimpse is expected to tell less"
    )
    exhaustive: bool = Field(
        False, description="judge every place by all completions, and not only those that may be the best"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="of all draws")


class DesigningRun(ABC):
    """An opened run whose model judges partly seen images."""

    @abstractmethod
    def _design(
        self,
        path: Path,
        items: Any,
        options: DesignOptions,
        completion: "str | CompletingRun",
        watch: Watch,
    ) -> dict[str, Any]: ...

    @abstractmethod
    def _plot_information(
        self, items: Any, options: DesignOptions, completion: "str | CompletingRun", indices: Sequence[int]
    ) -> Iterator[tuple[str, Any]]: ...

    @abstractmethod
    def chosen(self, items: Any, names: Sequence[str], count: int, order: str) -> list[int]: ...

    def plot_information(
        self,
        *names: str,
        items: Any,
        count: int = 4,
        order: str = "uncertain",
        completion: "str | CompletingRun" = "retrieval",
        **options: Any,
    ) -> dict[str, Any]:
        """Figures of what each place was expected to tell, glimpse by glimpse, by names that can be a file's.

        All places are judged, by fewer completions unless their number is given. The rest as for `design`
        and for the plots of every run.
        """
        check_number("count", count, 1)
        checked = _checked({"completions": _PLOTTED, **options, "exhaustive": True})
        indices = self.chosen(items, names, count, order)
        return dict(self._plot_information(items, checked, completion, indices))

    def design(
        self,
        path: Path | str,
        items: Any,
        *,
        completion: "str | CompletingRun" = "retrieval",
        watch: Watch = lambda designed: None,
        **options: Any,
    ) -> dict[str, Any]:
        """Designs glimpse sequences of images into a file, and returns figures of those that it added.

        A file that has some already is gone on with, image by image; its form is that of
        `hardpp.data.images.glimpse_sequences`.

        Args:
            path: the file.
            items: what `select` gave.
            completion: what completes partly seen images: "retrieval" or "enumeration" of the run's training
                images, or another opened run whose model does.
            watch: is given each sequence before it is added to the file.
            **options: of `DesignOptions`.

        Raises:
            UsageError: an option is wrong, or the file is of another design.
        """
        return self._design(Path(path), items, _checked(options), completion, watch)


class CompletingRun(ABC):
    """An opened run whose model completes partly seen images."""

    path: Path

    @abstractmethod
    def completion(self, draws: int, *, first: int | None = None) -> Completion:
        """What completes images by so many draws of the run's guide; where nothing was seen, by `first`."""


def _checked(options: Mapping[str, Any]) -> DesignOptions:
    if wrong := problems(DesignOptions, options):
        raise UsageError("; ".join(wrong))
    return DesignOptions(**options)
