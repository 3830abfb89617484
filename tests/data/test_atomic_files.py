"""Files and folders that are whole or absent."""

import errno
import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from hardpp.data.atomic_files import (
    PARTIAL,
    check_writable,
    open_to_append,
    remove,
    remove_partial,
    replacing_folder,
    write_errors,
    write_file,
)
from hardpp.errors import DataError, HardppError, ResourceError, UsageError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_with_its_folders_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    for data in (b"one\n", b"", b"two\r\n"):
        write_file(path, data)
        assert path.read_bytes() == data
    assert names(path.parent) == ["file"]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_the_mode_is_that_of_any_new_file_or_folder(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_file(tmp_path / "file", b"")
        with replacing_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o777 & ~umask


def test_a_name_of_the_greatest_length(tmp_path: Path) -> None:
    write_file(tmp_path / ("x" * 255), b"data")
    assert (tmp_path / ("x" * 255)).read_bytes() == b"data"


def test_what_must_not_be_written_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    for write in (check_writable, lambda path, **force: write_file(path, b"", **force)):
        for name, force, message in [
            ("file", False, "exists already"),
            ("dangling", False, "exists already"),
            ("folder", True, "is a folder"),
            ("pipe", True, "is not an ordinary file"),
        ]:
            with pytest.raises(UsageError, match=f"{name} {message}"):
                write(tmp_path / name, force=force)
    assert (tmp_path / "file").read_text() == "precious"
    assert names(tmp_path) == ["dangling", "file", "folder", "pipe"]
    with pytest.raises(ResourceError, match=r"file/x cannot be written: "):
        check_writable(tmp_path / "file" / "x")


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_is_replaced_and_not_written_through(tmp_path: Path, dangling: bool) -> None:
    other, link = tmp_path / "other", tmp_path / "link"
    if not dangling:
        other.write_text("precious")
    link.symlink_to(other)
    write_file(link, b"new")
    assert link.read_bytes() == b"new"
    assert not link.is_symlink()
    assert other.exists() != dangling
    assert dangling or other.read_text() == "precious"


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_is_not_appended_to(tmp_path: Path, dangling: bool) -> None:
    other, link = tmp_path / "other", tmp_path / "link"
    if not dangling:
        other.write_text("precious")
    link.symlink_to(other)
    with pytest.raises(OSError, match="link"):
        open_to_append(link)
    assert other.exists() != dangling
    for line in ("one\n", "zw\u00f6\n"):
        with open_to_append(tmp_path / "file") as file:
            file.write(line)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "one\nzw\u00f6\n"


def test_temporary_names_cannot_be_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, used = os.replace, set()

    def watched(source: Path, target: Path) -> None:
        used.add(Path(source).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    for _ in range(20):
        write_file(tmp_path / "file", b"")
    assert len(used) == 20
    assert all(name.startswith(PARTIAL) and len(name) == len(PARTIAL) + 16 for name in used)


FAILURES = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EIO, "Input/output error"),
    KeyboardInterrupt(),
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_failure_leaves_the_older_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, function: str
) -> None:
    def fail(*args: object) -> None:
        raise failure

    write_file(tmp_path / "file", b"older")
    with monkeypatch.context() as patch:
        patch.setattr(os, function, fail)
        kind = ResourceError if isinstance(failure, OSError) else KeyboardInterrupt
        with pytest.raises(kind):
            write_file(tmp_path / "file", b"newer")
    assert (tmp_path / "file").read_bytes() == b"older"
    assert names(tmp_path) == ["file"]


def test_files_and_folders_are_on_the_disk_before_they_get_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, os.replace

    def watched_sync(handle: int) -> None:
        events.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")
        fsync(handle)

    def watched_replace(source: Path, target: Path) -> None:
        events.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(os, "replace", watched_replace)
    write_file(tmp_path / "file", b"")
    assert events == ["file", "name", "folder"]
    events.clear()
    with replacing_folder(tmp_path / "folder") as partial:
        (partial / "one").touch()
        (partial / "below").mkdir()
        (partial / "below" / "two").touch()
    assert events == ["file", "file", "folder", "folder", "name", "folder"]


def fill(folder: Path, text: str) -> None:
    (folder / "file").write_text(text)


