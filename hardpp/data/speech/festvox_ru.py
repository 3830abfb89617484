"""festvox-ru: 620 Russian sentences read by one man, 99.5 minutes, with the times of all phones.

    FOLDER/wav/NAME.wav      RIFF, 16 kHz, one channel
    FOLDER/lab/NAME.lab      a header that ends with a line "#", then lines END_SECONDS COLOUR PHONE

A phone starts where the one before it ends. Times are multiples of 10 ms and were found by a machine. There
are 51 kinds of phones with the pause `pau`, and 54,372 in all. Sorted by name the first eight tenths are
train, the next tenth dev and the rest test: 496, 62 and 62.

Source: Nickolay V. Shmyrev (2005), a voice of the speech synthesiser Festival, BSD-like licence, as packed in
Debian `festvox-ru`.
"""

from itertools import pairwise
from pathlib import Path

from hardpp.data.parts import PARTS
from hardpp.data.speech import audio
from hardpp.data.speech.recordings import Recording, SoundFile, fit_to_sound
from hardpp.data.speech.utterances import Segment
from hardpp.errors import DataError

MEMBER = "usr/share/festival/voices/russian/msu_ru_nsh_clunits"  # where the data lie in the fetched folder
SPEAKER = "nsh"

_OVERRUN = 0.05  # seconds: the labels' ends are within that of the sound's


def recordings(folder: Path) -> dict[str, list[Recording]]:
    """The train, dev and test parts of the fetched folder, or one laid out as above."""
    folder = folder / MEMBER if (folder / MEMBER).is_dir() else folder
    recorded = []
    for sound in sorted(folder.glob("wav/*.wav")):
        labels = folder / "lab" / f"{sound.stem}.lab"
        head = audio.inspect(sound)
        segments = fit_to_sound(_segments(labels), head.seconds, labels, ("pau",), _OVERRUN)
        recorded.append(Recording(sound.stem, SPEAKER, "m", SoundFile(sound), segments, (), head))
    tenth = len(recorded) // 10
    if not tenth:
        message = f"{folder}: 10 recordings at least are needed, {len(recorded)} were found"
        raise DataError(message, "hardpp data fetch festvox-ru")
    ends = [0, len(recorded) - 2 * tenth, len(recorded) - tenth, len(recorded)]
    return {part: recorded[start:end] for part, (start, end) in zip(PARTS, pairwise(ends), strict=True)}


def _segments(path: Path) -> list[Segment]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a file of labels ({error})") from error
    if "#" not in lines:
        raise DataError(f"{path}: the header does not end with a line '#'")
    header = lines.index("#") + 1
    segments: list[Segment] = []
    for number, line in enumerate(lines[header:], start=header + 1):
        words = line.split()
        if not words:
            continue
        try:
            end, _, phone = words
            start = segments[-1].end if segments else 0.0
            segments.append(Segment(start, float(end), phone))
        except ValueError as error:
            raise DataError(f"{path}:{number}: expected END COLOUR PHONE, got {line[:60]!r}") from error
        if not start <= segments[-1].end < float("inf"):
            raise DataError(f"{path}:{number}: the times of the phones run backwards")
    if not segments:
        raise DataError(f"{path}: holds no labels")
    return segments
