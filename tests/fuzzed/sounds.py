"""Readers of sounds, and of what says when and what is said in them."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from fuzzed.reader import Reader
from fuzzed.texts import loaded
from speech_files import noise, write_riff, write_sphere

from hardpp.data.parts import part_of
from hardpp.data.speech.audio import read as read_sound
from hardpp.data.speech.label_files import read_labels

_LENGTH = 4000  # samples, a quarter of a second
_GRID = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 0.25
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 0.25
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.1
            text = "a ""b"""
        intervals [2]:
            xmin = 0.1
            xmax = 0.25
            text = ""
    item [2]:
        class = "TextTier"
        name = "marks"
        xmin = 0
        xmax = 0.25
        points: size = 1
        points [1]:
            number = 0.2
            mark = "x"
'''
_LABELS = "0 1600 sh\n1600 2400 iy\n2400 4000 h#\n"
_XLABEL = "separator ;\nnfields 1\n#\n\t0.10000 125 pau\n\t0.25000 125 k ; x\n"


def _sound(name: str, write: Callable[[Path], Any]) -> Reader:
    def written(folder: Path) -> list[Path]:
        write(folder / name)
        return [folder / name]

    return Reader(written, lambda folder: read_sound(folder / name), extra="soundfile")


def _encoded(path: Path, **how: Any) -> None:
    import soundfile

    soundfile.write(path, noise(_LENGTH).astype(np.float32) / 2**15, 16_000, **how)


def _labels(name: str, text: str) -> Reader:
    def write(folder: Path) -> list[Path]:
        (folder / name).write_text(text)
        return [folder / name]

    return Reader(write, lambda folder: read_labels(folder / name, _LENGTH / 16_000, 16_000))


# Numbers of sounds that are for train, dev and test by what their recordings are called.
def _numbers(called: str) -> list[int]:
    found: list[int] = []
    for part, count in (("train", 6), ("dev", 1), ("test", 1)):
        found += islice((n for n in range(400) if part_of(called.format(n)) == part), count)
    return found


# A list of sounds; the sounds themselves are damaged by the readers above.
def _list(name: str, called: str, row: str, heading: str = "") -> Reader:
    def write(folder: Path) -> list[Path]:
        for number in _numbers(called):
            write_riff(folder / "data" / "wavs" / f"s{number}.wav", noise(1600, number))
        path = folder / "data" / name
        path.write_text(heading + "".join(row.format(number) for number in _numbers(called)))
        return [path]

    return Reader(write, partial(_heard, name=name), extra="soundfile")


def _heard(folder: Path, name: str = ".") -> Any:
    return loaded(folder / "data" / name, "online-alignment")


def _kaldi(folder: Path) -> list[Path]:
    data, numbers = folder / "data", _numbers("s{}")
    for number in numbers:
        write_riff(data / "wavs" / f"{number}.wav", noise(1600, number))
    rows = {
        "wav.scp": f"r{{0}} {data}/wavs/{{0}}.wav\n",
        "text": "s{0} a b{0}\n",
        "utt2spk": "s{0} one\n",
        "segments": "s{0} r{0} 0.01 0.09\n",
    }
    for name, row in rows.items():
        (data / name).write_text("".join(row.format(number) for number in numbers))
    return [data / name for name in rows]


def _beside(folder: Path) -> Sequence[Path]:
    numbers = _numbers("x{}.wav")
    for number in numbers:
        write_riff(folder / "data" / f"x{number}.wav", noise(_LENGTH, number))
        (folder / "data" / f"x{number}.TextGrid").write_text(_GRID)
    return [folder / "data" / f"x{numbers[0]}.TextGrid", folder / "data" / f"x{numbers[1]}.wav"]


_NEMO = '{{"audio_filepath": "wavs/s{0}.wav", "text": "a b{0}", "offset": 0.01, "duration": 0.05}}\n'

READERS = {
    "sound, WAV": _sound("s.wav", lambda path: write_riff(path, noise(_LENGTH))),
    "sound, WAV at another rate": _sound("s.wav", lambda path: write_riff(path, noise(_LENGTH), 44_100)),
    "sound, WAV of fractions": _sound("s.wav", lambda path: _encoded(path, subtype="FLOAT")),
    "sound, SPHERE": _sound("s.sph", lambda path: write_sphere(path, noise(_LENGTH))),
    "sound, SPHERE of a long head": _sound(
        "s.sph", lambda path: write_sphere(path, noise(_LENGTH), size=2048)
    ),
    "sound, FLAC": _sound("s.flac", lambda path: _encoded(path, format="FLAC")),
    "sound, Ogg": _sound("s.ogg", lambda path: _encoded(path, format="OGG")),
    "sound, MP3": _sound("s.mp3", lambda path: _encoded(path, format="MP3")),
    "sound, AU": _sound("s.au", lambda path: _encoded(path, format="AU", subtype="PCM_16")),
    "sound, AIFF": _sound("s.aiff", lambda path: _encoded(path, format="AIFF", subtype="PCM_16")),
    "labels, TextGrid": _labels("s.TextGrid", _GRID),
    "labels, TIMIT": _labels("s.phn", _LABELS),
    "labels, xlabel": _labels("s.lab", _XLABEL),
    "labels beside sounds": Reader(_beside, _heard, extra="soundfile"),
    "recordings, plain list": _list("list.tsv", "wavs/s{}.wav", "wavs/s{0}.wav\ta b{0}\n"),
    "recordings, CTM": _list("list.ctm", "wavs/s{}", "wavs/s{0} 1 0 0.04 a\nwavs/s{0} 1 0.04 0.05 b\n"),
    "recordings, JSON lines": _list("list.jsonl", "wavs/s{}.wav#0.01-0.06", _NEMO),
    "recordings, table": _list("l.csv", "wavs/s{}.wav", 'wavs/s{0}.wav,"a, b{0}"\n', "path,sentence\n"),
    "recordings, LJSpeech": _list("metadata.csv", "s{}", "s{0}|a b|a b{0}\n"),
    "recordings, LibriSpeech": _list("x.trans.txt", "wavs/s{}", "wavs/s{0} A B{0}\n"),
    "recordings, Kaldi": Reader(_kaldi, _heard, extra="soundfile"),
}
