"""A user's own JSON file, and what happens to bad entries of its lists.

A byte order mark is dropped, as in `hardpp.data.lines`.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from hardpp.data.lines import BadLine, OnBad, settle
from hardpp.errors import DataError

Given = TypeVar("Given")
Made = TypeVar("Made")


def read(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        DataError: The file cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except RecursionError as error:
        raise DataError(f"{path}: not JSON (nested too deeply)") from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from error


def made(
    path: Path,
    entries: Iterable[tuple[int, Given]],
    make: Callable[[int, Given], Made],
    on_bad: OnBad,
    report: Callable[[str], None],
    wanted: str,
) -> dict[int, Made]:
    """What is made of the entries of a list, by their numbers.

    Args:
        path: The file, for messages.
        entries: Numbers, from 0, and entries.
        make: Gets both; a ValueError says what is wrong with the entry.
        on_bad: What happens to bad entries: "stop", or "skip" to leave them out.
        report: Told what was left out.
        wanted: What an entry should be, for the hint.

    Raises:
        DataError: Entries are bad, or all are.
    """
    found: dict[int, Made] = {}
    bad: list[BadLine] = []
    for number, entry in entries:
        try:
            found[number] = make(number, entry)
        except ValueError as reason:
            bad.append(BadLine(path, number, str(reason), entry=True))
    settle(bad, on_bad, report, wanted)
    if not found:
        raise DataError(f"{path}: no entry is left", wanted)
    return found
