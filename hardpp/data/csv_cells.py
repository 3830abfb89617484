"""Cells of tables with separators and quotes, of lines that may be no such table."""

import csv
from collections.abc import Sequence


def cells_of(text: str, separator: str) -> list[str]:
    """The cells of a line; at every separator where its quotes make no sense, or a cell is too long."""
    return next(iter(rows_of([text], separator)), []) or [""]


def rows_of(texts: Sequence[str], separator: str) -> list[list[str]]:
    """The rows of some lines, of which a quoted cell may take several.

    Where they are no rows, as a line break stands in a cell or one is too long, lines are cut at separators.
    """
    try:
        return list(csv.reader(texts, delimiter=separator))
    except csv.Error:
        return [text.split(separator) for text in texts]
