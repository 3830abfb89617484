"""Files of SIGMORPHON's shared tasks train as they are published, and are scored as the tasks score them.

The samples are made up, in the format of 2021 task 1 (`wel_sw_train.tsv`: word, TAB, phones with blanks) and
of 2023 task 0 (`deu.trn`: lemma, TAB, features, TAB, form; `deu.covered.tst` without the form).
"""

import json
import random
from itertools import product
from pathlib import Path

import pytest
from corpora import fail, hardpp, succeed, train_command

SOUNDS = {"a": "a", "b": "b", "c": "k", "d": "d", "w": "w", "ŷ": "ɨː"}
ENDINGS = {"N;NOM(SG)": "", "N;GEN(PL)": "en", "V;IND;PST;NOM(2,SG)": "test", "V.PTCP;PST": "t"}


def edits(left: list[str], right: list[str]) -> int:
    """Insertions, deletions and substitutions between two lists: a twin of a few lines."""
    row = list(range(len(right) + 1))
    for i, symbol in enumerate(left, start=1):
        last, row[0] = row[0], i
        for j, other in enumerate(right, start=1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (symbol != other))
    return row[-1]


def pronunciations(folder: Path) -> Path:
    """Two languages of 2021, one with multiword entries."""
    words = ["".join(letters) for letters in product("abcdwŷ", repeat=3)]
    random.Random(3).shuffle(words)
    words[:3] = [f"{word[0]} {word[1:]}" for word in words[:3]]
    folder.mkdir()
    for language in ("ice", "wel_sw"):
        for part, some in (("train", words[:150]), ("dev", words[150:180]), ("test", words[180:])):
            lines = [
                f"{word}\t{' '.join(SOUNDS[letter] for letter in word if letter != ' ')}\n" for word in some
            ]
            (folder / f"{language}_{part}.tsv").write_text("".join(lines), encoding="utf-8")
        (folder / f"{language}_test.txt").write_text("\n".join(words[180:]) + "\n", encoding="utf-8")
    return folder


def inflections(folder: Path) -> Path:
    """A language of 2023, with covered files."""
    rows = [
        (f"{first}{second}ab", features, f"{first}{second}ab{ending}")
        for first, second in product("bcdmnw", "aeiou")
        for features, ending in ENDINGS.items()
    ]
    random.Random(3).shuffle(rows)
    folder.mkdir()
    for part, some in (("trn", rows[:80]), ("dev", rows[80:100]), ("tst", rows[100:])):
        (folder / f"deu.{part}").write_text("".join("\t".join(row) + "\n" for row in some), encoding="utf-8")
        covered = "".join("\t".join(row[:2]) + "\n" for row in some)
        if part != "trn":
            (folder / f"deu.covered.{part}").write_text(covered, encoding="utf-8")
    return folder


def lines_of(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


@pytest.fixture(scope="module")
def g2p(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("g2p")
    data = pronunciations(folder / "low")
    succeed(*train_command(data / "wel_sw", folder / "run", "--max-epochs", "12"))
    return data, folder / "run"


@pytest.fixture(scope="module")
def inflection(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inflection")
    data = inflections(folder / "data")
    succeed(*train_command(data, folder / "run", "--max-epochs", "12"))
    return data, folder / "run"


def test_files_of_2021_are_parts_and_are_cut_as_most_words_are(g2p: tuple[Path, Path]) -> None:
    data, run = g2p
    description = json.loads((run / "data.json").read_text())
    assert description["source_tokens"]["kind"] == "characters"
    assert description["target_tokens"]["kind"] == "words"
    assert " " in description["source_vocabulary"]
    message = fail(2, "train", "--data", data, "--out", run.parent / "other")
    assert "train parts of 2 lists" in message
    assert str(data / "wel_sw") in message


def test_scores_of_2021_are_those_of_the_task(g2p: tuple[Path, Path]) -> None:
    data, run = g2p
    gold = lines_of((data / "wel_sw_test.tsv").read_text(encoding="utf-8"))
    said = lines_of(succeed("decode", run, "--input", data / "wel_sw_test.txt", "--format", "tsv"))
    assert [word for word, _ in said] == [word for word, _ in gold]
    # Of the task: 100 times the share of wrong words, and of edits in the symbols of the references.
    pairs = [(phones.split(), right.split()) for (_, phones), (_, right) in zip(said, gold, strict=True)]
    wer = 100 * sum(left != right for left, right in pairs) / len(pairs)
    per = 100 * sum(edits(left, right) for left, right in pairs) / sum(len(right) for _, right in pairs)
    for words in ([], ["--data", data / "wel_sw_test.tsv"]):
        (row,) = json.loads(succeed("evaluate", run, *words, "--format", "json"))
        assert (100 * row["WER"], 100 * row["PER"]) == (pytest.approx(wer), pytest.approx(per))
    assert 0 < per < 100


def test_features_of_2023_are_symbols_and_forms_are_scored_as_the_task_does(
    inflection: tuple[Path, Path],
) -> None:
    data, run = inflection
    description = json.loads((run / "data.json").read_text())
    symbols = {f"<{feature}>" for features in ENDINGS for feature in features.split(";")}
    assert symbols <= set(description["source_vocabulary"])
    gold = lines_of((data / "deu.tst").read_text(encoding="utf-8"))
    said = lines_of(succeed("decode", run, "--input", data / "deu.covered.tst", "--format", "tsv"))
    assert [row[:2] for row in said] == [row[:2] for row in gold]  # as the task wants them handed in
    accuracy = sum(row == right for row, right in zip(said, gold, strict=True)) / len(gold)
    (row,) = json.loads(succeed("evaluate", run, "--format", "json"))
    assert 1 - row["WER"] == pytest.approx(accuracy)
    for name in ("deu.tst", "deu.covered.tst"):
        assert lines_of(succeed("decode", run, "--input", data / name, "--format", "tsv")) == said


def test_a_run_on_inflections_says_what_it_wants(inflection: tuple[Path, Path], tmp_path: Path) -> None:
    _, run = inflection
    own = tmp_path / "own.txt"
    own.write_text("baab\n")
    assert "own.txt:1: a lemma without features" in fail(3, "decode", run, "--input", own)
    own.write_text("baab\tx y\n")
    message = fail(3, "evaluate", run, "--data", own)
    assert "was read as pairs, and the run was trained on inflections" in message
    own.write_text("baab\tV;FUT\nbaab\tN;NOM(SG)\n")
    result = hardpp("decode", run, "--input", own)
    assert f"warning: {own}:1: 'baab\\tV;FUT' has symbols never seen in training: <FUT>\n" == result.stderr


def test_without_a_test_part_the_dev_part_stands_in_and_that_is_said(
    inflection: tuple[Path, Path], tmp_path: Path
) -> None:
    data, _ = inflection
    for name in ("deu.trn", "deu.dev", "deu.covered.tst"):
        (tmp_path / name).write_bytes((data / name).read_bytes())
    result = hardpp(*train_command(tmp_path, tmp_path / "run", "--max-steps", "1"))
    assert result.exit_code == 0
    assert "there is no test part" in result.stderr or "no test part with targets" in result.stderr
