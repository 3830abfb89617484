"""Files in a language of brackets, which are no lists of pairs, however many commas their lines have."""

import json
import re
from collections.abc import Sequence

from hardpp.errors import DataError

_SHARE = 0.9  # of lines that are alike
_INSIDE = re.compile(r'\s*(?:[\[{\]}],?|".*[",\]}\[{]|[^"]*[\[{\]},])\s*')  # a line of JSON that is laid out
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


def _most(texts: Sequence[str], pattern: re.Pattern[str]) -> bool:
    return sum(pattern.fullmatch(text) is not None for text in texts) >= max(1, _SHARE * len(texts))


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False
