"""Lists of recordings in the forms of well-known corpora, a file each; what a file is, its first lines say.

    tables          with a heading that names columns of sounds and of texts (`headed_tables`), as of Common
                    Voice, DeepSpeech, Hugging Face
    JSON lines      objects with audio_filepath, text and perhaps offset and duration, as NeMo has them
    LJSpeech        ID|TEXT|NORMALISED TEXT, sounds in wavs/
    LibriSpeech     ID TEXT in *.trans.txt, sounds beside it
    CTM             RECORDING CHANNEL START DURATION TOKEN, sounds of that name beside it
    a plain list    SOUND TAB TOKENS (`hardpp.data.speech.transcripts`)

Sources: Ardila et al. (2020), Common Voice; Panayotov et al. (2015), LibriSpeech; Ito (2017), LJSpeech; NIST,
the Rich Transcription evaluation plans, for CTM.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hardpp.data.json_values import json_value
from hardpp.data.lines import Place, decode_line, parse_lines
from hardpp.data.speech.headed_tables import SOUNDS, TEXTS, columns_of, named_key
from hardpp.data.speech.recordings import Recording
from hardpp.data.speech.spoken import Reading, Spoken, in_order, listed_sound, seconds_of, sound_named
from hardpp.data.speech.utterances import Segment
from hardpp.errors import DataError

_MOST = 20_000  # bytes that are looked at
_EPSILON = ("<eps>", "")

Parse = Callable[[int, bytes], "Recording | None"]


class ListForm(NamedTuple):
    """A form of lists."""

    name: str
    is_it: Callable[[list[str], Path], bool]  # of the first lines
    read: Callable[[Path, Reading], list[Recording]]


def form_of(path: Path) -> ListForm | None:
    """The form of a list, by its first lines; None where it has none of these."""
    try:
        with path.open("rb") as file:
            head = file.read(_MOST).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    lines = [line for line in head.splitlines()[:20] if line.strip()]
    return next((form for form in FORMS if lines and form.is_it(lines, path)), None)


def _table(path: Path, reading: Reading) -> list[Recording]:
    with path.open("rb") as file:
        columns = columns_of(file.readline(_MOST).decode("utf-8-sig", errors="replace"))
    if columns is None:
        raise DataError(f"{path}: no heading in the first line")

    def recording(number: int, line: bytes) -> Recording | None:
        if number == 1:
            return None
        name, text, speaker = columns.of(decode_line(line))
        sound = listed_sound(path.parent, name, ("clips", "wavs", "wav", "audio"))
        return Spoken(name, sound, Place(path, number), reading.tokens(text), speaker=speaker).recording()

    return _parsed(path, recording, "a heading and lines of its columns", reading)


def _json_lines(path: Path, reading: Reading) -> list[Recording]:
    def recording(number: int, line: bytes) -> Recording | None:
        row = json_value(decode_line(line))
        if not isinstance(row, dict) or not (key := named_key(row, SOUNDS)):
            raise ValueError("no object with audio_filepath")
        name, text, start = str(row[key]), row.get(named_key(row, TEXTS)), row.get("offset") or 0.0
        if not isinstance(text, str):
            raise ValueError("no text")
        start, end = seconds_of(str(start)), None
        if start or (row.get("offset") is not None and row.get("duration") is not None):
            end = None if row.get("duration") is None else start + seconds_of(str(row["duration"]))
        at = "" if end is None else f"#{start:g}-{end:g}"
        place, speaker = Place(path, number), str(row.get("speaker", ""))
        tokens = reading.tokens(text)
        spoken = Spoken(f"{name}{at}", path.parent / name, place, tokens, (), speaker, start, end)
        return spoken.recording()

    return _parsed(path, recording, "JSON objects with audio_filepath and text, one a line", reading)


def _lj_speech(path: Path, reading: Reading) -> list[Recording]:
    def recording(number: int, line: bytes) -> Recording | None:
        fields = decode_line(line).split("|")
        if len(fields) not in (2, 3):
            raise ValueError(f"{len(fields)} columns found where ID|TEXT or ID|TEXT|TEXT is wanted")
        sound = listed_sound(path.parent, fields[0].strip(), ("wavs", "wav"))
        return Spoken(fields[0].strip(), sound, Place(path, number), reading.tokens(fields[-1])).recording()

    return _parsed(path, recording, "lines of ID|TEXT|NORMALISED TEXT", reading)


def _libri_speech(path: Path, reading: Reading) -> list[Recording]:
    def recording(number: int, line: bytes) -> Recording | None:
        name, _, text = decode_line(line).partition(" ")
        sound, speaker = sound_named(path.parent, name), name.partition("-")[0]
        return Spoken(name, sound, Place(path, number), reading.tokens(text), speaker=speaker).recording()

    return _parsed(path, recording, "lines of ID, a blank and the text", reading)


def _ctm(path: Path, reading: Reading) -> list[Recording]:
    rows: dict[str, tuple[int, list[Segment]]] = {}
    channels: dict[str, dict[str, None]] = {}

    def token(number: int, line: bytes) -> Recording | None:
        words = decode_line(line).split() if line.strip() else []
        if not words or words[0].startswith(";;"):
            return None
        if len(words) < 5:
            raise ValueError("RECORDING CHANNEL START DURATION TOKEN is wanted")
        channels.setdefault(words[0], {})[words[1]] = None
        start, lasts = seconds_of(words[2]), seconds_of(words[3])
        if words[4] not in _EPSILON:
            rows.setdefault(words[0], (number, []))[1].append(Segment(start, start + lasts, words[4]))
        return None

    hint = "every line is RECORDING CHANNEL START DURATION TOKEN; --on-bad skip leaves bad ones out"
    how = reading.on_bad, reading.report
    parse_lines(path, token, "lines of RECORDING CHANNEL START DURATION TOKEN", hint, *how)
    # A recording's lines stand together as one, at the first of them.
    firsts = {number: (name, segments) for name, (number, segments) in rows.items()}

    def recording(number: int, line: bytes) -> Recording | None:
        if number not in firsts:
            return None
        name, segments = firsts[number]
        if len(channels[name]) > 1:
            what = f"{name} has channels {' and '.join(channels[name])}, which are averaged"
            raise ValueError(f"{what}: bring a sound and its lines for each")
        said = reading.labels(in_order(segments))
        tokens = tuple(segment.label for segment in said)
        return Spoken(name, sound_named(path.parent, name), Place(path, number), tokens, said).recording()

    return _parsed(path, recording, "lines of RECORDING CHANNEL START DURATION TOKEN", reading)


def _parsed(path: Path, parse: Parse, expected: str, reading: Reading) -> list[Recording]:
    hint = f"it is read as {expected}; a run with --on-bad skip leaves bad ones out"
    found = parse_lines(path, parse, expected, hint, reading.on_bad, reading.report)
    return [recording for recording in found if recording is not None]


def _is_common_voice(lines: list[str], path: Path) -> bool:
    return {"path", "sentence"} <= set(lines[0].split("\t"))


def _has_heading(lines: list[str], path: Path) -> bool:
    return columns_of(lines[0]) is not None


def _is_json(lines: list[str], path: Path) -> bool:
    try:
        row = json_value(lines[0]) if lines[0].startswith("{") else None
    except ValueError:
        return "audio_filepath" in lines[0]
    return isinstance(row, dict) and bool(named_key(row, SOUNDS) and named_key(row, TEXTS))


def _has_bars(lines: list[str], path: Path) -> bool:
    return all("\t" not in line and line.count("|") in (1, 2) for line in lines)


def _is_trans(lines: list[str], path: Path) -> bool:
    return path.name.endswith(".trans.txt")


def _is_ctm(lines: list[str], path: Path) -> bool:
    rows = [words for line in lines if not (words := line.split())[0].startswith(";;")]
    if path.suffix.lower() == ".ctm" or any(line.count("\t") == 1 for line in lines):
        return path.suffix.lower() == ".ctm"  # the others are plain lists, of digits perhaps
    try:
        times = [seconds_of(row[place]) for row in rows for place in (2, 3) if row[4]]
    except (ValueError, IndexError):
        return False
    return bool(times)


FORMS = (
    ListForm("Common Voice", _is_common_voice, _table),
    ListForm("a table with a heading", _has_heading, _table),
    ListForm("JSON lines", _is_json, _json_lines),
    ListForm("LibriSpeech transcripts", _is_trans, _libri_speech),
    ListForm("CTM", _is_ctm, _ctm),
    ListForm("LJSpeech", _has_bars, _lj_speech),
)
