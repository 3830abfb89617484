"""Checks that are made one after the other, and what each has found.

Every check that fails is told, not only the first. One that means nothing after an earlier one has failed is
skipped, and says so.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from hardpp.errors import HardppError, ResourceError

S = TypeVar("S")
Status = Literal["ok", "failed", "skipped"]


class Finding(NamedTuple):
    """What a check has found: one sentence. A check that finds several faults has a row for each."""

    check: str
    status: Status
    finding: str


class Skip(Exception):
    """A check cannot be made; the message says why.

    With `unsound` those after it cannot be made either.
    """

    def __init__(self, reason: str, *, unsound: bool = False):
        super().__init__(reason)
        self.unsound = unsound


class Check(NamedTuple, Generic[S]):
    """A promise, and a function that looks for what breaks it."""

    name: str
    promise: str  # what is so where it finds nothing
    faults: Callable[[S], Iterable[str]]  # one sentence each; raises Skip
    after: Sequence[str] = ()  # checks without whose success it means nothing


def examine(subject: S, checks: Iterable[Check[S]]) -> list[Finding]:
    """Makes the checks in order; whatever a user's program raises in one of them is its finding."""
    found: list[Finding] = []
    unsound: set[str] = set()
    for check in checks:
        if missing := [name for name in check.after if name in unsound]:
            unsound.add(check.name)
            found.append(Finding(check.name, "skipped", f"means nothing before {missing[0]!r} is in order"))
            continue
        try:
            sentences = list(check.faults(subject))
        except Skip as reason:
            if reason.unsound:
                unsound.add(check.name)
            found.append(Finding(check.name, "skipped", str(reason)))
            continue
        except ResourceError:
            raise
        except Exception as error:  # of the program that is looked at
            sentences = [failure(error)]
        if sentences:
            unsound.add(check.name)
        found += [Finding(check.name, "failed", sentence) for sentence in sentences]
        if not sentences:
            found.append(Finding(check.name, "ok", check.promise))
    return found


def failure(error: Exception) -> str:
    """An error of somebody else's code in one line; a sentence of ours is one already."""
    text = " ".join(str(error).split())
    if isinstance(error, HardppError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def faults(found: Iterable[Finding]) -> list[Finding]:
    """The findings that are faults; none where all is sound."""
    return [finding for finding in found if finding.status == "failed"]


def as_rows(found: Iterable[Finding]) -> list[dict[str, Any]]:
    """Rows for a table."""
    return [finding._asdict() for finding in found]
