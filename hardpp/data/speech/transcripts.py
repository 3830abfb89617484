"""Plain lists of recordings with their transcripts, and lists of sounds alone.

    SOUND TAB TOKENS      a line

SOUND is a file (`hardpp.data.speech.audio`), by its path from the folder of the list. TOKENS, such as phones,
words or letters, have blanks between them. How lines end, see `hardpp.data.lines`.
"""

from pathlib import Path

from hardpp.data.lines import (
    OnBad,
    Place,
    Report,
    decode_line,
    parse_entries,
    parse_lines,
    read_lines,
    trimmed,
)
from hardpp.data.named_files import is_file
from hardpp.data.speech import audio
from hardpp.data.speech.bad_recordings import Fault, report_faults
from hardpp.data.speech.recordings import Recording, SoundFile
from hardpp.data.speech.spoken import SOUND_ENDINGS, Reading, Spoken, sounds_in, unread_in
from hardpp.errors import DataError

_HINT = (
    "every line is SOUND, TAB, tokens with blanks between them; a run with --on-bad skip leaves bad ones out"
)
_SOUNDS = "every line is the path of a sound file"
_MOST = 10_000  # bytes of a first line
_PLAIN = Reading()


def is_plain_list(path: Path) -> bool:
    """Whether this is one list of recordings: a file called .tsv, or one with a TAB in its first line."""
    if not path.is_file():
        return False
    if path.suffix.lower() == ".tsv":
        return True
    with path.open("rb") as file:
        return b"\t" in file.readline(_MOST)


def read_list(
    path: Path, on_bad: OnBad = "stop", report: Report = lambda text: None, reading: Reading = _PLAIN
) -> list[Recording]:
    """Read the recordings of one list, in order.

    A line is bad that has no TAB or tokens, or whose sound is not there, damaged, or in the list already.
    """
    files: set[Path] = set()

    def recording(number: int, line: bytes) -> Recording:
        parsed = _recording(line, path.parent, reading, Place(path, number))
        if (file := (path.parent / parsed.name).resolve()) in files:
            raise ValueError(f"{parsed.name} is there already")
        files.add(file)
        return parsed

    return parse_lines(path, recording, "lines of SOUND, TAB, tokens", _HINT, on_bad, report)


def read_sounds(
    path: Path, on_bad: OnBad = "stop", report: Report = lambda text: None
) -> list[Recording | None]:
    """Sounds of which nothing is known: a sound file, all those in a folder, or a list of them.

    A list has a path a line, as the shell takes it or from the folder of the list; what stands after a TAB is
    left alone. None stands for a blank line, and for what is left out.

    Args:
        path: The file or folder.
        on_bad: What happens to sounds of a folder or list that are not there, or damaged.
        report: Told what was left out.
    """
    if path.is_dir():
        return _in_folder(path, on_bad, report)
    named = path.is_file() and path.suffix.lower() in SOUND_ENDINGS
    if named or audio.is_sound(path) or audio.is_binary(path):
        return [_sound(str(path), path)]

    numbers: list[int] = []

    def recording(number: int, line: bytes) -> Recording | None:
        numbers.append(number)
        if not line.strip():
            return None
        name = trimmed(decode_line(line).partition("\t")[0])
        beside = path.parent / name
        return _sound(name, Path(name) if is_file(Path(name)) or not is_file(beside) else beside)

    numbered = enumerate(read_lines(path, "a path a line"), start=1)
    parsed = parse_entries(path, numbered, recording, _SOUNDS, on_bad, report, lines=True)
    return [parsed.get(number) for number in numbers]


# Those that are left out stand for nothing, so that what is said of the others has its place.
def _in_folder(folder: Path, on_bad: OnBad, report: Report) -> list[Recording | None]:
    found: list[Recording | None] = []
    faults: list[Fault] = []
    unread = unread_in(folder)
    for file in sounds_in(folder):
        try:
            found.append(_sound(file.relative_to(folder).as_posix(), file))
        except DataError as error:
            found.append(None)
            faults.append(Fault(str(file), str(error)))
    if not found:
        hint = (
            f"{unread[0].name}, for one, is of a kind that is not read: convert it to FLAC" if unread else ""
        )
        raise DataError(f"{folder}: there is no sound file in this folder", hint)
    report_faults(faults, on_bad, report, "")
    if unread:
        more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
        report(f"warning: {unread[0]}{more}: left out, as sound of this kind is not read; convert it to FLAC")
    return found


def _sound(name: str, file: Path) -> Recording:
    return Recording(name, "", "", SoundFile(file), (), (), audio.inspect(file))


def _recording(line: bytes, folder: Path, reading: Reading, place: Place) -> Recording:
    columns = decode_line(line).split("\t")
    if len(columns) != 2:
        raise ValueError(f"{len(columns)} columns found where SOUND and TOKENS are wanted")
    name, tokens = trimmed(columns[0]), reading.tokens(columns[1])
    if not name or not tokens:
        raise ValueError("no tokens" if name else "no sound")
    return Spoken(name, folder / name, place, tokens).recording()
