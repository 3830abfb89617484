import os
import threading
import time
from pathlib import Path

import pytest

from hardpp.data import pipes
from hardpp.data.lines import read_content
from hardpp.errors import DataError


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "PATIENCE", 0.05)
    for read in (pipes.read_bytes, lambda path: read_content(path, "pairs")):
        with pytest.raises(DataError, match="is a pipe that nobody writes to"):
            read(pipe)


@pytest.mark.parametrize("pause", [0.0, 0.2])
def test_a_pipe_is_read_until_it_is_closed(pipe: Path, pause: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "PATIENCE", 0.1 if pause else 10)
    content = b"x" * 200_000

    def write() -> None:
        with pipe.open("wb") as file:
            time.sleep(pause)
            file.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    assert pipes.read_bytes(pipe) == content
    writer.join()


def test_a_file_is_read_as_ever(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert pipes.read_bytes(tmp_path / "file") == b"content"
