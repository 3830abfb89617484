"""A user's own recordings with their transcripts, without times.

    FOLDER/train.tsv, dev.tsv, test.tsv, or one FILE.tsv      lines SOUND TAB TOKENS

SOUND is a file (`hardpp.data.speech.audio`), by its path from the folder of the list. TOKENS, such as phones,
words or letters, have blanks between them. A single list is split by `part_of` of SOUND. How lines end, see
`hardpp.data.lines`.
"""

from pathlib import Path

from hardpp.data.lines import OnBad, Report, decode_line, parse_lines
from hardpp.data.parts import PARTS, split_by_checksum
from hardpp.data.speech import audio
from hardpp.data.speech.recordings import Recording, SoundFile
from hardpp.errors import DataError

_HINT = (
    "every line is SOUND, TAB, tokens with blanks between them; a run with --on-bad skip leaves bad ones out"
)
_SOUNDS = "every line is the path of a sound file"


def is_list(path: Path) -> bool:
    """Whether this is one list of recordings."""
    return path.is_file() and path.suffix == ".tsv"


def is_transcribed(path: Path) -> bool:
    """Whether this is a list of recordings, or a folder of three."""
    return is_list(path) or all((path / f"{part}.tsv").is_file() for part in PARTS)


def recordings(
    path: Path, on_bad: OnBad = "stop", report: Report = lambda text: None
) -> dict[str, list[Recording]]:
    """The train, dev and test parts of a list, or of a folder of three, each in the order of its list.

    A line is bad that has no TAB or tokens, or whose sound is not there, damaged, or in the list already. No
    sound may be in two lists.
    """
    if not is_list(path):
        parts = {part: read_list(path / f"{part}.tsv", on_bad, report) for part in PARTS}
        _check_apart(path, parts)
        return parts
    return split_by_checksum(
        read_list(path, on_bad, report),
        lambda recording: recording.name,
        path,
        "recording",
        "path",
        "bring a folder with train.tsv, dev.tsv and test.tsv to choose the parts yourself",
    )


def read_list(path: Path, on_bad: OnBad = "stop", report: Report = lambda text: None) -> list[Recording]:
    """Read the recordings of one list, in order; bad lines are those of `recordings`."""
    files: set[Path] = set()

    def recording(number: int, line: bytes) -> Recording:
        parsed = _recording(line, path.parent)
        if (file := (path.parent / parsed.name).resolve()) in files:
            raise ValueError(f"{parsed.name} is there already")
        files.add(file)
        return parsed

    return parse_lines(path, recording, "lines of SOUND, TAB, tokens", _HINT, on_bad, report)


def read_sound_list(path: Path) -> list[Recording | None]:
    """Read a list of sound files without transcripts; paths are as the shell takes them.

    None stands for a blank line.
    """

    def recording(number: int, line: bytes) -> Recording | None:
        if not line.strip():
            return None
        name = decode_line(line)
        audio.inspect(Path(name))
        return Recording(name, "", "", SoundFile(Path(name)), ())

    return parse_lines(path, recording, "a path a line", _SOUNDS)


def _recording(line: bytes, folder: Path) -> Recording:
    columns = decode_line(line).split("\t")
    if len(columns) != 2:
        raise ValueError(f"{len(columns)} columns found where SOUND and TOKENS are wanted")
    name, tokens = columns[0].strip(" "), tuple(columns[1].split())
    if not name or not tokens:
        raise ValueError("no tokens" if name else "no sound")
    sound = folder / name
    audio.inspect(sound)
    return Recording(name, "", "", SoundFile(sound), (), tokens)


def _check_apart(folder: Path, parts: dict[str, list[Recording]]) -> None:
    part_of_file: dict[Path, str] = {}  # by the file itself, of which there may be several paths
    for part, of_part in parts.items():
        for recording in of_part:
            if (other_part := part_of_file.setdefault((folder / recording.name).resolve(), part)) != part:
                raise DataError(f"{folder}: {recording.name} is in {other_part}.tsv and in {part}.tsv")
