import hashlib
import subprocess

import pytest

from hardpp.data import programs
from hardpp.data.fetch import debian, origins, sources
from hardpp.errors import DataError, ResourceError

CONTENT = {"usr/share/toy/words": b"one\n", "usr/share/toy/more/list": b"two\n"}
WORDS = hashlib.sha256(CONTENT["usr/share/toy/words"]).hexdigest()
FOLDER = hashlib.sha256(  # as `members` pins a folder
    "".join(f"{hashlib.sha256(CONTENT[name]).hexdigest()}  {name}\n" for name in sorted(CONTENT)).encode()
).hexdigest()
LISTS = {"host_dists_stable_InRelease": "Origin: Debian\n"}


class FakeApt:
    """Stands in for `subprocess.run`: apt leaves packages and lists, dpkg-deb unpacks `CONTENT`."""

    def __init__(self):
        self.commands = []
        self.failures = {}  # a word of the command -> what apt says, once each
        self.packages = ["toy_1_all.deb"]
        self.lists = LISTS
        self.content = CONTENT

    def __call__(self, command, *, cwd, **options):
        self.commands.append(command)
        for word in command:
            if word in self.failures:
                raised = self.failures.pop(word)
                if isinstance(raised, BaseException):
                    raise raised
                return subprocess.CompletedProcess(command, 100, "", raised)
        if command[0] == "dpkg-deb":
            for name, content in self.content.items():
                path = debian.Path(command[-1]) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        elif command[-1] == "update":
            (option,) = (word for word in command if word.startswith("Dir::State::lists="))
            for name, text in self.lists.items():
                (debian.Path(option.partition("=")[2]) / name).write_text(text)
        else:
            for name in self.packages:
                (debian.Path(cwd) / name).write_bytes(b"deb")
        return subprocess.CompletedProcess(command, 0, "", "")

    def used(self):
        return [
            [word for word in command if word in ("download", "update", "--extract")]
            for command in self.commands
        ]


@pytest.fixture
def apt(monkeypatch, tmp_path):
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(debian, "_ROOT", tmp_path / "root")
    fake = FakeApt()
    monkeypatch.setattr(subprocess, "run", fake)
    monkeypatch.setattr(programs, "_tie", list)
    return fake


def source(monkeypatch, members, package="toy"):
    toy = origins.Source("toy", "apt", "a toy", "free", package, "1", "", members, "1 kB")
    monkeypatch.setattr(sources, "SOURCES", {"toy": toy})


def fetched(folder):
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {files.pop(name) is not None for name in ("DONE", "LICENCE")} == {True}
    return files


def test_members_are_unpacked_without_installing(apt, monkeypatch):
    source(monkeypatch, {"usr/share/toy/words": WORDS})
    told = []
    folder = sources.fetch("toy", told.append)
    assert fetched(folder) == {"usr/share/toy/words": b"one\n"}
    assert apt.used() == [["download"], ["--extract"]]
    assert told == ["downloading toy with apt"]
    sources.fetch("toy", pytest.fail)


def test_several_packages_are_unpacked_over_one_another(apt, monkeypatch):
    apt.packages = ["a_1_all.deb", "b_1_all.deb"]
    source(monkeypatch, {"usr/share/toy/**": FOLDER}, package="a b")
    assert fetched(sources.fetch("toy")) == CONTENT
    assert apt.commands[0] == ["apt-get", "download", "a", "b"]
    assert apt.used()[1:] == [["--extract"]] * 2


def test_lists_of_our_own_are_made_when_the_machine_does_not_know_the_package(apt, monkeypatch):
    apt.failures["toy"] = "E: Unable to locate package toy\n"
    source(monkeypatch, {"usr/share/toy/words": WORDS})
    assert fetched(sources.fetch("toy")) == {"usr/share/toy/words": b"one\n"}
    assert apt.used() == [["download"], ["update"], ["download"], ["--extract"]]
    private = [word for word in apt.commands[1] if word.startswith("Dir::")]
    assert len(private) == 2
    assert set(private) < set(apt.commands[2])


@pytest.mark.parametrize(("content", "calls"), [(b"one\n", 0), (b"altered\n", 2)])
def test_an_installed_package_is_read_only_when_its_files_are_right(
    apt, monkeypatch, tmp_path, content, calls
):
    path = tmp_path / "root/usr/share/toy/words"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    source(monkeypatch, {"usr/share/toy/words": WORDS})
    assert fetched(sources.fetch("toy")) == {"usr/share/toy/words": b"one\n"}
    assert len(apt.commands) == calls


@pytest.mark.parametrize(
    ("failures", "kind", "message"),
    [
        (
            {"download": FileNotFoundError(2, "No such file or directory")},
            DataError,
            r"^toy could not be downloaded: apt-get cannot be started \(No such file or directory\)$",
        ),
        (
            {
                "download": "E: Unable to locate package toy",
                "update": "W: odd\nE: Could not resolve\nE: more",
            },
            DataError,
            "^the package lists could not be updated: E: Could not resolve$",
        ),
        (
            {
                "download": subprocess.TimeoutExpired("apt-get", 1),
                "update": subprocess.TimeoutExpired("a", 1),
            },
            DataError,
            "apt-get took over 1800 s",
        ),
        (
            {"--extract": "dpkg-deb: error"},
            DataError,
            r"^toy_1_all\.deb could not be unpacked: dpkg-deb failed$",
        ),
        (
            {"download": "E: write (28: No space left on device)"},
            ResourceError,
            "^toy could not be downloaded: no space left",
        ),
    ],
    ids=["no apt", "no network", "slow", "no package", "full disk"],
)
def test_what_goes_wrong_is_told_in_one_sentence(apt, monkeypatch, tmp_path, failures, kind, message):
    source(monkeypatch, {"usr/share/toy/words": WORDS})
    apt.failures = failures
    with pytest.raises(kind, match=message) as caught:
        sources.fetch("toy")
    assert kind is ResourceError or "needs apt-get and a network" in caught.value.hint
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("member", ["usr/share/toy/none", "usr/share/none/**"])
def test_a_package_without_the_member_is_refused(apt, monkeypatch, member):
    source(monkeypatch, {member: WORDS})
    with pytest.raises(DataError, match=r"^toy: the package lacks usr/share/"):
        sources.fetch("toy")


def test_an_altered_file_is_refused(apt, monkeypatch, tmp_path):
    source(monkeypatch, {"usr/share/toy/words": "0" * 64})
    with pytest.raises(DataError, match=f"^words: the unpacked file has SHA-256 {WORDS}, not 0000"):
        sources.fetch("toy")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_altered_folder_is_refused(apt, monkeypatch):
    source(monkeypatch, {"usr/share/toy/**": "0" * 64})
    with pytest.raises(DataError, match="the unpacked files have SHA-256"):
        sources.fetch("toy")


def test_an_archive_that_is_not_reached_is_told_though_apt_only_warns(apt, monkeypatch):
    apt.failures["download"] = "E: Unable to locate package toy\n"
    apt.lists = {}
    source(monkeypatch, {"usr/share/toy/words": WORDS})
    with pytest.raises(
        DataError, match=r"^the package lists could not be updated: apt-get reached no archive$"
    ):
        sources.fetch("toy")
