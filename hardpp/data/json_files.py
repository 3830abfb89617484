"""A user's own JSON file, and what happens to bad entries of its lists.

A byte order mark is dropped, as in `hardpp.data.lines`.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from hardpp.data.lines import BadLine, OnBad, report_bad
from hardpp.errors import DataError

Entry = TypeVar("Entry")
Parsed = TypeVar("Parsed")


def read_json(path: Path) -> Any:
    """Read a JSON file.

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


def parse_entries(
    path: Path,
    entries: Iterable[tuple[int, Entry]],
    parse: Callable[[int, Entry], Parsed],
    on_bad: OnBad,
    report: Callable[[str], None],
    hint: str,
) -> dict[int, Parsed]:
    """Parse each entry of a list; returns the results by the numbers of the entries.

    Args:
        path: The file, for messages.
        entries: Numbers, from 0, and entries.
        parse: Takes both; a ValueError says what is wrong with the entry.
        on_bad: What happens to bad entries: "stop", or "skip" to leave them out.
        report: Told what was left out.
        hint: What an entry should be, when one is bad.

    Raises:
        DataError: Entries are bad, or all are.
    """
    parsed: dict[int, Parsed] = {}
    bad: list[BadLine] = []
    for number, entry in entries:
        try:
            parsed[number] = parse(number, entry)
        except ValueError as reason:
            bad.append(BadLine(path, number, str(reason), entry=True))
    report_bad(bad, on_bad, report, hint)
    if not parsed:
        raise DataError(f"{path}: no entry is left", hint)
    return parsed
