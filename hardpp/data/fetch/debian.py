"""Files out of packages of Debian: read where the package is installed, or downloaded with apt and unpacked.

Nothing is installed and no root is needed. apt keeps its lists in a folder of ours when the machine's own do
not know the package, so the machine's apt stays as it was.
"""

from collections.abc import Callable
from pathlib import Path

from hardpp.data.fetch.members import copy_member, has_members
from hardpp.data.fetch.origins import Source
from hardpp.data.programs import run_program
from hardpp.errors import DataError, ResourceError

_HINT = "it comes from Debian's archive: it needs apt-get and a network, or the folder from another cache"
_ROOT = Path("/")  # where packages are installed


def collect(source: Source, into: Path, workspace: Path, report: Callable[[str], None]) -> None:
    """Write members and licences of a source below `into`, an empty folder; the caller verifies the members.

    The version and the SHA-256 of archives are ignored: a release may have packed the same files anew, and
    its members are pinned. What is thrown away afterwards goes to the folder `workspace`.
    """
    if has_members(_ROOT, source.members):
        report(f"copying from the installed package {source.package}")
        _copy(_ROOT, source, into)
        return
    report(f"downloading {source.package} with apt")
    unpacked = workspace / "unpacked"
    for archive in download(source.package.split(), workspace):
        _run(["dpkg-deb", "--extract", str(archive), str(unpacked)], f"{archive.name} could not be unpacked")
    _copy(unpacked, source, into)


def download(packages: list[str], workspace: Path) -> list[Path]:
    """Let apt put packages into a folder below `workspace`; returns the files."""
    into = workspace / "packages"
    into.mkdir()
    complaint = f"{' and '.join(packages)} could not be downloaded"
    try:
        _run(["apt-get", "download", *packages], complaint, into)
    except DataError as error:
        if isinstance(error.__cause__, OSError):
            raise  # there is no apt at all
        # The lists of a small machine or a container are old or were deleted.
        lists = private_lists(workspace)
        _run(["apt-get", *lists, "download", *packages], complaint, into)
    return sorted(into.glob("*.deb"))


def private_lists(workspace: Path) -> list[str]:
    """Update package lists of our own below `workspace`; returns the options that make apt use them."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (workspace / folder).mkdir(parents=True, exist_ok=True)
    options = [f"Dir::State::lists={workspace / 'lists'}", f"Dir::Cache={workspace / 'cache'}"]
    options.append("Acquire::Languages=none")  # no descriptions of packages
    arguments = [argument for option in options for argument in ("-o", option)]
    complaint = "the package lists could not be updated"
    _run(["apt-get", *arguments, "update"], complaint)
    if next((workspace / "lists").glob("*Release"), None) is None:
        # apt only warns when it reaches nobody.
        raise DataError(f"{complaint}: apt-get reached no archive", _HINT)
    return arguments


def _copy(origin: Path, source: Source, into: Path) -> None:
    for package in source.package.split():
        copy_member(origin, f"usr/share/doc/{package}/copyright", into)
    for member in source.members:
        if not copy_member(origin, member, into):
            complaint = f"{source.package}: the package lacks {member}"
            raise DataError(complaint, "another release of Debian may have it")


def _run(command: list[str], complaint: str, folder: Path | None = None) -> None:
    outcome = run_program(command[0], command, complaint, _HINT, folder=folder)
    if outcome.returncode != 0:
        if "No space left on device" in outcome.stderr:
            raise ResourceError(f"{complaint}: no space left")
        errors = [line.strip() for line in outcome.stderr.split("\n") if line.startswith("E: ")]
        raise DataError(f"{complaint}: {errors[0] if errors else f'{command[0]} failed'}", _HINT)
