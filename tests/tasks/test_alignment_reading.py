"""What a run keeps of how its texts were read, and what it says of texts that are unlike them."""

import json
import unicodedata
from itertools import product
from pathlib import Path

import pytest
from corpora import fail, hardpp, succeed, train_command

from hardpp.runs.folder import open_run
from hardpp.tasks.alignment.data import PairData, load
from hardpp.tasks.family import Family

SOUNDS = {"a": "AA", "á": "AH", "b": "B", "c": "K", "č": "CH"}
WORDS = ["".join(letters) for letters in product(SOUNDS, repeat=4)]


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def write_words(path: Path, words: list[str] = WORDS) -> Path:
    lines = [f"{word}\t{' '.join(SOUNDS[letter] for letter in word.lower())}\n" for word in words]
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    succeed(*train_command(write_words(folder / "words.lex"), folder / "run", "--max-epochs", "4"))
    return folder / "run"


def test_words_of_one_look_are_said_alike_and_called_as_they_were(run: Path, tmp_path: Path) -> None:
    said = {}
    for form in ("NFC", "NFD"):
        own = tmp_path / form
        own.write_text("".join(unicodedata.normalize(form, f"{word}\n") for word in WORDS[:50]))
        result = hardpp("decode", run, "--input", own, "--format", "tsv")
        assert result.stderr == ""
        said[form] = [line.split("\t") for line in result.stdout.splitlines()]
    assert [text for _, text in said["NFD"]] == [text for _, text in said["NFC"]]
    assert [name for name, _ in said["NFD"]] == [nfd(word) for word in WORDS[:50]]


def test_data_in_another_form_are_asked_about_as_those_of_the_run(run: Path, tmp_path: Path) -> None:
    figures = []
    for form in ("NFC", "NFD"):
        own = tmp_path / f"{form}.tsv"
        own.write_text(unicodedata.normalize(form, write_words(own).read_text("utf-8")), encoding="utf-8")
        result = hardpp("evaluate", run, "--data", own, "--format", "json")
        assert "never seen" not in result.stderr
        figures.append(json.loads(result.stdout))
    assert figures[0] == figures[1]


def test_without_normalising_the_accents_are_named(tmp_path: Path) -> None:
    data = write_words(tmp_path / "words.tsv")
    words = ("--max-steps", "1", "--set", "data.normalise=none")
    succeed(*train_command(data, tmp_path / "run", *words))
    own = tmp_path / "own.txt"
    own.write_text(nfd("áb\n"), encoding="utf-8")
    message = hardpp("decode", tmp_path / "run", "--input", own).stderr
    assert message.startswith(f"warning: {own}:1: ")
    assert "COMBINING ACUTE ACCENT" in message


@pytest.mark.parametrize(("setting", "same"), [("none", False), ("source", True), ("both", True)])
def test_case_is_an_option(tmp_path: Path, setting: str, same: bool) -> None:
    data = write_words(tmp_path / "words.tsv", [*WORDS, *(word.upper() for word in WORDS)])
    succeed(*train_command(data, tmp_path / "run", "--max-steps", "1", "--set", f"data.lowercase={setting}"))
    run = open_run(tmp_path / "run", "cpu")
    lower, upper = run.decode(["ačab", "AČAB"])
    assert (lower.name, upper.name) == ("ačab", "AČAB")
    assert ("A" in run.description.source_vocabulary) != same
    assert ("aa" in run.description.target_vocabulary) == (setting == "both")
    parts = [
        {word.lower() for word in map("".join, (pair.source for pair in part))}
        for part in run._load(None, print)[1:4]
    ]
    assert bool(parts[0] & parts[2]) != same


