"""Files of brackets: their commas part no columns."""

import json
from pathlib import Path

import pytest

from hardpp.data.transduction.markup import markup_of, separating_mark
from hardpp.data.transduction.pair_lists import ListOfPairs
from hardpp.data.transduction.source_texts import read_sources
from hardpp.errors import DataError

WORDS = ["acid", "acne", "acorn", "acre", "actor", "add"]
PAIRS = {word: " ".join(word.upper()) for word in WORDS}
JSON_LINES = "".join(
    json.dumps({"translation": {"de": f"das {word}", "en": f"the {word}"}}) + "\n" for word in WORDS
)
TMX = (
    '<?xml version="1.0"?>\n<tmx>\n' + "".join(f"<tu><seg>{word}</seg></tu>\n" for word in WORDS) + "</tmx>\n"
)
LISP = "MNCL\n" + "".join(f'("{word}" nil (((a b) 1)))\n' for word in WORDS)
FILES = [(JSON_LINES, "JSON"), (json.dumps(PAIRS, indent=1), "JSON"), (json.dumps(WORDS), "JSON")]
FILES += [(TMX, "XML"), (LISP, "Lisp")]


@pytest.mark.parametrize(("content", "kind"), FILES)
def test_a_file_in_a_language_of_brackets_is_named_as_such(content: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text(content)
    with pytest.raises(DataError, match=rf"words\.txt: holds {kind}, which is not read as a list"):
        ListOfPairs().lines(path)
    with pytest.raises(DataError, match=rf"words\.txt: holds {kind}"):
        read_sources(path)


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["<unk>\tspn", "acid\tAE S"],
        ["<s> das haus </s> ||| <s> the house </s>"],
        ["(a) word", "another", "(third)"],
        ["[b] it, and", "others"],
        ["{}, not JSON", "word, phones"],
        ["acid,AE S", "acne,AE K"],
    ],
)
def test_lists_with_some_brackets_are_none(texts: list[str]) -> None:
    assert markup_of(texts) == ""


def test_to_the_letter_lines_are_read_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text('["a"]\tx\n{"b": 1}\ty\n')
    assert [line.pair.target for line in ListOfPairs(format="tsv").lines(path)] == ["x", "y"]


@pytest.mark.parametrize(
    ("form", "mark"),
    [("{} -> {}", "->"), ("{}: {}", ":"), ("{} = {}", "="), ("{} \u2192 {}", "\u2192"), ("{} {}", "")],
)
def test_marks_between_words_and_phones_are_named(form: str, mark: str, tmp_path: Path) -> None:
    texts = [form.format(word, phones) for word, phones in PAIRS.items()]
    assert separating_mark(texts) == mark
    path = tmp_path / "words.txt"
    path.write_text("\n".join(texts))
    if not mark:
        assert len(ListOfPairs().lines(path)) == len(WORDS)
        return
    with pytest.raises(DataError, match="between a word and its phones") as error:
        ListOfPairs().lines(path)
    assert "data.format=lexicon" in error.value.hint
    assert len(ListOfPairs(format="lexicon").lines(path)) == len(WORDS)


def test_single_bars_part_columns(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("".join(f"{word}|{phones}\n" for word, phones in PAIRS.items()))
    assert [line.pair for line in ListOfPairs().lines(path)] == list(PAIRS.items())
