"""Recordings that cannot be used: refused in one message, or left out, named and counted."""

from collections.abc import Sequence
from typing import NamedTuple

from hardpp.data.lines import OnBad, Report
from hardpp.errors import DataError

_SHOWN = 5  # named in one message


class Fault(NamedTuple):
    """Why a recording cannot be used."""

    where: str  # FILE:LINE, FILE, or a name
    reason: str


def report_faults(faults: Sequence[Fault], on_bad: OnBad, report: Report, hint: str) -> None:
    """Refuse recordings, or tell how many were left out and which.

    Args:
        faults: In order; there may be none.
        on_bad: "stop" or "skip".
        report: Told what is left out.
        hint: What helps, besides leaving them out.
    """
    if not faults:
        return
    first, *rest = faults
    # A reader's own message may name the place already.
    message = first.reason if first.reason.startswith(first.where) else f"{first.where}: {first.reason}"
    if rest:
        names = ", ".join(fault.where for fault in rest[: _SHOWN - 1])
        ellipsis = ", ..." if len(rest) >= _SHOWN else ""
        message += f" (and {len(rest)} more bad recording{'s' * (len(rest) > 1)}: {names}{ellipsis})"
    if on_bad == "stop":
        leave = "--on-bad skip leaves such recordings out"
        raise DataError(message, f"{hint}; or {leave}" if hint else leave)
    report(f"left out: {message}")
