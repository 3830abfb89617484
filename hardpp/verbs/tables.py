"""Rows of figures as text: a table for people, JSON and CSV for programs."""

import csv
import io
import json
import math
import shutil
import sys
import textwrap
from itertools import zip_longest
from typing import Any

_NARROWEST = 16  # characters of a column that is wrapped


def figures_table(row: dict[str, Any], style: str) -> str:
    """The figures of one thing: a line for each, its name and value; as JSON and CSV a table of one row."""
    if style != "table":
        return table([row], style)
    width = max(map(len, row), default=0)
    return "\n".join(f"{name.ljust(width)}  {_text(value)}".rstrip() for name, value in row.items())


def table(rows: list[dict[str, Any]], style: str) -> str:
    """Rows with the same keys as an aligned table, JSON (a list of objects) or CSV; no rows, no text.

    None is a cell left blank.
    JSON has no word for a number that is not finite: it becomes null.
    """
    if style == "json":
        return json.dumps([finite(row) for row in rows], indent=1, ensure_ascii=False, allow_nan=False)
    if not rows:
        return ""
    if style == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue().rstrip("\n")
    shown = [{key: _text(value) for key, value in row.items()} for row in rows]
    widths = {key: max(len(key), *(len(row[key]) for row in shown)) for key in shown[0]}
    if not sys.stdout.isatty():
        return _aligned(shown, widths)
    columns = shutil.get_terminal_size().columns
    return "\n\n".join(_aligned(shown, part) for part in _parts(_fitted(widths, columns), columns))


def _aligned(shown: list[dict[str, str]], widths: dict[str, int]) -> str:
    lines = []
    for row in [dict(zip(widths, widths, strict=True)), *shown]:
        cells = [
            [row[key]] if len(row[key]) <= width else textwrap.wrap(row[key], width)
            for key, width in widths.items()
        ]
        for parts in zip_longest(*cells, fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(parts, widths.values(), strict=True))
            lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


# Widths of columns with the widest ones narrowed, as far as need be and words are still to be read.
def _fitted(widths: dict[str, int], columns: int) -> dict[str, int]:
    fitted = dict(widths)
    while sum(fitted.values()) + 2 * (len(fitted) - 1) > columns:
        widest = max(fitted, key=lambda key: fitted[key])
        if fitted[widest] <= max(_NARROWEST, len(widest)):
            break
        fitted[widest] -= 1
    return fitted


# Columns that fit side by side, then the others below them; the first one, a name, stands in each part.
def _parts(widths: dict[str, int], columns: int) -> list[dict[str, int]]:
    (first, wide), *others = widths.items()
    parts = [{first: wide}]
    for key, width in others:
        if len(parts[-1]) > 1 and sum(parts[-1].values()) + 2 * len(parts[-1]) + width > columns:
            parts.append({first: wide})
        parts[-1][key] = width
    return parts


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    usual = value == 0 or 1e-3 <= abs(value) < 1e5 or not math.isfinite(value)
    return f"{value:.4f}" if usual else f"{value:.3g}"


def finite(row: dict[str, Any]) -> dict[str, Any]:
    """The row as strict JSON can hold it."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }
