"""A user's own recordings with what is said in them; when it is said need not be known.

    FOLDER/train.tsv, dev.tsv, test.tsv, or one FILE.tsv      lines SOUND TAB TOKENS

SOUND is a file (`hardpp.data.speech.audio`), by its path from the folder of the list. TOKENS, such as phones,
words or letters, have blanks between them. A single list is split by `part_of` of SOUND. How lines end, see
`hardpp.data.lines`.
"""

from collections.abc import Callable
from pathlib import Path

from hardpp.data.lines import OnBad, decoded, made
from hardpp.data.parts import PARTS, part_of
from hardpp.data.speech import audio
from hardpp.data.speech.recordings import Recording, SoundFile
from hardpp.errors import DataError

_WANTED = (
    "every line is SOUND, TAB, tokens with blanks between them; a run with --on-bad skip leaves bad ones out"
)
_SOUNDS = "every line is the path of a sound file"


def is_list(path: Path) -> bool:
    """Is this one list of recordings?"""
    return path.is_file() and path.suffix == ".tsv"


def is_transcribed(path: Path) -> bool:
    """Is this a list of recordings, or a folder of three?"""
    return is_list(path) or all((path / f"{part}.tsv").is_file() for part in PARTS)


def recordings(
    path: Path, on_bad: OnBad = "stop", report: Callable[[str], None] = lambda text: None
) -> dict[str, list[Recording]]:
    """The train, dev and test parts, each in the order of its list.

    Args:
        path: A list, or a folder of three.
        on_bad: What happens to bad lines: "stop", or "skip" to leave them out.
        report: Told what is left out.

    Raises:
        DataError: A list cannot be read, or lines are bad (no TAB, no tokens, no such sound, sound that is
            damaged or in two lists); the message names file:line. Or a part of one list is empty.
        UsageError: soundfile is not installed.
    """
    if not is_list(path):
        parts = {part: listed(path / f"{part}.tsv", on_bad, report) for part in PARTS}
        _check_apart(path, parts)
        return parts
    every, parts = listed(path, on_bad, report), {part: [] for part in PARTS}
    for one in every:
        parts[part_of(one.name)].append(one)
    if empty := [part for part in PARTS if not parts[part]]:
        raise DataError(
            f"{path}: nothing falls into {' and '.join(empty)} when {len(every)} recordings are split by "
            "checksum of their paths",
            "bring a folder with train.tsv, dev.tsv and test.tsv to choose the parts yourself",
        )
    return parts


def listed(
    path: Path, on_bad: OnBad = "stop", report: Callable[[str], None] = lambda text: None
) -> list[Recording]:
    """Every recording of one list, in order; the arguments and errors are those of `recordings`."""
    seen: set[Path] = set()

    def recording(number: int, line: bytes) -> Recording:
        one = _recording(line, path.parent)
        if (file := (path.parent / one.name).resolve()) in seen:
            raise ValueError(f"{one.name} is there already")
        seen.add(file)
        return one

    return made(path, recording, "lines of SOUND, TAB, tokens", _WANTED, on_bad, report)


def sounds(path: Path) -> list[Recording]:
    """The recordings of a list of nothing but sound files, paths being as the shell takes them.

    Raises:
        DataError: The list or a sound cannot be read; the message names file:line.
        UsageError: soundfile is not installed.
    """

    def recording(number: int, line: bytes) -> Recording:
        name = decoded(line)
        audio.inspect(Path(name))
        return Recording(name, "", "", SoundFile(Path(name)), ())

    return made(path, recording, "a path a line", _SOUNDS)


def _recording(line: bytes, folder: Path) -> Recording:
    columns = decoded(line).split("\t")
    if len(columns) != 2:
        raise ValueError(f"{len(columns)} columns found where SOUND and TOKENS are wanted")
    name, tokens = columns[0].strip(" "), tuple(columns[1].split())
    if not name or not tokens:
        raise ValueError("no tokens" if name else "no sound")
    sound = folder / name
    audio.inspect(sound)
    return Recording(name, "", "", SoundFile(sound), (), tokens)


def _check_apart(folder: Path, parts: dict[str, list[Recording]]) -> None:
    seen: dict[Path, str] = {}  # by the file itself, of which there may be several paths
    for part, found in parts.items():
        for one in found:
            if (first := seen.setdefault((folder / one.name).resolve(), part)) != part:
                raise DataError(f"{folder}: {one.name} is in {first}.tsv and in {part}.tsv")
