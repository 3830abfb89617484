"""What an opened run answers of its posteriors' calibration."""

from abc import abstractmethod
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from hardpp.errors import UsageError, mended
from hardpp.tasks.arguments import check_number
from hardpp.tasks.family import Family, Programs

if TYPE_CHECKING:  # scipy is slow to import, and most verbs never need it
    from hardpp.tasks.calibration import Calibration, Choices, Simulated


class CalibratedRun:
    """A run whose posteriors can be judged on outputs that its own model draws."""

    family: Family
    programs: Programs
    device: torch.device

    @mended()
    def calibrate(self, items: Any = None, *, draws: int = 99, seed: int = 0) -> "Calibration":
        """How far posteriors can be trusted, on outputs that the model draws for the items' sources.

        Of each datum so many draws are made; see `hardpp.tasks.calibration` for what is found.
        """
        from hardpp.diagnostics.simulated_posterior import exact_draws, guide_draws
        from hardpp.tasks.calibration import Judged, calibrate, gap

        check_number("draws", draws, 9)
        check_number("seed", seed, 0)
        judged = {"guide": Judged(guide_draws, partial(self._choices, "guide"))}
        if "marginal" not in self.family.lacks(self.network):
            exact = Judged(exact_draws, partial(self._choices, "posterior"))
            guide = judged["guide"]._replace(kl=partial(gap, self.programs))
            judged = {"exact": exact, "guide": guide}
        simulated = self._simulate(self._items(items))
        return calibrate(self.programs, simulated, judged, draws=draws, seed=seed, device=self.device)

    @property
    @abstractmethod
    def network(self) -> Any: ...

    @abstractmethod
    def _items(self, items: Any) -> Any: ...

    # Batches whose observations the model draws, in the place of the items' own.
    def _simulate(self, items: Any) -> "Iterator[Simulated]":
        raise UsageError(f"model {self.family.name} draws no data of its own to judge its posteriors by")

    # Distributions of single choices by "guide" or exact "posterior", where they have some.
    def _choices(self, view: str, simulated: "Simulated") -> "Choices | None":
        return None
