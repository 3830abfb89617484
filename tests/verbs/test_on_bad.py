"""`--on-bad` of the verbs that read data: bad ones are left out, named and counted, or refused."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from corpora import fail, hardpp, train_command, write_corpus

from hardpp.config import DataConfig
from hardpp.errors import UsageError
from hardpp.tasks.arguments import check_on_bad

LINES = "abc\tAH B K\nno second column\nde\tD EH\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("on_bad")
    write_corpus(folder / "words")
    assert hardpp(*train_command(folder / "words", folder / "run", "--max-steps", "1")).exit_code == 0
    return folder / "run"


@pytest.mark.parametrize(
    "words", [("evaluate", "--format", "json"), ("posterior",), ("align",), ("decode",), ("plot",)]
)
def test_a_bad_line_is_refused_or_left_out(run: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    data = tmp_path / "words.tsv"
    data.write_text(LINES)
    verb, *more = words
    out = {"posterior": "posterior.nc", "plot": "plots"}.get(verb)
    command = [verb, run, "--data", data, *more, *(["--out", tmp_path / out] if out else [])]
    assert f"{data}:2: " in fail(3, *command)
    result = hardpp(*command, "--on-bad", "skip")
    assert result.exit_code == 0
    assert f"left out: {data}:2: " in result.stderr
    if verb == "evaluate":
        assert json.loads(result.stdout)[0]["pairs"] == 2


def test_other_runs_are_compared_without_them(run: Path, tmp_path: Path) -> None:
    (tmp_path / "words.tsv").write_text(LINES)
    command = ["compare", "gradients", run, "--data", tmp_path / "words.tsv", "--part", "dev"]
    assert "words.tsv:2" in fail(3, *command)
    command = ["compare", "runs", run, run, "--data", tmp_path / "words.tsv"]
    assert "words.tsv:2" in fail(3, *command)


def test_a_family_that_leaves_nothing_out_says_so() -> None:
    family = SimpleNamespace(name="mine", data=DataConfig)
    with pytest.raises(UsageError, match="--on-bad is not for model mine"):
        check_on_bad(family, "skip")
    with pytest.raises(UsageError, match="on_bad is one of stop, skip, not 'leave'"):
        check_on_bad(family, "leave")
