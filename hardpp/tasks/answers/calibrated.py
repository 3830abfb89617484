"""What an opened run answers about how far to believe its posteriors and its alignments.

Nothing is kept that could belong to other weights or data: a map that calibrates is fitted to the dev part of
the run's data whenever it is asked for.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import torch

from hardpp.errors import UsageError
from hardpp.tasks.answers.calibration.reliability import BINS, Curve
from hardpp.tasks.answers.posterior import VIEWS, PosteriorRun
from hardpp.tasks.answers.sampling import SamplingOptions
from hardpp.tasks.arguments import check_number, check_word
from hardpp.tasks.family import Programs
from hardpp.tasks.one_thread import answering

if TYPE_CHECKING:  # scipy is slow to import, and most verbs never need it
    from hardpp.tasks.answers.calibration.simulation_based import Calibration, Choices, Judged, Simulated


class CalibratedRun(PosteriorRun):
    """A run whose posteriors are judged on outputs that its own model draws, and alignments on known ones."""

    programs: Programs
    device: torch.device

    @answering()
    def calibrate(
        self, items: Any = None, *, draws: int = 99, refine_steps: int = 0, seed: int = 0
    ) -> "Calibration":
        """How far posteriors can be trusted, on outputs that the model draws for the items' sources.

        Judged are the guide, the exact posterior where there is one, and with `refine_steps` also the guide
        refined for each datum by so many steps (`hardpp.tasks.refinement`): what its `kl` is smaller by is
        the amortisation gap. Of each datum so many draws are made;
        `hardpp.tasks.answers.calibration.simulation_based` says what is found.

        Raises:
            UsageError: posteriors of this family cannot be judged so, or a guide cannot be refined.
        """
        from hardpp.diagnostics.simulated_posterior import exact_draws
        from hardpp.tasks.answers.calibration.simulation_based import Judged, calibrate
        from hardpp.tasks.refinement import refined

        check_number("draws", draws, 9)
        check_number("refine_steps", refine_steps, 0)
        check_number("seed", seed, 0)
        lacks = self.family.lacks(self.network)
        exact = "marginal" not in lacks
        judged = {}
        if exact:
            draw = partial(exact_draws, self.exact_marginal)
            judged["exact"] = Judged(draw, partial(self._choices, "posterior"))
        judged["guide"] = self._judged_guide(exact=exact)
        if refine_steps:
            if not exact or "enumerable" in lacks:
                what = f"latents of model {self.family.name} are not summed out, so no guide can be refined"
                raise UsageError(what, "leave --refine-steps out")
            model, guide = self.programs
            run: Any = self  # a dataclass, as all opened runs are
            better: CalibratedRun = replace(
                run, programs=Programs(model, refined(guide, model, refine_steps))
            )
            judged["refined"] = better._judged_guide(exact=True)
        simulated = self._simulate(self._items(items))
        return calibrate(self.programs, simulated, judged, draws=draws, seed=seed, device=self.device)

    def _judged_guide(self, *, exact: bool) -> "Judged":
        from hardpp.diagnostics.simulated_posterior import guide_draws
        from hardpp.tasks.answers.calibration.simulation_based import Judged

        def draw(model: Any, guide: Any, batch: Any, draws: int) -> Any:
            return guide_draws(model, self.programs.guide, batch, draws)

        def divergence(batch: Any) -> Any:
            return self.guide_divergence(*self.programs, batch)[1]

        return Judged(draw, partial(self._choices, "guide"), divergence if exact else None)

    @answering()
    def reliability(
        self,
        items: Any = None,
        *,
        of: str = "posterior",
        bins: int = BINS,
        **sampling: Unpack[SamplingOptions],
    ) -> list[Curve]:
        """How often what the run says of alignments is true, on items whose alignments are known.

        What is calibrated was fitted to the dev part; items of that part are judged by a fit without them.

        Args:
            items: what `select` gave; those of the test part if left out.
            of: whose alignment: "posterior", "guide" or "prior".
            bins: of probabilities.
            sampling: that of `align`.

        Returns:
            A dict for each kind, raw and calibrated: `what`, `ece`, `count`, and `rows` of `bin`,
            `predicted`, `observed`, `error` and `count` (`hardpp.tasks.answers.calibration.reliability`).

        Raises:
            UsageError: alignments of this family cannot be held against known ones.
            DataError: those of the items, or of the dev part, are not known, or of too few.
        """
        check_word("of", of, VIEWS)
        check_number("bins", bins, 2, 1000)
        if not self.family.reliability:
            raise UsageError(
                f"model {self.family.name} has no alignments that could be held against known ones",
                "ask a run on sequence pairs with known links, or on speech with known times",
            )
        return self.asked(**sampling)._reliability(self._items(items), of, bins)

    @property
    @abstractmethod
    def network(self) -> Any: ...

    # Batches whose observations the model draws, in the place of the items' own.
    def _simulate(self, items: Any) -> "Iterator[Simulated]":
        what = f"posteriors of model {self.family.name} cannot be judged on data of its own making"
        raise UsageError(what, "models of alignments, captions, questions, speech and glimpses can")

    # Distributions of single choices by "guide" or exact "posterior", where they have some.
    def _choices(self, view: str, simulated: "Simulated") -> "Choices | None":
        return None

    # Only if the family declares `reliability`.
    def _reliability(self, items: Any, of: str, bins: int) -> list[Curve]:
        raise NotImplementedError
