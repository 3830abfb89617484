import errno
import os
from pathlib import Path

import pytest

from hardpp.data.atomic_files import remove, write_file
from hardpp.data.fetch.cache import cache_folder, derived
from hardpp.errors import DataError, ResourceError


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_folder_is_built_once(cache: Path) -> None:
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "a").write_text("text")

    for _ in range(2):
        assert derived("made-1", build) == cache / "made-1"
    assert len(built) == 1
    assert [path.name for path in cache.iterdir()] == ["made-1"]
    assert (cache / "made-1" / "a").read_text() == "text"


def test_a_failure_leaves_nothing(cache: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "a").write_text("text")
        raise DataError("no")

    with pytest.raises(DataError, match="no"):
        derived("made-1", build)
    assert list(cache.iterdir()) == []


def test_another_process_may_be_faster(cache: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "a").write_text("ours")
        (cache / "made-1").mkdir()
        (cache / "made-1" / "a").write_text("theirs")

    assert (derived("made-1", build) / "a").read_text() == "theirs"
    assert [path.name for path in cache.iterdir()] == ["made-1"]


def test_a_full_disk_and_a_closed_folder_are_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ResourceError, match="made-1 cannot be written: No space left"):
        derived("made-1", full)

    def closed(*paths: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "replace", closed)
    with pytest.raises(ResourceError, match="made-1 cannot be written: Read-only file system"):
        derived("made-1", lambda folder: None)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HARDPP_DATA": "/d/e", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/d/e"),
        ({"HARDPP_DATA": "~/e", "HOME": "/h"}, "/h/e"),
        ({"HARDPP_DATA": "", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/hardpp"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/hardpp"),
        ({"HOME": "/h"}, "/h/.cache/hardpp"),
    ],
)
def test_where_the_cache_lies(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name in ("HARDPP_DATA", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_the_cache_has_a_place_without_any_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HARDPP_DATA", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert cache_folder().parent == tmp_path


def failing(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> list[int]:
    """Lets a call of a function of `os` fail: how many there were, and which of them fails."""
    real, state = getattr(os, name), [0, 0]

    def call(*arguments: object, **options: object) -> object:
        state[0] += 1
        if state[0] == state[1]:
            raise OSError(number, os.strerror(number))
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, call)
    return state


@pytest.mark.parametrize("name", ["open", "mkdir", "replace", "fsync"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE])
def test_every_call_that_fails_is_told_and_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    def build(folder: Path) -> None:
        (folder / "inside").mkdir()
        (folder / "inside" / "file").write_text("text")
        write_file(folder / "other", b"data")

    with monkeypatch.context() as patch:
        state = failing(patch, name, number)
        derived("counted-1", build)
        calls = state[0]
        assert calls
        for at in range(1, calls + 1):
            state[:] = 0, at
            told = None
            try:
                derived("made-1", build)
            except ResourceError as error:
                told = error
            assert told is None or "\n" not in str(told)
            names = {path.name for path in cache.iterdir()}
            assert names <= {"counted-1", "made-1"}, (at, told)  # whole, where only its name may not last
            if "made-1" in names:
                assert (cache / "made-1" / "inside" / "file").read_text() == "text"
                remove(cache / "made-1")
    assert (derived("made-1", build) / "inside" / "file").read_text() == "text"
