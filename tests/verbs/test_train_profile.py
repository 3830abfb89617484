"""`hardpp train --profile`: what a step costs, in a table and in words, and a trace; no run is left."""

import json
from pathlib import Path

import pytest
from corpora import fail, succeed, train_command, write_corpus
from torch.profiler import profile


def test_costs_are_told_and_a_trace_is_left(tmp_path: Path) -> None:
    command = train_command(
        write_corpus(tmp_path / "words"), tmp_path / "run", "--profile", "--max-epochs", "9"
    )
    output = succeed(*command)
    rows = [line.rsplit(maxsplit=3) for line in output.splitlines()[1:] if not line[0].isdigit()]
    shares = [float(row[1]) for row in rows if len(row) == 4 and row[3][0].isdigit()]
    assert abs(sum(shares) - 1) < 0.01
    assert shares == sorted(shares, reverse=True)
    for word in (
        "matrix products",
        "1. ",
        "3. ",
        "a step takes",
        "memory at its highest:",
        "MiB of the process",
    ):
        assert word in output
    assert json.loads((tmp_path / "run.trace.json").read_text())["traceEvents"]
    assert not (tmp_path / "run").exists()


def test_too_few_steps_are_refused(tmp_path: Path) -> None:
    command = train_command(
        write_corpus(tmp_path / "words"), tmp_path / "run", "--profile", "--max-steps", "7"
    )
    assert "the profile needs 25 steps" in fail(2, *command)
    assert not (tmp_path / "run.trace.json").exists()


def test_several_processes_are_not_profiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    command = train_command(write_corpus(tmp_path / "words"), tmp_path / "run", "--profile")
    assert "without torchrun" in fail(2, *command)


def test_neither_seeds_nor_a_dry_run_are_profiled(tmp_path: Path) -> None:
    command = train_command(tmp_path, tmp_path / "run", "--profile")
    assert "--dry-run" in fail(2, *command, "--dry-run")
    assert "--seeds" in fail(2, *command, "--seeds", "0,1")


def test_no_room_for_temporary_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "export_chrome_trace", lambda self, path: None)  # as on a full disk
    command = train_command(
        write_corpus(tmp_path / "words"), tmp_path / "run", "--profile", "--max-epochs", "9"
    )
    told = fail(6, *command)
    assert "has no room for the trace" in told
    assert "TMPDIR" in told
    assert not (tmp_path / "run.trace.json").exists()
