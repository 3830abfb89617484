"""The Greek New Testament and an English one (BSB), every verse aligned word by word by hand.

Three files: tables of Greek and English words, one word a line, and records of which belong together.
Verses that both sides have make pairs (7,936 in version 0.4.2); English punctuation is left out, as no
record speaks of it, and so are the records that cross verses (4). The task is frozen: books split it, Mark
(41) is test, Titus to Jude (56 to 65) are dev, the rest is train. Training reads no link.

Greek says by endings what English says by words of its own: a genitive is "of", a verb ending is "he". So a
word can be written as lemma and analysis, `λόγος|NGS` (noun, genitive, singular) or `λέγω|VI3SA` (verb,
indicative, third singular, aorist), without gender. An analysis in dev or test that train lacks is replaced
by the nearest one of its lemma that train has; no English word is looked at for it.

Source: Clear Bible, Alignments (SBLGNT to BSB), CC BY 4.0, as packed in PyPI `bible-alignments`.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hardpp.data.lines import read_json
from hardpp.data.parts import PARTS
from hardpp.data.transduction.pairs import Corpus, Pair
from hardpp.data.transduction.tokenizers import Words
from hardpp.errors import DataError

GREEK = "data/sources/SBLGNT.tsv"  # where the files lie in the fetched folder
ENGLISH = "data/eng/targets/BSB/nt_BSB.tsv"
RECORDS = "data/eng/alignments/BSB/SBLGNT-BSB-manual.json"
MEMBERS = (GREEK, ENGLISH, RECORDS)

MARK = "|"  # between a lemma and its analysis

_TEST, _DEV = {41}, set(range(56, 66))  # numbers of books
_DECLINED = frozenset("NAPDRXKICFSQ")  # kinds of words whose case and number count; the article's say little
_HINT = "hardpp data fetch bible-alignments"

_Verses = dict[str, list[tuple[str, str]]]  # verse -> (id, word) in order


def corpus(folder: Path | str, *, analysed: bool = False) -> Corpus:
    """Read Greek lemmas to English words in lower case, with the links made by hand.

    Args:
        folder: As it was fetched.
        analysed: Give with each lemma (there are 5,468) the analysis of its form, joined by `MARK` (15,079 in
            train).
    """
    folder = Path(folder)
    source, target = _greek(folder / GREEK, analysed), _english(folder / ENGLISH)
    verses = sorted(source.keys() & target.keys())
    links = _links(folder / RECORDS, source, target)
    if analysed:
        source = _known(source, [verse for verse in verses if _part(verse) == "train"])
    parts: dict[str, list[Pair]] = {part: [] for part in PARTS}
    for verse in verses:
        greek, english = (tuple(word for _, word in words[verse]) for words in (source, target))
        parts[_part(verse)].append(Pair(greek, english, (english,), tuple(sorted(links.get(verse, ())))))
    if empty := [name for name, pairs in parts.items() if not pairs]:
        raise DataError(f"{folder}: no verse of both sides falls into the {' and '.join(empty)} part")
    return Corpus("bible-alignments", **parts, source=Words(), target=Words())


def analysis(morph: str) -> str:
    """Shorten a word's analysis, in Robinson's codes (`N-GSM`, `V-2AAI-3S`), to what shows in English.

    There is no gender, and no voice but the passive.
    """
    kind, *rest = morph.split("-")
    form, person = (*rest, "", "")[:2]
    if kind == "V":
        form = form.removeprefix("2")  # a second aorist is an aorist
        passive = "P" if form[1:2] == "P" else ""
        # Participles are of a case, a number and a gender.
        return f"V{form[-1:]}{passive}{person[:2] if form[-1:] == 'P' else person}{form[:1]}"
    if kind not in _DECLINED or not form:
        return ""
    return kind + (form if form[0] in "12" else re.sub("(..)[MFN]$", r"\1", form))


def _part(verse: str) -> str:
    book = int(verse[:2])
    return "test" if book in _TEST else "dev" if book in _DEV else "train"


def _greek(path: Path, analysed: bool) -> _Verses:
    verses: _Verses = {}
    for place, row in _rows(path, ("id", "lemma", "morph") if analysed else ("id", "lemma")):
        if not (row["id"].startswith("n") and _is_id(row["id"][1:])):
            raise DataError(f"{place}: expected an id of n and 11 digits, got {row['id'][:30]!r}")
        word = _word(place, row["lemma"])
        if analysed:
            word = MARK.join(filter(None, (word, analysis(row["morph"]))))
        verses.setdefault(row["id"][1:9], []).append((row["id"], word))
    return verses


# For words that train lacks the nearest of their lemma that it has: most letters of the analysis alike, then
# most frequent.
def _known(verses: _Verses, train: list[str]) -> _Verses:
    counts = Counter(word for verse in train for _, word in verses[verse])
    of_lemma: dict[str, list[str]] = {}
    for word in sorted(counts):
        of_lemma.setdefault(word.split(MARK)[0], []).append(word)

    def nearest(word: str) -> str:
        if word in counts:
            return word
        lemma, _, analysis_ = word.partition(MARK)

        def likeness(candidate: str) -> tuple[int, int]:
            letters = zip(analysis_, candidate.partition(MARK)[2], strict=False)
            return sum(first == second for first, second in letters), counts[candidate]

        return max(of_lemma.get(lemma, [word]), key=likeness)

    return {verse: [(id, nearest(word)) for id, word in words] for verse, words in verses.items()}


def _english(path: Path) -> _Verses:
    verses: _Verses = {}
    for place, row in _rows(path, ("id", "text", "source_verse", "exclude")):
        if not (_is_id(row["id"]) and row["source_verse"].isdecimal() and len(row["source_verse"]) == 8):
            raise DataError(f"{place}: expected an id of 11 digits and a verse of 8, got {row['id'][:30]!r}")
        if row["exclude"] != "y":
            word = _word(place, row["text"]).lower()
            verses.setdefault(row["source_verse"], []).append((row["id"], word))
    return verses


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    # Quotation marks are data here. A place is file:line.
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if missing := [name for name in columns if name not in (table.fieldnames or ())]:
                raise DataError(f"{path}:1: there is no column {' nor '.join(missing)}", _HINT)
            for row in table:
                place = f"{path}:{table.line_num}"
                if any(row[name] is None for name in columns):
                    raise DataError(f"{place}: the line lacks columns")
                yield place, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})", _HINT) from error


def _is_id(text: str) -> bool:
    return len(text) == 11 and text.isdecimal()


def _word(place: str, text: str) -> str:
    if not text or text.split() != [text]:
        raise DataError(f"{place}: expected one word, got {text[:30]!r}")
    return text


def _links(path: Path, source: _Verses, target: _Verses) -> dict[str, set[tuple[int, int]]]:
    positions = [
        {id: (verse, position) for verse in words for position, (id, _) in enumerate(words[verse])}
        for words in (source, target)
    ]
    links: dict[str, set[tuple[int, int]]] = {}
    try:
        records = read_json(path)["records"]
        for record in records:
            greek, english = (
                [place[id] for id in record[side] if id in place]
                for place, side in zip(positions, ("source", "target"), strict=True)
            )
            for verse, i in greek:
                links.setdefault(verse, set()).update(
                    (i, j) for english_verse, j in english if english_verse == verse
                )
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: expected records of source and target ids ({error!r})", _HINT) from error
    return links
