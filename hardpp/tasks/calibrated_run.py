"""What can be asked of a trained run about alignments, and about how far to believe them.

These are methods of an opened run (`hardpp.tasks.opened_run`). A calibration is fitted to the dev part of the
run's data whenever it is asked for: nothing is kept that could belong to other weights or data.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from numbers import Real
from typing import Any, NamedTuple, Self, Unpack

from hardpp.errors import UsageError, mended
from hardpp.tasks.arguments import check_number, check_word
from hardpp.tasks.calibration.reliability import BINS, Curve
from hardpp.tasks.family import Family
from hardpp.tasks.sampling import SamplingOptions

MASS = 0.89  # of intervals
_VIEWS = ("posterior", "guide", "prior")


class Certainty(NamedTuple):
    """How an alignment says what is uncertain in it."""

    mass: float = MASS  # of intervals
    calibrated: bool = False  # fitted to what is known of the dev part?


PLAIN = Certainty()


class CalibratedRun(ABC):
    """The part of an opened run that aligns, and says how far its alignments can be believed."""

    family: Family
    certainty: Certainty

    @mended()
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
            items: what `select` gave.
            of: whose alignment: "posterior" (exact where it can be; see `shown_posterior`), "guide", or
                "prior" (before the output is seen).
            form: one of the family's `alignment_forms` that is lines.
            mass: of intervals, where the form has some [0.89].
            calibrated: fit probabilities and intervals to what is known of the dev part (`reliability`).
            sampling: `draws` and `seed` of the guide, where draws stand for what cannot be computed.
        """
        self._check_form(form, of, files=False)
        return list(self.asked(**sampling).sure(form, mass, calibrated)._align(self._items(items), of, form))

    @mended()
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
        return dict(
            self.asked(**sampling).sure(form, mass, calibrated)._align_files(self._items(items), of, form)
        )

    @mended()
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
            sampling: as for `align`.

        Returns:
            A dict for each kind, raw and calibrated: `what`, `ece`, `count`, and `rows` of `bin`,
            `predicted`, `observed`, `error` and `count` (`hardpp.tasks.calibration.reliability`).

        Raises:
            UsageError: alignments of this family cannot be held against known ones.
            DataError: those of the items, or of the dev part, are not known, or of too few.
        """
        check_word("of", of, _VIEWS)
        check_number("bins", bins, 2, 1000)
        if not self.family.reliability:
            raise UsageError(
                f"model {self.family.name} has no alignments that could be held against known ones",
                "ask a run on sequence pairs with known links, or on speech with known times",
            )
        return self.asked(**sampling)._reliability(self._items(items), of, bins)

    def sure(self, form: str, mass: float | None = None, calibrated: bool = False) -> Self:
        """The run as it says what is uncertain, in one of its forms of alignments.

        Raises:
            UsageError: the form has no intervals, or nothing that is calibrated.
        """
        forms = self.family.alignment_forms
        if mass is not None:
            if not isinstance(mass, Real) or not 0 < mass < 1:
                raise UsageError(f"the mass of an interval lies between 0 and 1, not at {mass!r}")
            _check("intervals", form, {name: spec.intervals for name, spec in forms.items()})
        if calibrated:
            _check(
                "probabilities or intervals to calibrate", form, {f: s.calibrated for f, s in forms.items()}
            )
        return replace(self, certainty=Certainty(MASS if mass is None else float(mass), calibrated))  # type: ignore[type-var]

    def _check_form(self, form: str, of: str, *, files: bool) -> None:
        check_word("of", of, _VIEWS)
        forms = self.family.alignment_forms
        if form not in [*forms] or forms[form].files != files:
            what = f"model {self.family.name} has no alignments in the form {form!r}"
            raise UsageError(what, f"give --format {' or '.join(forms)}" if forms else "it has no others")

    @abstractmethod
    def asked(self, draws: int = ..., seed: int | None = ...) -> Self: ...
    @abstractmethod
    def _items(self, items: Any) -> Any: ...
    @abstractmethod
    def _align(self, items: Any, of: str, form: str) -> Iterator[str]: ...

    # Only if the family declares a form of files, or `reliability`.
    def _align_files(self, items: Any, of: str, form: str) -> Iterator[tuple[str, str]]:
        raise NotImplementedError

    def _reliability(self, items: Any, of: str, bins: int) -> list[Curve]:
        raise NotImplementedError


def _check(what: str, form: str, has: dict[str, bool]) -> None:
    if not has.get(form):
        others = [name for name, fits in has.items() if fits]
        hint = f"give --format {' or '.join(others)}" if others else "leave the option out"
        raise UsageError(f"alignments in the form {form!r} have no {what}", hint)
