import hashlib
import json
import subprocess

import pytest

from hardpp.data.fetch import debian, origins, sources
from hardpp.errors import DataError, ResourceError

CONTENT = {"usr/share/toy/words": b"one\n", "usr/share/toy/more/list": b"two\n"}
WORDS = hashlib.sha256(CONTENT["usr/share/toy/words"]).hexdigest()
LISTS = {
    "host_dists_stable_main_i18n_Translation-de": "Package: a\nviele\n",
    "host_dists_stable_main_i18n_Translation-en": "Package: a\n",
    "host_dists_stable-updates_main_i18n_Translation-de": "wenig",
    "host_dists_stable-updates_main_i18n_Translation-en": "a long text, but with little to translate it",
    "host_dists_stable_InRelease": "Hash: x\n\nOrigin: Debian\nSuite: s\nCodename: c\nDate: today\n",
    "host_dists_stable-updates_InRelease": "Origin: updates\n",
}


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
    return fake


def source(monkeypatch, members, kind="apt", package="toy"):
    toy = origins.Source("toy", kind, "a toy", "free", package, "1", "", members, "1 kB")
    monkeypatch.setattr(sources, "SOURCES", {"toy": toy})


def fetched(folder):
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files.pop("DONE")
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
    source(monkeypatch, {"usr/share/toy/**": ""}, package="a b")
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


TRANSLATIONS = {"Translation-de": "", "Translation-en": "", "Release": ""}


def test_translations_are_those_of_the_section_with_most_of_them(apt, monkeypatch):
    source(monkeypatch, TRANSLATIONS, "translations", "de en")
    folder = sources.fetch("toy")
    assert fetched(folder) == {
        "Translation-de": b"Package: a\nviele\n",
        "Translation-en": b"Package: a\n",
        "Release": b"Origin: Debian\nCodename: c\nDate: today\n",
    }
    assert "Acquire::Languages=de,en" in apt.commands[0]


def test_what_moves_is_recorded_and_checked_against_the_record(apt, monkeypatch):
    source(monkeypatch, TRANSLATIONS, "translations", "de en")
    folder = sources.fetch("toy")
    done = json.loads((folder / "DONE").read_text())
    assert done["Translation-en"] == {"size": 11, "sha256": hashlib.sha256(b"Package: a\n").hexdigest()}
    apt.lists = {name: text.replace("viele", "mehr!") for name, text in LISTS.items()}
    sources.fetch("toy", pytest.fail)
    sources.fetch("toy", pytest.fail, verify=True)
    (folder / "Translation-de").write_bytes(b"Package: a\nVIELE\n")
    sources.fetch("toy", pytest.fail)
    sources.fetch("toy", verify=True)
    assert (folder / "Translation-de").read_bytes() == b"Package: a\nmehr!\n"


def test_what_moves_is_not_adopted_without_a_record(apt, monkeypatch):
    source(monkeypatch, TRANSLATIONS, "translations", "de en")
    (sources.fetch("toy") / "DONE").unlink()
    sources.fetch("toy")
    assert apt.used() == [["update"]] * 2


@pytest.mark.parametrize("language", ["de", "en"])
def test_an_archive_without_a_language_is_refused(apt, monkeypatch, language):
    apt.lists = {name: text for name, text in LISTS.items() if not name.endswith(f"-{language}")}
    source(monkeypatch, TRANSLATIONS, "translations", "de en")
    with pytest.raises(DataError, match="the archive that apt uses has no package descriptions in"):
        sources.fetch("toy")


def test_a_state_without_a_release_file_is_unknown(apt, monkeypatch):
    apt.lists = {name: text for name, text in LISTS.items() if not name.endswith("InRelease")}
    apt.lists["host_dists_stable_Release"] = "Codename: unsigned\n"
    source(monkeypatch, TRANSLATIONS, "translations", "de en")
    assert (sources.fetch("toy") / "Release").read_text() == "unknown\n"


@pytest.mark.parametrize(
    ("members", "kind"), [({"usr/share/toy/words": WORDS}, "apt"), (TRANSLATIONS, "translations")]
)
def test_an_archive_that_is_not_reached_is_told_though_apt_only_warns(apt, monkeypatch, members, kind):
    apt.failures["download"] = "E: Unable to locate package toy\n"
    apt.lists = {}
    source(monkeypatch, members, kind)
    with pytest.raises(
        DataError, match=r"^the package lists could not be updated: apt-get reached no archive$"
    ):
        sources.fetch("toy")