@pytest.mark.parametrize("verb", ["evaluate", "align"])
def test_unknown_symbols_are_named_with_their_lines(run: Path, tmp_path: Path, verb: str) -> None:
    own = tmp_path / "own.tsv"
    own.write_text("ab\tAA B\nqa\tAA\nba\tB ZZ\nq\tZZ\n", encoding="utf-8")
    told = [line for line in hardpp(verb, run, "--data", own).stderr.splitlines() if "warning" in line]
    assert told == [
        f"warning: {own}:2: 'qa' has symbols never seen in training: q",
        f"warning: {own}:4: 'q' has symbols never seen in training: q",
        f"warning: {own}:3: target 'B ZZ' has symbols never seen in training: ZZ",
        f"warning: {own}:4: target 'ZZ' has symbols never seen in training: ZZ",
    ]
    message = fail(3, verb, run, "--data", own, "--unknown", "stop")
    assert f"{own}:2: 'qa' has symbols never seen in training: q (and 1 more such lines)" in message


def test_lines_are_named_after_others_were_left_out(run: Path, tmp_path: Path) -> None:
    for part, text in {"train": "ab\tB\n", "dev": "ab\tB\n", "test": "ab\tB\nab\tAA\nqq\tB\n"}.items():
        (tmp_path / f"{part}.tsv").write_text(text)
    told = hardpp("evaluate", run, "--data", tmp_path).stderr
    assert f"warning: {tmp_path / 'test.tsv'}:3: 'qq' has symbols never seen" in told


def test_a_blank_is_a_character_that_comes_back(tmp_path: Path) -> None:
    words = [f"{word[:2]} {word[2:]}" if n % 40 == 0 else word for n, word in enumerate(WORDS)]
    lines = [f"{word}\t{word.upper()}\n" for word in words]
    (tmp_path / "words.tsv").write_text("".join(lines), encoding="utf-8")
    result = hardpp(*train_command(tmp_path / "words.tsv", tmp_path / "run", "--max-steps", "1"))
    assert "texts have blanks: a blank is a character; data.source_tokens=words" in result.stderr
    own = tmp_path / "own.tsv"
    own.write_text("ab  ca\tA B\n", encoding="utf-8")
    run = tmp_path / "run"
    assert succeed("decode", run, "--input", own, "--format", "tsv").startswith("ab  ca\t")
    rows = [line.split("\t") for line in succeed("align", run, "--data", own).splitlines()]
    assert [row[2] for row in rows[1:-1]] == ["A", " ", "B"]


def test_targets_are_written_in_the_form_they_had(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text("".join(f"{word}\t{nfd('á ') * 3}\n" for word in WORDS), encoding="utf-8")
    succeed(*train_command(path, tmp_path / "run", "--max-epochs", "3"))
    said = succeed("decode", tmp_path / "run", "--limit", "3")
    assert "á" in unicodedata.normalize("NFC", said)
    assert said == nfd(said)


def test_a_run_of_before_reads_as_it_did(run: Path, tmp_path: Path) -> None:
    opened = open_run(run, "cpu")
    sides = ("source_tokens", "target_tokens")
    before = {
        side: {key: value for key, value in getattr(opened.description, side).items() if key != "folding"}
        for side in sides
    }
    kind: type[Family] = type(opened.family)
    old = kind.description.model_validate({**opened.description.model_dump(), **before})
    assert old.tokenizers[0].tokenize(nfd("á")) == tuple(nfd("á"))


@pytest.mark.parametrize(
    ("line", "fingerprint"),
    [
        ("w{0}\tX Y{1}\n", "9c5e40f6ae91401b471ef6cd55a2c20c7723889534ba8627447c5dd488fbc722"),
        ("wö{0}\tx{1}\n", "9e17fbddd5c32c4399ba7f6d69bab022ed7129d2dc2ddbfffb1076dad83bd3fe"),
    ],
)
def test_plain_lists_are_what_they_were(tmp_path: Path, line: str, fingerprint: str) -> None:
    path = tmp_path / "words.tsv"
    path.write_text("".join(line.format(n, n % 7) for n in range(300)), encoding="utf-8")
    assert load(PairData(name=str(path)), lambda text: None).fingerprint() == fingerprint
