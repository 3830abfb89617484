"""The table of `benchmarks/speech.py`, over runs that are made up."""

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def speech(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("speech")


def write_run(folder: Path, row: str, seed: int, data: str, rate: float) -> None:
    path = folder / f"{row}-{seed}"
    path.mkdir(parents=True)
    curve = [{"step": 10, "PER": rate}]
    figures = {"PER": rate, "commit": "abc", "model_parameters": 1, "curve": curve}
    (path / "benchmark.json").write_text(json.dumps({"row": row, "seed": seed, "data": data, **figures}))


def test_seeds_of_one_row_may_lie_in_several_folders(
    speech: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", "vimco", 0, "digits", 0.2)
    write_run(tmp_path / "b", "vimco", 1, "digits", 0.4)
    write_run(tmp_path / "b", "ctc", 0, "phones", 0.5)
    speech.table([tmp_path / "a", tmp_path / "b"], [])
    rows = [line for line in capsys.readouterr().out.splitlines() if "`" in line]
    assert [row.split(" | ")[:4] for row in rows] == [
        ["| digits", "`vimco`", "2", "0.3000 ± 0.1000"],
        ["| phones", "`ctc`", "1", "0.5000"],
    ]


def test_what_would_count_twice_or_is_not_there_is_refused(speech: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path / "a", "vimco", 0, "digits", 0.2)
    write_run(tmp_path / "b", "vimco", 0, "digits", 0.4)
    with pytest.raises(SystemExit, match="of one data set, row and seed"):
        speech.table([tmp_path / "a", tmp_path / "b"], [])
    with pytest.raises(SystemExit, match="c holds no run that is done"):
        speech.table([tmp_path / "a", tmp_path / "c"], [])