@pytest.mark.parametrize("older", ["none", "empty", "full", "file", "link"])
def test_a_folder_takes_the_place_of_what_is_there(tmp_path: Path, older: str) -> None:
    path, other = tmp_path / "folder", tmp_path / "other"
    other.mkdir()
    fill(other, "precious")
    if older == "link":
        path.symlink_to(other, target_is_directory=True)
    elif older == "file":
        path.write_text("older")
    elif older != "none":
        path.mkdir()
        if older == "full":
            fill(path, "older")
    with replacing_folder(path) as partial:
        assert names(partial) == []
        fill(partial, "newer")
    assert (path / "file").read_text() == "newer"
    assert not path.is_symlink()
    assert (other / "file").read_text() == "precious"
    assert names(tmp_path) == ["folder", "other"]


@pytest.mark.parametrize("failure", [*FAILURES, DataError("bad"), None], ids=str)
@pytest.mark.parametrize("call", range(4))
@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_failure_leaves_one_of_the_two_folders_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException | None, call: int, function: str
) -> None:
    path, calls = tmp_path / "folder", []
    path.mkdir()
    fill(path, "older")
    real = getattr(os, function)

    def failing(*args: object) -> object:
        calls.append(args)
        if len(calls) == call + 1 and failure is not None:
            raise failure
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(os, function, failing)
        with suppress(OSError, KeyboardInterrupt, HardppError), replacing_folder(path) as partial:
            fill(partial, "newer")
    assert (path / "file").read_text() in ("older", "newer")
    assert names(tmp_path) == ["folder"]
    if failure is None:
        assert (path / "file").read_text() == "newer"


def test_a_block_that_fails_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    fill(tmp_path / "folder", "older")
    with pytest.raises(FileNotFoundError), replacing_folder(tmp_path / "folder") as partial:
        (partial / "below" / "file").write_text("newer")
    assert (tmp_path / "folder" / "file").read_text() == "older"
    assert names(tmp_path) == ["folder"]


def test_a_folder_that_may_stay_stays(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    with replacing_folder(path, unless=path.is_dir) as partial:
        fill(partial, "ours")
        path.mkdir()
        fill(path, "theirs")
    assert (path / "file").read_text() == "theirs"
    assert names(tmp_path) == ["folder"]


def test_what_another_process_moves_in_between_is_in_nobody_s_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "folder", os.replace
    path.write_text("a damaged folder")

    def overtaken(source: Path, target: Path) -> None:
        if target == path and path.exists():
            path.unlink()
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory")
        real(source, target)

    monkeypatch.setattr(os, "replace", overtaken)
    with replacing_folder(path) as partial:
        fill(partial, "newer")
    assert (path / "file").read_text() == "newer"
    assert names(tmp_path) == ["folder"]


def test_many_writers_at_once(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for _ in range(10):
                write_file(tmp_path / "file", f"{number}".encode() * 1000)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not errors
    assert len(set((tmp_path / "file").read_text())) == 1
    assert names(tmp_path) == ["file"]


def test_removing_follows_no_link(tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "below").mkdir(parents=True)
    fill(other / "below", "precious")
    for name in ("link", f"{PARTIAL}link"):
        (tmp_path / name).symlink_to(other, target_is_directory=True)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(other, target_is_directory=True)
    (tmp_path / f"{PARTIAL}0").write_text("")
    for name in ("link", "folder", "nowhere"):
        remove(tmp_path / name)
    remove_partial(tmp_path)
    assert names(tmp_path) == ["other"]
    assert (other / "below" / "file").read_text() == "precious"


@pytest.mark.parametrize(
    ("code", "kind"),
    [(errno.ENOSPC, ResourceError), (errno.EDQUOT, ResourceError), (errno.EROFS, DataError)],
)
def test_a_full_disk_is_told_from_other_faults(code: int, kind: type[HardppError], tmp_path: Path) -> None:
    with pytest.raises(kind) as caught, write_errors(tmp_path, "make room", DataError):
        raise OSError(code, os.strerror(code))
    assert type(caught.value) is kind
    assert str(caught.value) == f"{tmp_path} cannot be written: {os.strerror(code)}"
    assert caught.value.hint == "make room"
