"""Rows of figures as text: a table for people, JSON and CSV for programs."""

import csv
import io
import json
import math
from typing import Any


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
    lines = ["  ".join(key.ljust(width) for key, width in widths.items())]
    lines += ["  ".join(row[key].ljust(width) for key, width in widths.items()) for row in shown]
    return "\n".join(line.rstrip() for line in lines)


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
