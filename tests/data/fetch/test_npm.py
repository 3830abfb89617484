import errno
import gzip
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hardpp.data.fetch import npm, origins, sources
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


class Registry(ThreadingHTTPServer):
    """A registry on this machine that answers with archives, or with what is wrong."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[str] = []
        self.archives = {
            "/toy/-/toy-1.0.tgz": archive(),
            "/@free/other/-/other-2.0.tgz": archive({"other/words": b"three\n"}),
        }
        self.promised = 0  # bytes that never come
        self.silent = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        content = self.server.archives.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) + self.server.promised))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Registry]:
    monkeypatch.setenv("HARDPP_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")  # no program is needed
    monkeypatch.setenv("no_proxy", "*")
    with Registry() as server:
        monkeypatch.setenv("npm_config_registry", server.url)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.silent.set()
        server.shutdown()
        thread.join()


def source(
    monkeypatch: pytest.MonkeyPatch, members: dict[str, str], package: str = "toy", digests: str = ""
) -> None:
    toy = origins.Source(
        "toy", "npm", "a toy", "free", package, "1.0", digests or sha256(archive()), members, "1 kB"
    )
    monkeypatch.setattr(sources, "SOURCES", {"toy": toy})


def fetched(folder: Path) -> dict[str, bytes]:
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {files.pop(name) is not None for name in ("DONE", "LICENCE")} == {True}
    return files


def test_members_and_licences_are_kept_below_the_package_s_name(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    source(monkeypatch, WORDS)
    told: list[str] = []
    assert fetched(sources.fetch("toy", told.append)) == {
        "toy/data/words": b"one\n",
        "toy/LICENSE": b"free\n",
    }
    assert told == [f"downloading toy 1.0 from {registry.url}"]
    assert registry.asked == ["/toy/-/toy-1.0.tgz"]
    sources.fetch("toy", pytest.fail)


def test_folders_and_several_packages_with_versions_of_their_own(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(f"{PINS[name]}  {name}\n" for name in ("toy/data/more/list", "toy/data/words"))
    members = {"toy/data/**": sha256(lines.encode()), "@free/other/words": sha256(b"three\n")}
    digests = " ".join(sha256(registry.archives[name]) for name in registry.archives)
    source(monkeypatch, members, "toy @free/other@2.0", digests)
    assert fetched(sources.fetch("toy")) == {
        "toy/data/words": b"one\n",
        "toy/data/more/list": b"two\n",
        "@free/other/words": b"three\n",
        "toy/LICENSE": b"free\n",
    }
    assert registry.asked == ["/toy/-/toy-1.0.tgz", "/@free/other/-/other-2.0.tgz"]


@pytest.mark.parametrize(
    ("content", "members", "message"),
    [
        (CONTENT, {"toy/data/words": "0" * 64}, "words: the unpacked file has SHA-256"),
        (CONTENT, {"toy/none": "0" * 64}, r"toy-1\.0\.tgz: the package lacks none"),
        (CONTENT, {"toy/none/**": "0" * 64}, r"\*\*: the unpacked files have SHA-256"),
        (None, WORDS, r"toy-1\.0\.tgz: cannot be unpacked"),
    ],
    ids=["altered member", "missing member", "missing folder", "no archive"],
)
def test_a_package_with_wrong_members_leaves_nothing_behind(
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    content: dict[str, bytes] | None,
    members: dict[str, str],
    message: str,
) -> None:
    registry.archives["/toy/-/toy-1.0.tgz"] = b"\x1f\x8b no" if content is None else archive(content)
    source(monkeypatch, members, digests=sha256(registry.archives["/toy/-/toy-1.0.tgz"]))
    with pytest.raises(DataError, match=message):
        sources.fetch("toy")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_truncated_archive_is_refused(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.archives["/toy/-/toy-1.0.tgz"] = archive()[:-30]
    source(monkeypatch, PINS, digests=sha256(registry.archives["/toy/-/toy-1.0.tgz"]))
    with pytest.raises(DataError, match=r"toy-1\.0\.tgz: cannot be unpacked"):
        sources.fetch("toy")


def test_an_altered_archive_is_not_unpacked(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.archives["/toy/-/toy-1.0.tgz"] = archive({"package/data/words": b"evil\n"})
    source(monkeypatch, WORDS)
    with pytest.raises(DataError, match=r"^toy-1\.0\.tgz: the downloaded file has SHA-256 \w{64}, not"):
        sources.fetch("toy")


@pytest.mark.parametrize(
    ("archives", "promised", "message"),
    [
        ({}, 0, r"^http://127\.0\.0\.1:\d+/toy/-/toy-1\.0\.tgz could not be downloaded: .* 404 Not Found$"),
        ({"/toy/-/toy-1.0.tgz": archive()}, 5, "downloaded: the connection broke off$"),
    ],
    ids=["not found", "cut short"],
)
def test_what_goes_wrong_is_told_in_one_sentence(
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    archives: dict[str, bytes],
    promised: int,
    message: str,
) -> None:
    source(monkeypatch, WORDS)
    registry.archives, registry.promised = archives, promised
    with pytest.raises(DataError, match=message) as caught:
        sources.fetch("toy")
    assert caught.value.hint is not None
    assert "needs a network" in caught.value.hint
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_registry_that_falls_silent_is_given_up(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npm, "PATIENCE", 0.2)
    monkeypatch.setattr(Answer, "do_GET", lambda self: self.server.silent.wait(10))
    source(monkeypatch, WORDS)
    with pytest.raises(DataError, match=r"could not be downloaded: timed out$"):
        sources.fetch("toy")


def test_a_machine_without_a_network_is_told_so(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1")
    source(monkeypatch, WORDS)
    with pytest.raises(DataError, match=r"/toy/-/toy-1\.0\.tgz could not be downloaded: .+"):
        sources.fetch("toy")


def test_a_full_disk_is_not_blamed_on_the_network(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(url: str, to: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(npm, "download", full)
    source(monkeypatch, WORDS)
    with pytest.raises(ResourceError, match="No space left"):
        sources.fetch("toy")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_download_to_a_full_disk_says_what_the_system_says(registry: Registry) -> None:
    registry.archives["/toy/-/toy-1.0.tgz"] = bytes(2**17)
    with pytest.raises(OSError, match="No space left") as caught:
        npm.download(f"{registry.url}/toy/-/toy-1.0.tgz", Path("/dev/full"))
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (None, npm.PUBLIC_REGISTRY),
        ("audit=false\n", npm.PUBLIC_REGISTRY),
        ("audit=false\n registry = https://host/npm/\n", "https://host/npm"),
        ('registry="http://host:8080"\n', "http://host:8080"),
        ("# registry=https://old\n@free:registry=https://free\n", npm.PUBLIC_REGISTRY),
        ("registry=https://first\nregistry=https://last\n", "https://last"),
        ("registry=${TOY_REGISTRY}/npm\n", "https://named/npm"),
    ],
    ids=["no file", "not set", "set", "quoted", "other settings", "set twice", "environment"],
)
def test_the_registry_is_the_one_of_npm_s_own_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: str | None, expected: str
) -> None:
    monkeypatch.delenv("npm_config_registry", raising=False)
    monkeypatch.delenv("NPM_CONFIG_REGISTRY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("TOY_REGISTRY", "https://named")
    if settings is not None:
        (tmp_path / ".npmrc").write_text(settings)
    assert npm.npm_registry() == expected
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://environment/")
    assert npm.npm_registry() == "https://environment"


@pytest.mark.parametrize("registry", ["file:///etc", "host/npm"])
def test_a_registry_that_is_not_of_the_web_is_refused(monkeypatch: pytest.MonkeyPatch, registry: str) -> None:
    monkeypatch.setenv("npm_config_registry", registry)
    with pytest.raises(DataError, match=r"^\$npm_config_registry: the npm registry '.*' is no address"):
        npm.npm_registry()


@pytest.mark.parametrize("name", sorted(name for name, one in sources.SOURCES.items() if one.kind == "npm"))
def test_every_package_has_a_digest_and_members(name: str) -> None:
    one = sources.SOURCES[name]
    digests, packages = one.sha256.split(), [word.split("@")[0] for word in one.package.split()]
    assert len(digests) == len(packages)
    assert all(len(digest) == 64 for digest in digests)
    assert {member.partition("/")[0] for member in one.members} == set(packages)
