import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from corpora import fail, succeed, train_command, write_corpus

from hardpp.errors import UsageError
from hardpp.runs.lock import LOCK, locked

HOLD = "import sys, time, pathlib\nfrom hardpp.runs.lock import locked\n"
HOLD += "with locked(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"


def test_a_second_trainer_is_refused_and_told_who_is_there(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(UsageError, match=rf"{tmp_path} is being trained by process {os.getpid()} on ") as one,
        locked(tmp_path),
    ):
        pass
    assert "\n" not in str(one.value)
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path):
        assert (tmp_path / LOCK).is_file()


def test_what_a_killed_process_leaves_is_no_lock(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(run)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=f"by process {process.pid} on"), locked(run):
            pass
    finally:
        process.kill()
        process.communicate()
    assert (run / LOCK).is_file()
    with locked(run):
        assert (run / LOCK).read_text().startswith(f"process {os.getpid()} on ")
    assert not (run / LOCK).exists()


def test_a_folder_that_stays_empty_goes_again(tmp_path: Path) -> None:
    with locked(tmp_path / "new"):
        pass
    assert not (tmp_path / "new").exists()
    with locked(tmp_path / "new"):
        (tmp_path / "new" / "file").touch()
    assert (tmp_path / "new" / "file").exists()


def test_a_file_that_its_holder_removed_meanwhile_is_not_taken_for_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, calls = fcntl.flock, []

    def removed_first(handle: int, operation: int) -> None:
        if not calls:
            (tmp_path / LOCK).unlink()
        calls.append(handle)
        flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with locked(tmp_path):
        assert len(calls) == 2
        with pytest.raises(UsageError), locked(tmp_path):
            pass


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_a_link_is_refused_and_not_written_through(link: Any, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("precious")
    link(tmp_path / LOCK, tmp_path / "other")
    with pytest.raises(UsageError, match=f"{tmp_path / LOCK} is a link to another file"), locked(tmp_path):
        pass
    assert (tmp_path / "other").read_text() == "precious"


def test_a_dangling_link_is_refused_and_its_target_not_made(tmp_path: Path) -> None:
    (tmp_path / LOCK).symlink_to(tmp_path / "other")
    with pytest.raises(UsageError, match="is a link"), locked(tmp_path):
        pass
    assert not (tmp_path / "other").exists()


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path):
        pass


def test_training_holds_the_lock_of_its_folder(tmp_path: Path) -> None:
    command = train_command(write_corpus(tmp_path / "data"), tmp_path / "run")
    with locked(tmp_path / "run"):
        for more in ([], ["--force"], ["--resume", "never"]):
            assert "is being trained by process" in fail(2, *command, *more)
        assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).write_text("process 1 on a machine that was switched off\n")
    for more in ([], [], ["--force"]):
        succeed(*command, *more)
        assert not (tmp_path / "run" / LOCK).exists()
