"""Readers of sounds, and of what says when and what is said in them."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fuzzed.reader import Reader
from fuzzed.texts import loaded
from speech_files import noise, write_riff, write_sphere

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


# A list of sounds; the sounds themselves are damaged by the readers above.
def _list(name: str, row: Callable[[int], str], heading: str = "", model: str = "online-alignment") -> Reader:
    def write(folder: Path) -> list[Path]:
        for number in range(40):
            write_riff(folder / "data" / "wavs" / f"s{number}.wav", noise(1600, number))
        path = folder / "data" / name
        path.write_text(heading + "".join(row(number) for number in range(40)), encoding="utf-8")
        return [path]

    return Reader(write, partial(_heard, name=name, model=model), extra="soundfile")


def _heard(folder: Path, name: str, model: str) -> Any:
    return loaded(folder / "data" / name, model)


def _nemo(number: int) -> str:
    row = {
        "audio_filepath": f"wavs/s{number}.wav",
        "text": f"a b{number % 3}",
        "offset": 0.01,
        "duration": 0.05,
    }
    return json.dumps(row) + "\n"


def _kaldi(folder: Path) -> list[Path]:
    data = folder / "data"
    ids = [f"s{number:02d}" for number in range(40)]
    for number, name in enumerate(ids):
        write_riff(data / "wavs" / f"{name}.wav", noise(1600, number))
    files = {
        "wav.scp": "".join(f"{name} {data}/wavs/{name}.wav\n" for name in ids),
        "text": "".join(f"{name} a b{number % 3}\n" for number, name in enumerate(ids)),
        "utt2spk": "".join(f"{name} one\n" for name in ids),
        "segments": "".join(f"{name} {name} 0.01 0.09\n" for name in ids),
    }
    for name, text in files.items():
        (data / name).write_text(text)
    return [data / name for name in files]


def _beside(folder: Path) -> Sequence[Path]:
    for number in range(40):
        write_riff(folder / "data" / f"x{number}.wav", noise(_LENGTH, number))
        (folder / "data" / f"x{number}.TextGrid").write_text(_GRID)
    return [folder / "data" / "x3.TextGrid", folder / "data" / "x4.wav"]


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
    "labels beside sounds": Reader(
        _beside, partial(_heard, name=".", model="online-alignment"), extra="soundfile"
    ),
    "recordings, plain list": _list("train.tsv", lambda n: f"wavs/s{n}.wav\ta b{n % 3}\n"),
    "recordings, CTM": _list("list.ctm", lambda n: f"wavs/s{n} 1 0.0 0.04 a\nwavs/s{n} 1 0.04 0.05 b\n"),
    "recordings, JSON lines": _list("list.jsonl", _nemo),
    "recordings, table": _list("list.csv", lambda n: f'wavs/s{n}.wav,"a, b{n % 3}"\n', "path,sentence\n"),
    "recordings, LJSpeech": _list("metadata.csv", lambda n: f"s{n}|a b|a b{n % 3}\n"),
    "recordings, LibriSpeech": _list("x.trans.txt", lambda n: f"wavs/s{n} A B{n % 3}\n"),
    "recordings, Kaldi": Reader(
        _kaldi, partial(_heard, name=".", model="online-alignment"), extra="soundfile"
    ),
}
