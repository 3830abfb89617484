"""Sound files as one row of samples at 16 kHz: what libsndfile reads (`hardpp.data.speech.sound_headers`).

What a file is, its first bytes say: copies of TIMIT name SPHERE files `.wav`, and keep `.WAV.wav` beside
them. Channels are averaged. Another rate is brought to 16 kHz (`hardpp.data.speech.resampling`).

Shapes: N samples.
"""

from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hardpp.data.speech.log_mel import RATE
from hardpp.data.speech.resampling import resample
from hardpp.data.speech.sound_headers import HEADER, closed, kind_of, magic_kind, sphere_header
from hardpp.errors import DataError, ResourceError, UsageError

_NEEDED = (b"channel_count ", b"sample_")  # fields that say how samples are kept
_UNKNOWN = 2**63 - 1  # samples, as libsndfile has it where a FLAC file does not say how many
_BOMS_UTF16 = (
    b"\xff\xfe",
    b"\xfe\xff",
)  # the first might be a frame of MPEG audio, layer I, which nobody has
_SAMPLE = 4  # bytes of a sample once it is read
_SLOWEST = 1000  # samples a second
_LARGE, _RATIO = 2**28, 500  # bytes of any sound, and times its file's size; speech packs 250 times
_BLOCK = 1 << 20  # samples that are looked at together


class Sound(NamedTuple):
    """What the head of a sound file says."""

    kind: str  # as `sound_headers.kind_of` names it, "RIFF" or "FLAC", say
    rate: int  # samples a second
    channels: int
    samples: int  # of each channel

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.samples / self.rate

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return _SAMPLE * self.samples * self.channels

    def part(self, start: float, end: float | None) -> "Sound":
        """The head of the stretch from `start` to `end` (seconds), or to the end of the sound."""
        last = self.samples if end is None else min(self.samples, round(end * self.rate))
        return self._replace(samples=max(0, last - round(start * self.rate)))


def inspect(path: Path) -> Sound:
    """The head of a file, which must be whole and of a kind that is read."""
    kind = kind_of(path)
    soundfile = _soundfile()
    try:
        with soundfile.SoundFile(_readable(path)) as file:
            head = Sound(kind, file.samplerate, file.channels, file.frames)
            if head.samples == _UNKNOWN:
                raise DataError(f"{path}: does not say how long it is", "write it to a file, not to a pipe")
            if file.subtype in ("FLOAT", "DOUBLE"):
                _look_through(path, file)
            elif kind != "MP3":  # of which libmpg123 complains loudly
                file.seek(max(0, head.samples - 1))  # only so is FLAC known to be whole
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(f"{path}: damaged {kind} audio ({error})") from error
    if not head.samples or not head.rate:
        raise DataError(f"{path}: holds no sound")
    if head.rate < _SLOWEST:
        raise DataError(f"{path}: has {head.rate} samples a second, and sound has {_SLOWEST:,} at least")
    return head


def read(path: Path, start: float = 0.0, end: float | None = None) -> Tensor:
    """The samples (N,) of a file, float32 from -1 to 1, one channel, 16,000 a second.

    Only those from `start` to `end` (seconds) where these are given, which lie in the sound.
    """
    head = inspect(path).part(start, end)
    if head.bytes > max(_LARGE, _RATIO * (size := path.stat().st_size)):
        lasts = f"{head.seconds / 3600:.1f} hours in {head.channels} channels"
        raise DataError(f"{path}: has {size:,} bytes, and {lasts}, which take {head.bytes:,} bytes")
    soundfile, first = _soundfile(), round(start * head.rate)
    options = {"start": first, "frames": head.samples, "dtype": "float32", "always_2d": True}
    try:
        samples, rate = soundfile.read(_readable(path), **options)
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(f"{path}: damaged {head.kind} audio ({error})") from error
    except MemoryError as error:
        raise ResourceError(f"{path}: {head.bytes:,} bytes of samples do not fit into memory") from error
    if len(samples) < head.samples:
        raise DataError(f"{path}: cut short, has {len(samples)} of {head.samples} samples")
    wave = torch.from_numpy(np.ascontiguousarray(samples.mean(1, dtype=np.float32)))
    return resample(wave, rate, RATE)


# All samples that are kept as fractions, which may be no numbers.
def _look_through(path: Path, file: Any) -> None:
    while len(block := file.read(_BLOCK)):
        if not np.isfinite(block).all():
            raise DataError(f"{path}: holds samples that are not finite numbers")


def is_sound(path: Path) -> bool:
    """Whether the first bytes of a file are those of a sound, which may be damaged."""
    head = _head(path)
    return bool(magic_kind(head)) and not head.startswith(_BOMS_UTF16)


def is_binary(path: Path) -> bool:
    """Whether a file is no text: sound perhaps of a kind that is not read."""
    head = _head(path)
    return b"\0" in head and not head.startswith(_BOMS_UTF16)


# Nothing of what is no file, as of standard input.
def _head(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(HEADER)


def to_flac(path: Path, to: Path) -> None:
    """Writes the samples of a 16-bit file as FLAC, which changes none of them."""
    head = inspect(path)
    soundfile = _soundfile()
    samples, _ = soundfile.read(_readable(path), dtype="int16")
    soundfile.write(str(to), samples, head.rate, format="FLAC", subtype="PCM_16")


# libsndfile knows SPHERE headers of the usual size only: a longer one is read without what it has besides.
# And soundfile asks of a file called .raw how it is kept, unless it is given the bytes.
def _readable(path: Path) -> Any:
    with path.open("rb") as file:
        head = file.read(HEADER)
        size = sphere_header(head)
        if size == HEADER:
            more = path.stat().st_size > int.from_bytes(head[4:8], "little") + 8
            bare = path.suffix.lower() == ".raw" or (head[:4] == b"RIFF" and more)
            return BytesIO(closed(head + file.read())) if bare else str(path)
        head, samples = head + file.read(size - HEADER), file.read()
    lines = [line for line in head.split(b"\n")[2:] if line.startswith(_NEEDED)]
    short = b"\n".join([b"NIST_1A", b"   1024", *lines, b"end_head", b""])
    return BytesIO(short.ljust(HEADER) + samples)


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: no libsndfile for this kind of machine
        raise UsageError("reading sound files needs soundfile", "pip install 'hardpp[audio]'") from error
    return soundfile
