"""Several right answers to a source: pooled for one file as for folders, and after data.reverse."""

import json
from pathlib import Path

import pytest
from corpora import succeed, train_command

from hardpp.runs.folder import open_run
from hardpp.tasks.alignment.data import PairData, load, single

TEST = "red\tr eh d\nread\tr eh d\nread\tr iy d\ntwo\tt uw\ntoo\tt uw\nto\tt uw\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("p2g")
    for part in ("train", "dev", "test"):
        (folder / f"{part}.tsv").write_text(TEST)
    for name, more in (("run", []), ("back", ["--set", "data.reverse=true"])):
        succeed(*train_command(folder, folder / name, "--max-steps", "2", *more))
    return folder


def pairs_judged(run: Path, *words: str | Path) -> int:
    (row,) = json.loads(succeed("evaluate", run, "--format", "json", *words))
    return int(row["pairs"])


@pytest.mark.parametrize(("name", "sources"), [("run", 5), ("back", 3)])
def test_a_source_is_judged_once(folder: Path, name: str, sources: int) -> None:
    assert pairs_judged(folder / name) == sources
    assert pairs_judged(folder / name, "--data", folder / "test.tsv") == sources
    # Each line of a file is still a line of what is written.
    lines = succeed("decode", folder / name, "--data", folder / "test.tsv").split("\n")
    assert len(lines) == 7


def test_all_spellings_of_a_sound_are_right(folder: Path) -> None:
    config = PairData(name=str(folder), reverse=True)
    sounds = {" ".join(pair.source): pair for pair in load(config, lambda text: None).test}
    assert {"".join(right) for right in sounds["t uw"].references} == {"two", "too", "to"}
    run = open_run(folder / "back", "cpu")
    sides = run.description.tokenizers[::-1]
    config = PairData(name=str(folder / "test.tsv"), reverse=True)
    of_lines = single(config, sides, lambda text: None)
    assert [len(pair.references) for pair in of_lines] == [2, 2, 1, 3, 3, 3]
    right = {"".join(pair.target): pair for pair in of_lines}["to"]
    assert run._error("two", run._right([right])[0]) == 0


def test_translations_are_judged_line_by_line(tmp_path: Path) -> None:
    for part in ("train", "dev", "test"):
        for language, text in (
            ("de", "das haus\nein haus\ndas haus\n"),
            ("en", "a house\na house\nthe house\n"),
        ):
            (tmp_path / f"{part}.{language}").write_text(text)
    words = ["--set", "data.source_tokens=words", "--set", "data.target_tokens=words", "--max-steps", "1"]
    for name, more in (("run", []), ("back", ["--set", "data.reverse=true"])):
        succeed(*train_command(tmp_path, tmp_path / name, *words, *more))
        assert pairs_judged(tmp_path / name) == 3
        assert pairs_judged(tmp_path / name, "--data", tmp_path / "test") == 3
