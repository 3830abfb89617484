"""What can be asked of a trained run about its latents: draws and marginals, and alignments made of them.

These are methods of an opened run (`hardpp.tasks.opened_run`). Draws are as `hardpp.tasks.answers.sampling`
says.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, Unpack

from hardpp.errors import UsageError
from hardpp.tasks.answers.certainty import Certainty, certainty_in
from hardpp.tasks.answers.sampling import DEFAULT, Sampling, SamplingOptions
from hardpp.tasks.arguments import check_number, check_word
from hardpp.tasks.family import Family
from hardpp.tasks.one_thread import answering

if TYPE_CHECKING:  # slow to import, and most verbs never need it
    from xarray import DataTree

    from hardpp.diagnostics.guide_divergence import GuideDivergence
    from hardpp.inference.exact import ExactMarginal
else:
    DataTree = Any

VIEWS = ("posterior", "guide", "prior")


class PosteriorRun(ABC):
    """The part of an opened run that answers questions about latents."""

    family: Family
    sampling: Sampling
    certainty: Certainty

    @cached_property
    def exact_marginal(self) -> "ExactMarginal":
        """What sums latents out: one for all batches, as it checks the programs in the first of them."""
        from hardpp.inference.exact import ExactMarginal

        return ExactMarginal()

    @cached_property
    def guide_divergence(self) -> "GuideDivergence":
        """What finds how far the guide is from the exact posterior, likewise."""
        from hardpp.diagnostics.guide_divergence import GuideDivergence

        return GuideDivergence()

    @property
    def approximation(self) -> str | None:
        """What `align` and `plot` have for the posterior (see `Sampling`); None: the exact one."""
        return None

    @answering()
    def posterior(
        self, items: Any = None, *, exact: bool = True, **sampling: Unpack[SamplingOptions]
    ) -> DataTree:
        """Draws of the guide (so many for each item) and marginals, with the data's own names, for ArviZ.

        The exact posterior is added where there is one, unless `exact` is False. The same draws make the
        same tree, and the same bytes once it is written; `sample_stats.trust` says how far to trust each.
        """
        asked = self.asked(**sampling)
        return asked._posterior(self._items(items), exact=exact, **asked.sampling._asdict())

    @answering()
    def align(
        self,
        items: Any = None,
        *,
        of: str = "posterior",
        form: str = "tsv",
        mass: float | None = None,
        calibrated: bool = False,
        **sampling: Unpack[SamplingOptions],
    ) -> list[str]:
        """Lines that say which source position, region, time or place goes with each output.

        Args:
            items: what `select` or `select_lines` gave.
            of: whose alignment: "posterior" (exact, or what `shown_posterior` says), "guide", or "prior"
                (before the output is seen).
            form: one of the family's `alignment_forms` that is lines.
            mass: of intervals, where the form has some [0.89].
            calibrated: fit probabilities and intervals to what is known of the dev part (`reliability`).
            sampling: `draws` and `seed` of the guide, where draws stand for what cannot be computed.
        """
        self._check_form(form, of, files=False)
        asked = self.asked(**sampling).sure(form, mass, calibrated)
        return list(asked._align_lines(items, of, form))

    @answering()
    def align_files(
        self,
        items: Any = None,
        *,
        of: str = "posterior",
        form: str,
        mass: float | None = None,
        calibrated: bool = False,
        **sampling: Unpack[SamplingOptions],
    ) -> dict[str, str]:
        """The same as files, one for every item: name -> text."""
        self._check_form(form, of, files=True)
        asked = self.asked(**sampling).sure(form, mass, calibrated)
        return dict(asked._align_files(self._items(items), of, form))

    def shared_folder(self, items: Any) -> str:
        """The folder in which names of files begin that all items of a list share, or nothing.

        Where files are written to has no need of it, unless it is there already: beside a list, say.
        """
        return ""

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

    def sure(self, form: str, mass: float | None = None, calibrated: bool = False) -> Self:
        """The run as it says what is uncertain, in one of its forms of alignments.

        Raises:
            UsageError: as `hardpp.tasks.answers.certainty.certainty_in`.
        """
        run: Any = self
        certainty = certainty_in(self.family.alignment_forms, form, mass, calibrated)
        sure: Self = replace(run, certainty=certainty)
        return sure

    def _check_form(self, form: str, of: str, *, files: bool) -> None:
        check_word("of", of, VIEWS)
        forms = self.family.alignment_forms
        if form not in [*forms] or forms[form].files != files:
            what = f"model {self.family.name} has no alignments in the form {form!r}"
            raise UsageError(what, f"give --format {' or '.join(forms)}" if forms else "it has no others")

    # Of items as `select_lines` gives them, which may be None in families with such.
    def _align_lines(self, items: Any, of: str, form: str) -> Iterator[str]:
        return self._align(self._items(items), of, form)

    @abstractmethod
    def decoding(self, given: Any) -> Any: ...
    @abstractmethod
    def _items(self, items: Any) -> Any: ...
    @abstractmethod
    def _posterior(self, items: Any, *, draws: int, exact: bool, seed: int) -> DataTree: ...
    @abstractmethod
    def _align(self, items: Any, of: str, form: str) -> Iterator[str]: ...

    # Only if the family declares a form of files.
    def _align_files(self, items: Any, of: str, form: str) -> Iterator[tuple[str, str]]:
        raise NotImplementedError
