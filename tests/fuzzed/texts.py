"""Readers of pairs, of texts, and of links between their words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from corpora import write_corpus
from fuzzed.reader import Reader

import hardpp
from hardpp.data.transduction.gold_links import read_links
from hardpp.data.transduction.source_texts import Reading, read_sources
from hardpp.data.transduction.tokenizers import Characters, Words
from hardpp.tasks.alignment.data import PairData
from hardpp.tasks.alignment.lexicon import read_lexicon

_PAIRS = [("abc", "AH B K"), ("de", "D EH"), ("cab", "K AH B"), ("bed", "B EH D"), ("ad", "AH D")]
WORDS = [
    ("".join((word, "abcde"[n % 5], "ecadb"[n // 5])), phones) for n in range(12) for word, phones in _PAIRS
]


def loaded(path: Path, model: str = "alignment", **settings: Any) -> Any:
    """Data as a training reads them, and what a run would keep of them."""
    data = hardpp.load_data(path, model, lambda text: None, **settings)
    return data, data.description


def _list(name: str, row: Callable[[int, str, str], str], heading: str = "", **settings: Any) -> Reader:
    def write(folder: Path) -> list[Path]:
        rows = (row(number, word, phones) for number, (word, phones) in enumerate(WORDS))
        (folder / name).write_text(heading + "".join(f"{one}\n" for one in rows), encoding="utf-8")
        return [folder / name]

    return Reader(write, lambda folder: loaded(folder / name, **settings), named="columns" not in settings)


def _parts(folder: Path) -> list[Path]:
    write_corpus(folder / "pairs")
    return sorted((folder / "pairs").iterdir())


def _parallel(folder: Path) -> list[Path]:
    for side, language in enumerate(("de", "en")):
        lines = (f"{word} {pair[side]} x{number % 7}\n" for number, pair in enumerate(WORDS) for word in "a")
        (folder / f"news.{language}").write_text("".join(lines))
    return [folder / "news.de", folder / "news.en"]


def _one(name: str, text: str) -> Callable[[Path], list[Path]]:
    def write(folder: Path) -> list[Path]:
        (folder / name).write_text(text, encoding="utf-8")
        return [folder / name]

    return write


def _sources(folder: Path) -> Any:
    return read_sources(folder / "sources", reading=Reading(separators=(",", ";"), of_words=True))


def _looked_up(folder: Path) -> Any:
    sides = Characters(), Words()
    return read_lexicon(folder / "words.dict", PairData(name="words.dict"), sides, lambda text: None)


_PHARAOH = "0-0 1-1 2?2\n\n0-1 1p0 3-3P\n0-0:0.75 1-1:1e-3\n"
_NAACL = "1 1 1 S\n1 2 2 P 0.5\n2 1 1\n4 3 2 S 1.0\n"

READERS = {
    "pairs, TSV in parts": Reader(_parts, lambda folder: loaded(folder / "pairs")),
    "pairs, one TSV": _list("words", lambda number, word, phones: f"{word}\t{phones}"),
    "pairs, CSV": _list(
        "w.csv", lambda n, word, phones: f'{n},"{word}","{phones}, ""{n}"""', "id,source,target\n"
    ),
    "pairs, columns": _list("w.tsv", lambda n, word, phones: f"{n}\t{phones}\t{word}", columns="3,2"),
    "pairs, bars": _list("w.txt", lambda n, word, phones: f"{word} x ||| {phones}"),
    "pairs, dictionary": _list(
        "w.dict", lambda n, word, phones: f"{word}({n})  {phones} # {n}", ";;; words\n"
    ),
    "pairs, inflections": _list("deu", lambda n, word, phones: f"{word}\tV;PST;{n % 3}\t{word}te"),
    "pairs, left out": _list("w.tsv", lambda number, word, phones: f"{word}\t{phones}", on_bad="skip"),
    "parallel text": Reader(_parallel, lambda folder: loaded(folder / "news", max_length=60)),
    "sources": Reader(_one("sources", "abc,x\nde\n\ncab,y z\n"), _sources),
    "lexicon": Reader(_one("words.dict", "".join(f"{w}  {p}\n" for w, p in WORDS)), _looked_up),
    "links, Pharaoh": Reader(_one("links", _PHARAOH), lambda folder: read_links(folder / "links", 4)),
    "links, NAACL": Reader(_one("links", _NAACL), lambda folder: read_links(folder / "links", 4)),
}
