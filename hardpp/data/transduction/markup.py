"""Files in a language of brackets, which are no lists of pairs, however many commas their lines have."""

import json
import re
from collections import Counter
from collections.abc import Sequence

from hardpp.errors import DataError

_SHARE = 0.9  # of lines that are alike
_INSIDE = re.compile(r'\s*(?:[\[{\]}],?|".*[",\]}\[{]|[^"]*[\[{\]},])\s*')  # a line of JSON that is laid out
_ARROWS = ("->", "=>", "-->", "==>", "\u2192", "=", ":", "::", ":=", "-", "\u2013", "\u2014", "|", "~")
_ENDS = (":", "=", "|", "\u2192")
_TAG = re.compile(r"\s*<[^<>]+>.*")
_LIST = re.compile(r"\(.*\)")


def markup_of(texts: Sequence[str]) -> str:
    """What language of brackets the lines are in; "" where they are in none."""
    if not texts or "\t" in texts[0].strip() or "|||" in texts[0]:
        return ""
    first = texts[0].strip()
    if first.startswith(("<?xml", "<!DOCTYPE")) or (first.startswith("<") and _most(texts, _TAG)):
        return "XML"
    if first.startswith(("{", "[")) and (_is_json(first) or _most(texts, _INSIDE)):
        return "JSON"
    return "Lisp" if _most([text.strip() for text in texts[1:]], _LIST) else ""


def refuse_markup(texts: Sequence[str], wanted: str) -> None:
    """Refuse lines in such a language.

    Args:
        texts: The lines.
        wanted: What should be there, for the hint.

    Raises:
        DataError: They are.
    """
    if kind := markup_of(texts):
        raise DataError(f"holds {kind}, which is not read as a list", f"write it as {wanted}")


def separating_mark(texts: Sequence[str]) -> str:
    """What nearly all lines have after their first word, an arrow or a colon, say; "" for nothing."""
    rows = [row for text in texts if len(row := text.split(None, 2)) > 1]
    found = Counter(row[1] if row[1] in _ARROWS else row[0][-1] for row in rows)
    mark, count = found.most_common(1)[0] if found else ("", 0)
    return mark if mark in {*_ARROWS, *_ENDS} and count >= _SHARE * len(rows) else ""


def _most(texts: Sequence[str], pattern: re.Pattern[str]) -> bool:
    return sum(pattern.fullmatch(text) is not None for text in texts) >= max(1, _SHARE * len(texts))


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False
