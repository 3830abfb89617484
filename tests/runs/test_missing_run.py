"""A folder that holds no run is refused with the run that was meant."""

from pathlib import Path

import pytest

from hardpp.runs.missing_run import no_run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second", "third", "fourth"):
        (run := tmp_path / "runs" / name / "checkpoints").mkdir(parents=True)
        (run.parent / "config.toml").touch()
    return tmp_path


@pytest.mark.parametrize("name", ["runs/frist", "first", "frist"])
def test_the_nearest_name_is_told(folder: Path, name: str) -> None:
    assert str(no_run(Path(name))) == (
        f"{name} is not a run folder (no config.toml); did you mean 'runs/first'?"
    )


def test_a_folder_of_runs_is_told_from_one_without(folder: Path) -> None:
    assert (
        no_run(Path("runs")).hint == "there are runs in it: runs/first, runs/fourth, runs/second and 1 more"
    )
    assert str(no_run(Path("zzz"))).endswith("(no config.toml)")


def test_without_any_run_nothing_is_suggested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(no_run(Path("none"))) == "none is not a run folder (no config.toml)"
