import gzip
import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from hardpp.data.fetch import origins, sources
from hardpp.errors import DataError, ResourceError

CONTENT = {"package/data/words": b"one\n", "package/data/more/list": b"two\n", "package/LICENSE": b"free\n"}


def archive(content: dict[str, bytes] = CONTENT) -> bytes:
    """An archive as npm packs one; the time is fixed, so that equal content is equal bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        folder = tarfile.TarInfo("package/data")
        folder.type = tarfile.DIRTYPE
        packed.addfile(folder)
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            packed.addfile(entry, io.BytesIO(data))

    return gzip.compress(out.getvalue(), mtime=0)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


PINS = {f"toy/{name.partition('/')[2]}": sha256(content) for name, content in CONTENT.items()}
WORDS = {"toy/data/words": PINS["toy/data/words"]}


class FakeNpm:
    """Stands in for `subprocess.run`: leaves an archive in the folder it is started in."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.archives = {"toy@1.0": archive(), "@free/other@2.0": archive({"other/words": b"three\n"})}
        self.outcome: tuple[int, str] | BaseException = (0, "npm notice\n")

    def __call__(self, command: list[str], *, cwd: Path, **options: object) -> object:
        self.commands.append(command[1:])
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        code, stderr = self.outcome
        if code == 0 and command[-1] in self.archives:
            (cwd / "some-name.tgz").write_bytes(self.archives[command[-1]])
        return subprocess.CompletedProcess(command, code, "", stderr)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeNpm:
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "cache"))
    stand_in = FakeNpm()
    monkeypatch.setattr(subprocess, "run", stand_in)
    return stand_in


def source(
    monkeypatch: pytest.MonkeyPatch, members: dict[str, str], package: str = "toy", digests: str = ""
) -> None:
    toy = origins.Source(
        "toy", "npm", "a toy", "free", package, "1.0", digests or sha256(archive()), members, "1 kB"
    )
    monkeypatch.setattr(sources, "SOURCES", {"toy": toy})


def fetched(folder: Path) -> dict[str, bytes]:
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files.pop("DONE")
    return files


def test_members_and_nothing_else_are_kept_below_the_package_s_name(
    fake: FakeNpm, monkeypatch: pytest.MonkeyPatch
) -> None:
    source(monkeypatch, WORDS)
    told: list[str] = []
    assert fetched(sources.fetch("toy", told.append)) == {"toy/data/words": b"one\n"}
    assert told == ["downloading toy 1.0 with npm"]
    assert fake.commands == [["pack", "--ignore-scripts", "toy@1.0"]]
    sources.fetch("toy", pytest.fail)


def test_folders_and_several_packages_with_versions_of_their_own(
    fake: FakeNpm, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(f"{PINS[name]}  {name}\n" for name in ("toy/data/more/list", "toy/data/words"))
    members = {"toy/data/**": sha256(lines.encode()), "@free/other/words": sha256(b"three\n")}
    digests = " ".join(sha256(fake.archives[name]) for name in ("toy@1.0", "@free/other@2.0"))
    source(monkeypatch, members, "toy @free/other@2.0", digests)
    assert fetched(sources.fetch("toy")) == {
        "toy/data/words": b"one\n",
        "toy/data/more/list": b"two\n",
        "@free/other/words": b"three\n",
    }
    assert [command[-1] for command in fake.commands] == ["toy@1.0", "@free/other@2.0"]


@pytest.mark.parametrize(
    ("content", "members", "message"),
    [
        (CONTENT, {"toy/data/words": "0" * 64}, "words: the unpacked file has SHA-256"),
        (CONTENT, {"toy/none": "0" * 64}, r"some-name\.tgz: the package lacks none"),
        (CONTENT, {"toy/none/**": "0" * 64}, r"\*\*: the unpacked files have SHA-256"),
        (None, WORDS, r"some-name\.tgz: cannot be unpacked"),
    ],
    ids=["altered member", "missing member", "missing folder", "no archive"],
)
def test_a_package_with_wrong_members_leaves_nothing_behind(
    fake: FakeNpm,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    content: dict[str, bytes] | None,
    members: dict[str, str],
    message: str,
) -> None:
    fake.archives["toy@1.0"] = b"\x1f\x8b no" if content is None else archive(content)
    source(monkeypatch, members, digests=sha256(fake.archives["toy@1.0"]))
    with pytest.raises(DataError, match=message):
        sources.fetch("toy")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_truncated_archive_is_refused(fake: FakeNpm, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.archives["toy@1.0"] = archive()[:-30]
    source(monkeypatch, PINS, digests=sha256(fake.archives["toy@1.0"]))
    with pytest.raises(DataError, match=r"some-name\.tgz: cannot be unpacked"):
        sources.fetch("toy")


def test_an_altered_archive_is_not_unpacked(fake: FakeNpm, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.archives["toy@1.0"] = archive({"package/data/words": b"evil\n"})
    source(monkeypatch, WORDS)
    with pytest.raises(DataError, match=r"^some-name\.tgz: the downloaded file has SHA-256 \w{64}, not"):
        sources.fetch("toy")


NOT_FOUND = "npm error code E404\nnpm error 404 Not Found - GET somewhere\nnpm error 404 more\n"


@pytest.mark.parametrize(
    ("outcome", "kind", "message"),
    [
        ((1, NOT_FOUND), DataError, "^toy@1.0 could not be downloaded: 404 Not Found - GET somewhere$"),
        (
            (1, "npm WARN x\nnpm ERR! code ENOTFOUND\nnpm ERR! syscall x\nnpm ERR! no reply\n"),
            DataError,
            "downloaded: no reply$",
        ),
        ((1, ""), DataError, "downloaded: npm left 0 archives$"),
        ((0, "npm notice"), DataError, "downloaded: npm left 0 archives$"),
        ((1, "npm error code ENOSPC\n"), ResourceError, "no space left"),
        (FileNotFoundError(2, "No such file"), DataError, r"npm cannot be started \(No such file\)$"),
        (subprocess.TimeoutExpired("npm", 1), DataError, "npm took over 1800 s$"),
    ],
    ids=["not found", "no network", "silent", "no archive", "full disk", "no npm", "slow"],
)
def test_what_goes_wrong_is_told_in_one_sentence(
    fake: FakeNpm,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    outcome: tuple[int, str] | BaseException,
    kind: type[Exception],
    message: str,
) -> None:
    source(monkeypatch, WORDS)
    fake.archives.clear()
    fake.outcome = outcome
    with pytest.raises(kind, match=message) as caught:
        sources.fetch("toy")
    assert "\n" not in str(caught.value)
    assert kind is ResourceError or "the program npm" in getattr(caught.value, "hint", "")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("name", sorted(name for name, one in sources.SOURCES.items() if one.kind == "npm"))
def test_every_package_has_a_digest_and_members(name: str) -> None:
    one = sources.SOURCES[name]
    digests, packages = one.sha256.split(), [word.split("@")[0] for word in one.package.split()]
    assert len(digests) == len(packages)
    assert all(len(digest) == 64 for digest in digests)
    assert {member.partition("/")[0] for member in one.members} == set(packages)
