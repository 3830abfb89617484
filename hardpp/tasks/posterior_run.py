"""What can be asked of a trained run about its latents: draws and marginals.

These are methods of an opened run (`hardpp.tasks.opened_run`). Draws are as `hardpp.tasks.sampling` says.
"""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, Unpack

from hardpp.errors import mended
from hardpp.tasks.arguments import check_number
from hardpp.tasks.family import Family
from hardpp.tasks.sampling import DEFAULT, Sampling, SamplingOptions

if TYPE_CHECKING:  # slow to import, and most verbs never need it
    from xarray import DataTree
else:
    DataTree = Any


class PosteriorRun(ABC):
    """The part of an opened run that answers questions about latents."""

    family: Family
    sampling: Sampling

    @property
    def approximation(self) -> str | None:
        """What `align` and `plot` have for the posterior (`hardpp.tasks.sampling`); None: the exact one."""
        return None

    @mended()
    def posterior(
        self, items: Any = None, *, exact: bool = True, **sampling: Unpack[SamplingOptions]
    ) -> DataTree:
        """Draws of the guide (so many for each item) and marginals, with the data's own names, for ArviZ.

        The exact posterior is added where there is one, unless `exact` is False. The same draws make the
        same tree, and the same bytes once it is written; `sample_stats.trust` says how far to trust each.
        """
        asked = self.asked(**sampling)
        return asked._posterior(self._items(items), exact=exact, **asked.sampling._asdict())

    def shown_posterior(self, **sampling: Unpack[SamplingOptions]) -> str | None:
        """What `align` and `plot` show as the posterior, in words; None where it is the exact one."""
        what = self.approximation
        return None if what is None else what.format(**self.asked(**sampling).sampling._asdict())

    def asked(self, draws: int = DEFAULT.draws, seed: int | None = None) -> Self:
        """The run as it answers with so many draws, and with this seed or that of its decoding."""
        check_number("draws", draws, 1)
        check_number("seed", seed, 0, optional=True)
        if seed is None:
            seed = self.decoding({}).model_dump().get("seed", DEFAULT.seed)
        run: Any = self  # a dataclass, as all opened runs are
        asked: Self = replace(run, sampling=Sampling(int(draws), int(seed)))
        return asked

    @abstractmethod
    def decoding(self, given: Any) -> Any: ...
    @abstractmethod
    def _items(self, items: Any) -> Any: ...
    @abstractmethod
    def _posterior(self, items: Any, *, draws: int, exact: bool, seed: int) -> DataTree: ...
