"""Tables of recordings whose first line names the columns: which has sounds, and which what is said."""

from collections.abc import Iterable
from typing import NamedTuple

from hardpp.data.csv_cells import cells_of

# Usual names, the more telling ones first.
SOUNDS: tuple[str, ...] = (
    *("audio_filepath", "wav_filename", "file_name", "audio_file", "audio_path", "wav_path", "path"),
    *("filename", "audio", "wav", "sound", "file", "clip"),
)
TEXTS = ("sentence", "transcript", "transcription", "text", "phones", "phonemes", "tokens", "words")
_SPEAKERS = ("client_id", "speaker_id", "speaker")
_SEPARATORS = ("\t", ",", ";", "|")


class Columns(NamedTuple):
    """Where a table has what."""

    separator: str
    width: int
    sound: int
    text: int
    speaker: int | None

    def of(self, line: str) -> tuple[str, str, str]:
        """The sound, the text and the speaker, perhaps "", of a line; a ValueError says what is wrong."""
        cells = _cells(line, self.separator)
        if len(cells) != self.width:
            raise ValueError(f"{len(cells)} columns found where the heading has {self.width}")
        name = cells[self.sound].strip()
        if not name:
            raise ValueError("no sound")
        return name, cells[self.text], "" if self.speaker is None else cells[self.speaker]


def columns_of(line: str) -> Columns | None:
    """What the columns of a table are, by its first line; None where that names no sounds and texts."""
    for separator in _SEPARATORS:
        names = [cell.strip().casefold() for cell in _cells(line.rstrip("\r\n"), separator)]
        sound, text, speaker = (named_key(names, usual) for usual in (SOUNDS, TEXTS, _SPEAKERS))
        if sound and text:
            places = names.index(sound), names.index(text), names.index(speaker) if speaker else None
            return Columns(separator, len(names), *places)
    return None


def named_key(keys: Iterable[str], usual: Iterable[str]) -> str:
    """The first of some usual names that is among the keys; "" where none is."""
    there = set(keys)
    return next((name for name in usual if name in there), "")


# Common Voice and its like have TABs and no quotes.
def _cells(line: str, separator: str) -> list[str]:
    if separator == "\t":
        return line.split(separator)
    return cells_of(line, separator)
