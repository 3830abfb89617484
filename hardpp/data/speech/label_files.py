"""Files of labels, a recording each: what they are is told by what is in them, and not by their names.

TextGrid                  `hardpp.data.speech.textgrid_tiers`
START END LABEL           in samples (as .phn of TIMIT), in 100 ns (HTK), or in seconds (Audacity); the unit
                          is that with which the labels end nearest to where the sound does
END COLOUR LABEL          in seconds, after a header that ends with a line `#` (xlabel)
text                      any other: what is said, with no times; samples 0 and LAST before it are passed over
"""

import re
from math import log
from pathlib import Path
from typing import NamedTuple

from hardpp.data.speech.log_mel import RATE
from hardpp.data.speech.spoken import in_order, seconds_of
from hardpp.data.speech.textgrid_tiers import Tier, is_textgrid, read_tiers
from hardpp.data.speech.utterances import Segment
from hardpp.errors import DataError

_MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
_SAMPLES = re.compile(r"0\s+([0-9]{1,12})\s+(\D.*)", re.DOTALL)
_NEAR = 0.05  # how far the last of these samples may be from the sound's, as a share
_FARTHEST = 4.0  # times that labels may be longer or shorter than the sound; then no unit fits


class Labels(NamedTuple):
    """What a file of labels holds."""

    kind: str  # in words
    segments: tuple[Segment, ...] = ()
    text: str = ""  # where there are no times
    tiers: tuple[Tier, ...] = ()  # of a TextGrid, of which one is to be chosen


def read_labels(path: Path, seconds: float, rate: int) -> Labels:
    """Read a file of labels of a sound that lasts `seconds` and has `rate` samples a second.

    Raises:
        DataError: it cannot be read, and the message has the line.
    """
    text = label_text(path)
    if is_textgrid(text):
        return Labels("TextGrid", tiers=tuple(read_tiers(text, path)))
    lines = text.split("\n")
    if "#" in (stripped := [line.strip() for line in lines]):
        return Labels("xlabel, seconds", _xlabel(lines, stripped.index("#") + 1, path))
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise DataError(f"{path}: holds no labels")
    if not _are_timed([line for _, line in numbered], path):
        return Labels("text", text=_without_samples(" ".join(line for _, line in numbered), seconds, rate))
    return _timed(numbered, path, seconds, rate)


def label_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 if it begins with a byte order mark or is full of zeros."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    if encoding == "utf-8" and content[:200].count(b"\0") > len(content[:200]) // 4:
        encoding = "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
    if content.startswith(b"ooBinaryFile"):
        raise DataError(f"{path}: a binary file of Praat", "save it there as text: Save as text file...")
    try:
        text = content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not {encoding.upper()} (byte {error.start + 1})") from error
    if "\0" in text:
        raise DataError(f"{path}: no text, as it holds NUL characters")
    return text


# The prompts of TIMIT have the first and the last sample before what is said.
def _without_samples(text: str, seconds: float, rate: int) -> str:
    match = _SAMPLES.fullmatch(text.strip())
    ends = [seconds * hertz for hertz in (rate, RATE)]
    of_sound = match is not None and any(abs(int(match[1]) - end) <= _NEAR * end for end in ends)
    return match[2] if match is not None and of_sound else text


# Of what is called .txt, transcripts such as "1 2 three" would pass: there TABs are wanted.
def _are_timed(lines: list[str], path: Path) -> bool:
    numbers = all(word.isdigit() for line in lines for word in line.split())
    if numbers or (path.suffix.lower() == ".txt" and "\t" not in lines[0]):
        return False
    words = lines[0].split(maxsplit=2)
    try:
        return len(words) > 1 and seconds_of(words[0]) <= seconds_of(words[1])
    except ValueError:
        return False


def _timed(numbered: list[tuple[int, str]], path: Path, seconds: float, rate: int) -> Labels:
    rows: list[tuple[float, float, str]] = []
    whole = True
    for number, line in numbered:
        if line.lstrip().startswith("\\"):  # Audacity's frequencies of the label before
            continue
        words = line.strip().split("\t") if line.count("\t") >= 2 else line.split(maxsplit=2)
        try:
            start, end, label = seconds_of(words[0]), seconds_of(words[1]), words[2].strip()
        except (ValueError, IndexError) as error:
            raise DataError(f"{path}:{number}: expected START END LABEL, got {line[:60]!r}") from error
        whole = whole and words[0].isdigit() and words[1].isdigit()
        rows.append((start, end, label))
        if end < start or (len(rows) > 1 and start < rows[-2][0]):
            raise DataError(f"{path}:{number}: the times of the labels run backwards")
    last = max(end for _, end, _ in rows)
    units = {"seconds": 1.0}
    if whole:
        samples = {f"samples at {hertz:,} Hz": float(hertz) for hertz in (rate, RATE)}
        units = {**samples, "100 ns": 1e7, "milliseconds": 1e3, "seconds": 1.0}
    unit = min(units, key=lambda name: abs(log(max(last, 1e-9) / units[name] / seconds)))
    if not 1 / _FARTHEST <= last / units[unit] / seconds <= _FARTHEST and whole:
        raise DataError(
            f"{path}: the labels end at {last:.0f}, in no unit near the {seconds:.3f} s of the sound",
            f"whole numbers are taken for {', '.join(units)}",
        )
    if unit == "100 ns":  # HTK's fourth column is a score
        rows = [(start, end, (label.split() or [""])[0]) for start, end, label in rows]
    by = units[unit]
    segments = [Segment(start / by, end / by, label) for start, end, label in rows if label]
    try:
        return Labels(f"START END LABEL, {unit}", in_order(segments))
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error


def _xlabel(lines: list[str], header: int, path: Path) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    for number, line in enumerate(lines[header:], start=header + 1):
        words = line.split(maxsplit=2)
        if not words:
            continue
        try:
            end, label = seconds_of(words[0]), words[2].split(";")[0].strip()
        except (ValueError, IndexError) as error:
            raise DataError(f"{path}:{number}: expected END COLOUR LABEL, got {line[:60]!r}") from error
        start = segments[-1].end if segments else 0.0
        if end < start:
            raise DataError(f"{path}:{number}: the times of the labels run backwards")
        segments.append(Segment(start, end, label))
    return tuple(segment for segment in segments if segment.label)
