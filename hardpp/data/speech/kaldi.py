"""Data folders of Kaldi: wav.scp and text, perhaps segments and utt2spk.

    wav.scp     RECORDING PATH           a path; commands, which end with `|`, are refused and never run
    segments    UTTERANCE RECORDING START END
    text        UTTERANCE TOKENS
    utt2spk     UTTERANCE SPEAKER

Paths are from the folder itself, or else from where one is, as Kaldi's own recipes have them.

Source: Povey et al. (2011), The Kaldi Speech Recognition Toolkit.
"""

from pathlib import Path
from typing import NamedTuple

from hardpp.data.lines import Place, decode_line, parse_lines
from hardpp.data.named_files import is_file
from hardpp.data.speech.recordings import Recording
from hardpp.data.speech.spoken import Reading, Spoken, seconds_of
from hardpp.errors import DataError


class _Stretch(NamedTuple):
    recording: str
    start: float
    end: float | None


def is_kaldi(folder: Path) -> bool:
    """Whether this is a folder with wav.scp and text."""
    return (folder / "wav.scp").is_file() and (folder / "text").is_file()


def read_kaldi(folder: Path, reading: Reading) -> list[Recording]:
    """The utterances of `text`, in its order; a line is bad whose sound is not there, or is a command."""
    sounds = dict(_rows(folder / "wav.scp", reading))
    stretches: dict[str, _Stretch] = {}
    if (folder / "segments").is_file():
        for utterance, rest in _rows(folder / "segments", reading):
            words = rest.split()
            if len(words) != 3:
                raise DataError(f"{folder / 'segments'}: {utterance} has not RECORDING START END")
            try:
                # Kaldi writes -1 for the end of the recording.
                end = None if words[2].startswith("-") else seconds_of(words[2])
                stretches[utterance] = _Stretch(words[0], seconds_of(words[1]), end)
            except ValueError as error:
                raise DataError(f"{folder / 'segments'}: {utterance}: {error}") from error
    speakers = dict(_rows(folder / "utt2spk", reading)) if (folder / "utt2spk").is_file() else {}
    path, has_segments = folder / "text", bool(stretches)

    def recording(number: int, line: bytes) -> Recording:
        utterance, _, text = decode_line(line).replace("\t", " ").partition(" ")
        if has_segments and utterance not in stretches:
            raise ValueError(f"{utterance} is not in segments")
        stretch = stretches.get(utterance, _Stretch(utterance, 0.0, None))
        if stretch.recording not in sounds:
            raise ValueError(f"{stretch.recording} is not in wav.scp")
        sound = _sound(folder, sounds[stretch.recording])
        said = Place(path, number), reading.tokens(text), (), speakers.get(utterance, "").strip()
        return Spoken(utterance, sound, *said, stretch.start, stretch.end).recording()

    hint = "every line is UTTERANCE and tokens, blanks between them; --on-bad skip leaves bad ones out"
    return parse_lines(path, recording, "lines of UTTERANCE and tokens", hint, reading.on_bad, reading.report)


def _sound(folder: Path, entry: str) -> Path:
    entry = entry.strip()
    if entry.endswith("|") or entry.startswith("|"):
        what = f"wav.scp has a command ({entry[:40]!r} ...) in the place of a path, and commands are not run"
        raise ValueError(f"{what}: write its sounds to files")
    path = folder / entry
    return path if is_file(path) or not is_file(Path(entry)) else Path(entry)


def _rows(path: Path, reading: Reading) -> list[tuple[str, str]]:
    def row(number: int, line: bytes) -> tuple[str, str]:
        name, _, rest = decode_line(line).replace("\t", " ").partition(" ")
        if not name or not rest.strip():
            raise ValueError("a name and what belongs to it are wanted")
        return name, rest

    hint = "see Kaldi's data folders; --on-bad skip leaves bad lines out"
    return parse_lines(
        path, row, "lines of a name and what belongs to it", hint, reading.on_bad, reading.report
    )
