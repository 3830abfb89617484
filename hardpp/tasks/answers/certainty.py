"""How alignments say what is uncertain in them: of which mass intervals are, and whether it is calibrated."""

from collections.abc import Mapping
from numbers import Real
from typing import NamedTuple

from hardpp.errors import UsageError
from hardpp.tasks.family import AlignmentForm

MASS = 0.89  # of intervals


class Certainty(NamedTuple):
    """How an alignment says what is uncertain in it."""

    mass: float = MASS  # of intervals
    calibrated: bool = False  # fitted to what is known of the dev part?


PLAIN = Certainty()


def certainty_in(
    forms: Mapping[str, AlignmentForm], form: str, mass: float | None, calibrated: bool
) -> Certainty:
    """What was asked for, in one of a family's forms of alignments.

    Raises:
        UsageError: the mass is not between 0 and 1, or the form has no intervals, or nothing that is
            calibrated.
    """
    if mass is not None:
        if not isinstance(mass, Real) or not 0 < mass < 1:
            raise UsageError(f"the mass of an interval lies between 0 and 1, not at {mass!r}")
        _check("intervals", form, {name: spec.intervals for name, spec in forms.items()})
    if calibrated:
        fitted = {name: spec.calibrated for name, spec in forms.items()}
        _check("probabilities or intervals to calibrate", form, fitted)
    return Certainty(MASS if mass is None else float(mass), calibrated)


def _check(what: str, form: str, has: dict[str, bool]) -> None:
    if not has.get(form):
        others = [name for name, fits in has.items() if fits]
        hint = f"give --format {' or '.join(others)}" if others else "leave the option out"
        raise UsageError(f"alignments in the form {form!r} have no {what}", hint)
