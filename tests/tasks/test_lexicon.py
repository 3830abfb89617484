"""Look-up of listed words: as listed, and the run for the others."""

import json
from pathlib import Path

import pytest
from corpora import fail, hardpp, succeed, train_command, write_corpus

from hardpp.runs.folder import open_run

LISTED = "abc\tK AE B\nabc\tEY B IY S IY\nde\tD IY\nabc\tK AE B\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    data = write_corpus(folder / "data")
    for name, more in (("run", []), ("back", ["--set", "data.reverse=true"])):
        succeed(*train_command(data, folder / name, "--max-steps", "2", *more))
    (folder / "lexicon.tsv").write_text(LISTED)
    (folder / "in").write_text("abc\n\nbe\nde\n")
    return folder


def decoded(folder: Path, *words: str) -> tuple[str, str]:
    asked = ["decode", folder / "run", "--input", folder / "in", "--lexicon", folder / "lexicon.tsv"]
    result = hardpp(*asked, *words)
    assert result.exit_code == 0, result.stderr
    return result.stdout, result.stderr


def test_listed_words_come_out_as_listed_and_the_others_as_without(folder: Path) -> None:
    alone = succeed("decode", folder / "run", "--input", folder / "in").split("\n")
    lines, told = decoded(folder)
    assert lines.split("\n") == ["K AE B", "", alone[2], "D IY", ""]
    assert f"{folder / 'lexicon.tsv'}: 2 of 3 were looked up" in told


def test_all_pronunciations_with_nbest(folder: Path) -> None:
    rows = [line.split("\t") for line in decoded(folder, "--nbest", "2", "--format", "tsv")[0].splitlines()]
    assert [row[:3] for row in rows if row[-1] == "listed"] == [
        ["abc", "1", "K AE B"],
        ["abc", "2", "EY B IY S IY"],
        ["de", "1", "D IY"],
    ]
    assert {row[-1] for row in rows if row[0] == "be"} == {"model"}
    assert len({len(row) for row in rows}) == 1
    text, _ = decoded(folder, "--nbest", "2")
    assert "  listed  EY B IY S IY\n" in text


def test_tsv_and_json_say_which_were_looked_up(folder: Path) -> None:
    rows = [line.split("\t") for line in decoded(folder, "--format", "tsv")[0].split("\n")[:-1]]
    assert [row[-1] for row in rows] == ["listed", "", "model", "listed"]
    said = json.loads(decoded(folder, "--format", "json", "--scores")[0])
    assert [one.get("listed", False) for one in said] == [True, False, False, True]
    assert said[0]["hypotheses"][0] == {
        **{"text": "K AE B", "log_prob": None},
        **{"exact": False, "probability": None},
    }


def test_where_all_is_listed_the_run_is_not_asked(folder: Path) -> None:
    run = open_run(folder / "run", "cpu")
    told: list[str] = []
    for texts in (["abc", "", "de"], ["abc"]):
        said = run.decode(texts, lexicon=folder / "lexicon.tsv", report=told.append)
        assert [each.text for each in said] == [
            {"abc": "K AE B", "de": "D IY", "": ""}[text] for text in texts
        ]
    assert "2 of 2 were looked up" in " ".join(told)
    # Of symbols that training never saw nothing is said if they were looked up.
    (folder / "more.tsv").write_text("naïve\tN AY IY V\n")
    (each,) = run.decode(["naïve"], lexicon=folder / "more.tsv", report=told.append)
    assert (each.text, each.listed) == ("N AY IY V", True)
    assert not any("never seen" in sentence for sentence in told)


def test_data_of_the_run_are_looked_up_too(folder: Path) -> None:
    lines = succeed("decode", folder / "run", "--lexicon", folder / "data" / "test.tsv", "--format", "tsv")
    assert {line.split("\t")[-1] for line in lines.splitlines()} == {"listed"}


def test_a_run_that_goes_back_looks_up_the_second_column(folder: Path) -> None:
    run = open_run(folder / "back", "cpu")
    (each,) = run.decode(["D IY"], lexicon=folder / "lexicon.tsv", report=lambda text: None)
    assert (each.text, each.listed) == ("de", True)


def test_what_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "bad.tsv").write_text("abc\tK AE B\nde\n")
    words = ["decode", folder / "run", "--input", folder / "in", "--lexicon"]
    assert "bad.tsv:2: " in fail(3, *words, folder / "bad.tsv")
    assert "there is no such file" in fail(3, *words, folder / "none.tsv")


def test_a_run_that_goes_back_reads_and_looks_up_the_second_column(folder: Path) -> None:
    (folder / "pairs").write_text("abc\tK AE B\nde\tD IY\n")
    words = ["--lexicon", folder / "lexicon.tsv", "--format", "tsv"]
    result = hardpp("decode", folder / "back", "--input", folder / "pairs", *words)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "K AE B\tabc\tlisted\nD IY\tde\tlisted\n"
    assert "of which column 2 is read" in result.stderr
