"""Cells with all right answers to a source, each between slashes: `/hɛloʊ/, /həloʊ/`.

Source: Open-dict-data, ipa-dict, whose lists are WORD, TAB, such a cell.
"""

import re
from collections.abc import Sequence

_SHARE = 0.9  # of cells that are so
_ANSWER = re.compile(r"/([^/]+)/")
_CELL = re.compile(r"\s*/[^/]+/(?:\s*[,;]?\s*/[^/]+/)*\s*")


def are_slashed(cells: Sequence[str]) -> bool:
    """Whether answers stand between slashes in nearly all cells."""
    return bool(cells) and sum(_CELL.fullmatch(cell) is not None for cell in cells) >= _SHARE * len(cells)


def answers(cell: str) -> list[str]:
    """The answers of a cell, without the slashes; the cell itself where it has none."""
    if _CELL.fullmatch(cell) is None:
        return [cell]
    return [text for match in _ANSWER.finditer(cell) if (text := match[1].strip())] or [cell]
