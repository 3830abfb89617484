"""Which columns of a table hold what: by its heading, by what the columns hold, or as a setting says."""

import re
from collections.abc import Sequence

from hardpp.errors import UsageError

_SOURCES = {"source", "src", "input", "text", "sentence", "word", "words", "wordform", "lemma", "entry"} | {
    *("letters", "grapheme", "graphemes", "spelling", "orthography", "headword", "wort", "mot", "palabra")
}
_TARGETS = {"target", "tgt", "output", "translation", "tokens", "form", "inflected", "ipa", "arpabet"} | {
    *("phone", "phones", "phoneme", "phonemes", "pronunciation", "pronunciations", "transcription"),
    *("sampa", "lautschrift", "aussprache", "prononciation"),
}
_FEATURES = {"features", "feature", "feats", "tags", "tag", "msd", "morphology"}
_HEADINGS = _SOURCES | _TARGETS | _FEATURES
_LANGUAGES = {"english", "german", "french", "spanish", "italian", "dutch", "russian", "chinese", "japanese"}
_FEATURE = re.compile(r"[^\s;]+(?:;[^\s;]+)*")
_KEYED = re.compile(r"[^\s,=]+=[^\s,]+(?:,[^\s,=]+=[^\s,]+)*")  # of 2016: pos=V,tense=PRS
_NEARLY = 0.95


def is_heading(row: Sequence[str], others: Sequence[Sequence[str]] = ()) -> bool:
    """Does a first row name columns?

    It does if it has usual names of sources and of targets, or all are names of languages. One usual name is
    enough beside a cell that is no word of the targets in the `others`, of which most have blanks.
    """
    cells = [cell.strip().casefold() for cell in row]
    known = sum(cell in _HEADINGS for cell in cells)
    if len(set(cells)) < len(cells) or len(cells) < 2:
        return False
    sides = all(side.intersection(cells) for side in (_SOURCES, _TARGETS | _FEATURES))
    if sides or _LANGUAGES.issuperset(cells):
        return True
    targets = [other[-1].split() for other in others if len(other) == len(cells) == 2]
    phones = {phone for target in targets for phone in target}
    apart = len(row[-1].split()) == 1 and row[-1].strip() not in phones
    return known == 1 and apart and 2 * sum(len(target) > 1 for target in targets) > len(targets)


def features_column(rows: Sequence[Sequence[str]]) -> tuple[int | None, str]:
    """The column that holds features, as `V;PST` or `pos=V,tense=PST`, and what stands between them.

    None and "" where there is not exactly one such column.
    """
    found = []
    for column in range(len(rows[0]) if rows else 0):
        cells = [row[column].strip() for row in rows]
        keyed = sum(_KEYED.fullmatch(cell) is not None for cell in cells)
        plain = sum(_FEATURE.fullmatch(cell) is not None and cell.upper() == cell for cell in cells)
        several = sum(";" in cell for cell in cells)
        if keyed >= _NEARLY * len(cells):
            found.append((column, ","))
        elif plain >= _NEARLY * len(cells) and 2 * several > len(cells):
            found.append((column, ";"))
    return found[0] if len(found) == 1 else (None, "")


def chosen_columns(heading: Sequence[str] | None, width: int, wanted: str | None) -> tuple[int, ...] | None:
    """The columns of source and target, or of lemma, features and form, from 0.

    Args:
        heading: The first row, if it names the columns.
        width: How many columns there are.
        wanted: Two or three names of columns, or their numbers from 1; None: as the heading says.

    Returns:
        The columns; None where the heading does not say which they are.

    Raises:
        UsageError: The table has no such columns.
    """
    names = [cell.strip().casefold() for cell in heading or ()]
    if wanted is None:
        sides = [[at for at, name in enumerate(names) if name in side] for side in (_SOURCES, _TARGETS)]
        return (sides[0][0], sides[1][0]) if all(len(side) == 1 for side in sides) else None
    said = [part.strip() for part in wanted.split(",")]
    places = [
        int(part) - 1
        if part.isdecimal() and len(part) < 10
        else names.index(part.casefold())
        if part.casefold() in names
        else -1
        for part in said
    ]
    if len(said) not in (2, 3) or len(set(places)) < len(places) or not all(0 <= at < width for at in places):
        there = f" ({', '.join(names)})" if names else ""
        what = f"data.columns={wanted}: the table has {width} columns{there}"
        raise UsageError(what, "give two names or numbers, of source and target, or lemma, features, form")
    return tuple(places)
