"""What Debian's archive holds: files of packages, and descriptions of all packages in several languages.

Files are read where their package is installed, or downloaded with apt and unpacked. Nothing is installed and
no root is needed. apt keeps its lists in a folder of ours when the machine's own do not know the package, or
do not have the language, so the machine's apt stays as it was.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from hardpp.data.fetch.members import found, pin
from hardpp.data.fetch.programs import finished
from hardpp.errors import DataError, ResourceError

_HINT = "it comes from Debian's archive: it needs apt-get and a network, or the folder from another cache"
_ROOT = Path("/")  # where packages are installed


def collect(
    package: str,
    version: str,
    sha256: str,
    members: Mapping[str, str],
    into: Path,
    workspace: Path,
    report: Callable[[str], None],
) -> None:
    """Write members of Debian packages below `into`; the caller verifies them.

    Args:
        package: The names of the packages, with blanks between them.
        version: Ignored: which version there is depends on the release, what is in it on the members' pins.
        sha256: Ignored, as a release may pack the same files anew.
        members: Members of the packages -> their pins (see `members`); paths are kept below `into`.
        into: An existing, empty folder.
        workspace: An existing folder for what is thrown away afterwards.
        report: Told in a few words what is going on.

    Raises:
        DataError: There is no apt, no network or no such package, or a package lacks a member.
        ResourceError: The disk is full.
    """
    if _installed(members):
        report(f"copying from the installed package {package}")
        _copy(_ROOT, members, into, package)
        return
    report(f"downloading {package} with apt")
    unpacked = workspace / "unpacked"
    for archive in download(package.split(), workspace):
        _run(["dpkg-deb", "--extract", str(archive), str(unpacked)], f"{archive.name} could not be unpacked")
    _copy(unpacked, members, into, package)


def collect_translations(
    package: str,
    version: str,
    sha256: str,
    members: Mapping[str, str],
    into: Path,
    workspace: Path,
    report: Callable[[str], None],
) -> None:
    """Write the package descriptions of some languages below `into`, as they are today.

    Args:
        package: The languages, with blanks between them, the one that is translated from last.
        version: Ignored: the archive has only its present state.
        sha256: Ignored.
        members: "Translation-LANGUAGE" for each language, and "Release", which says what was fetched.
        into: An existing, empty folder.
        workspace: An existing folder for what is thrown away afterwards.
        report: Told in a few words what is going on.

    Raises:
        DataError: There is no apt or no network, or the archive lacks a language.
        ResourceError: The disk is full.
    """
    languages = package.split()
    report(f"downloading package descriptions ({', '.join(languages)}) with apt")
    private_lists(workspace, ",".join(languages))
    lists = workspace / "lists"
    # Of several releases and sections, the one with most to translate.
    wanted = f"_Translation-{languages[0]}"
    sections = sorted(lists.glob(f"*{wanted}"), key=lambda path: path.stat().st_size)
    section = sections[-1].name.removesuffix(wanted) if sections else ""
    for language in languages:
        origin = lists / f"{section}_Translation-{language}"
        if not origin.exists():
            raise DataError(
                f"the archive that apt uses has no package descriptions in {language!r}",
                "the Debian archive has them; a folder from another cache serves as well",
            )
        shutil.copyfile(origin, into / f"Translation-{language}")
    (into / "Release").write_text(_release(lists, section), encoding="utf-8")


def download(packages: list[str], workspace: Path) -> list[Path]:
    """Let apt put packages into a folder below `workspace`; returns the files.

    Raises:
        DataError: There is no apt, no network or no such package.
        ResourceError: The disk is full.
    """
    into = workspace / "packages"
    into.mkdir()
    complaint = f"{' and '.join(packages)} could not be downloaded"
    try:
        _run(["apt-get", "download", *packages], complaint, into)
    except DataError as error:
        if isinstance(error.__cause__, OSError):
            raise  # there is no apt at all
        # The lists of a small machine or a container are old or were deleted.
        lists = private_lists(workspace, "none")
        _run(["apt-get", *lists, "download", *packages], complaint, into)
    return sorted(into.glob("*.deb"))


def private_lists(workspace: Path, languages: str) -> list[str]:
    """Package lists of our own below `workspace`, just updated; returns the options that make apt use them.

    Args:
        workspace: An existing folder.
        languages: Of which languages descriptions are wanted, with commas between them, or "none".

    Raises:
        DataError: There is no apt or no network.
        ResourceError: The disk is full.
    """
    for folder in ("lists/partial", "cache/archives/partial"):
        (workspace / folder).mkdir(parents=True, exist_ok=True)
    options = [f"Dir::State::lists={workspace / 'lists'}", f"Dir::Cache={workspace / 'cache'}"]
    # Plain files, whatever the machine keeps for itself.
    options += [f"Acquire::Languages={languages}", "Acquire::GzipIndexes=false"]
    arguments = [argument for option in options for argument in ("-o", option)]
    complaint = "the package lists could not be updated"
    _run(["apt-get", *arguments, "update"], complaint)
    if next((workspace / "lists").glob("*Release"), None) is None:
        # apt only warns when it reaches nobody.
        raise DataError(f"{complaint}: apt-get reached no archive", _HINT)
    return arguments


def _release(lists: Path, section: str) -> str:
    # The lines of the signed release file that say which state of the archive this is.
    for path in lists.glob("*_InRelease"):
        if section.startswith(path.name.removesuffix("InRelease")):
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
            keys = ("Origin:", "Codename:", "Version:", "Date:")
            return "".join(f"{line}\n" for line in lines if line.startswith(keys))
    return "unknown\n"


def _installed(members: Mapping[str, str]) -> bool:
    try:
        return all(pinned and pin(_ROOT, member) == pinned for member, pinned in members.items())
    except OSError:
        return False


def _copy(origin: Path, members: Mapping[str, str], into: Path, package: str) -> None:
    for member in members:
        try:
            names = found(origin, member)
        except OSError:
            names = []
        if not names:
            raise DataError(f"{package}: the package lacks {member}", "another release of Debian may have it")
        for name in names:
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin / name, into / name)


def _run(command: list[str], complaint: str, folder: Path | None = None) -> None:
    outcome = finished(command[0], command, complaint, _HINT, folder)
    if outcome.returncode != 0:
        if "No space left on device" in outcome.stderr:
            raise ResourceError(f"{complaint}: no space left")
        said = [line.strip() for line in outcome.stderr.split("\n") if line.startswith("E: ")]
        raise DataError(f"{complaint}: {said[0] if said else f'{command[0]} failed'}", _HINT)
