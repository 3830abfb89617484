"""Sound files as one row of samples at 16 kHz: RIFF (WAV), FLAC and NIST SPHERE.

What a file is, its first bytes say: copies of TIMIT name SPHERE files `.wav`, and keep `.WAV.wav` beside
them. Channels are averaged. Another rate is brought to 16 kHz through a low-pass filter, a sinc of six zero
crossings a side at the lower of the two rates' bandwidths, less a hundredth, under a Hann window:

    y_t = sum_n x_n h(t / 16,000 - n / rate)

Source: Smith (2002), Digital Audio Resampling, for the filter.

Shapes: N samples.
"""

import math
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hardpp.data.speech.log_mel import RATE
from hardpp.errors import DataError, UsageError

_KINDS = {b"RIFF": "RIFF", b"RIFX": "RIFF", b"fLaC": "FLAC", b"NIST": "NIST SPHERE"}
_HEADER = 1024  # bytes of a usual SPHERE header
_LONGEST_HEADER = 65_536
_NEEDED = (b"channel_count ", b"sample_")  # fields that say how samples are kept
_UNKNOWN = 2**63 - 1  # samples, as libsndfile has it where a FLAC file does not say how many
_CROSSINGS = 6
_ROLL_OFF = 0.99


class Sound(NamedTuple):
    """What the head of a sound file says."""

    kind: str  # "RIFF", "FLAC" or "NIST SPHERE"
    rate: int  # samples a second
    channels: int
    samples: int  # of each channel

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.samples / self.rate


def inspect(path: Path) -> Sound:
    """The head of a file, which must be whole and of a kind above; of its samples only the last is read."""
    kind = _checked(path)
    soundfile = _soundfile()
    try:
        with soundfile.SoundFile(_readable(path)) as file:
            head = Sound(kind, file.samplerate, file.channels, file.frames)
            if head.samples == _UNKNOWN:
                raise DataError(f"{path}: does not say how long it is", "write it to a file, not to a pipe")
            file.seek(max(0, head.samples - 1))  # only so is FLAC known to be whole
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(f"{path}: damaged {kind} audio ({error})") from error
    if not head.samples or not head.rate:
        raise DataError(f"{path}: holds no sound")
    return head


def read(path: Path) -> Tensor:
    """The samples (N,) of a file, float32 from -1 to 1, one channel, 16,000 a second."""
    head = inspect(path)
    soundfile = _soundfile()
    try:
        samples, rate = soundfile.read(_readable(path), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(f"{path}: damaged {head.kind} audio ({error})") from error
    if len(samples) < head.samples:
        raise DataError(f"{path}: cut short, has {len(samples)} of {head.samples} samples")
    wave = torch.from_numpy(np.ascontiguousarray(samples.mean(1, dtype=np.float32)))
    if not torch.isfinite(wave).all():
        raise DataError(f"{path}: holds samples that are not finite numbers")
    return resample(wave, rate)


def to_flac(path: Path, to: Path) -> None:
    """Writes the samples of a 16-bit file as FLAC, which changes none of them."""
    head = inspect(path)
    soundfile = _soundfile()
    samples, _ = soundfile.read(_readable(path), dtype="int16")
    soundfile.write(str(to), samples, head.rate, format="FLAC", subtype="PCM_16")


def resample(wave: Tensor, rate: int, to: int = RATE) -> Tensor:
    """Samples (N,) at `rate` a second -> (N to / rate rounded up,) float32 at `to` a second."""
    if rate == to:
        return wave
    common = math.gcd(rate, to)
    old, new = rate // common, to // common
    kernels, reach = _kernels(old, new)
    count = -(-len(wave) * new // old)
    # One step of the convolution moves on by `old` samples and gives the next `new` of the result.
    steps = -(-count // new)
    padded = F.pad(wave.float(), (reach, max(0, steps * old + reach - len(wave))))
    rows = F.conv1d(padded[None, None], kernels[:, None], stride=old)[0]  # (new, steps or more)
    return rows.T.reshape(-1)[:count]


@lru_cache(maxsize=4)
def _kernels(old: int, new: int) -> tuple[Tensor, int]:
    # (new, taps): the filter for each of the `new` places between samples; its reach in old samples.
    bandwidth = min(old, new) * _ROLL_OFF
    reach = math.ceil(_CROSSINGS * old / bandwidth)
    taps = torch.arange(-reach, reach + old, dtype=torch.float64) / old
    places = torch.arange(new, dtype=torch.float64)[:, None] / new
    crossings = ((places - taps) * bandwidth).clamp(-_CROSSINGS, _CROSSINGS)
    window = torch.cos(crossings * (math.pi / (2 * _CROSSINGS))).square()
    return (torch.sinc(crossings) * window * (bandwidth / old)).float(), reach


def _checked(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER)
            head += file.read(_sphere_header(head) - _HEADER)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such sound file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    kind = _KINDS.get(head[:4])
    if kind is None:
        raise DataError(
            f"{path}: neither RIFF (WAV), FLAC nor NIST SPHERE audio", "convert it to FLAC or WAV first"
        )
    if kind == "NIST SPHERE":
        _check_sphere(path, head)
    return kind


# The size of a SPHERE header, as its second line states it; never less than is usual, nor absurdly much.
def _sphere_header(head: bytes) -> int:
    stated = head.split(b"\n")[1].strip() if head.startswith(b"NIST_1A\n") else b""
    return min(max(int(stated), _HEADER), _LONGEST_HEADER) if stated.isdigit() else _HEADER


# libsndfile knows SPHERE headers of the usual size only: a longer one is read without what it has besides.
def _readable(path: Path) -> Any:
    with path.open("rb") as file:
        head = file.read(_HEADER)
        size = _sphere_header(head)
        if size == _HEADER:
            return str(path)
        head, samples = head + file.read(size - _HEADER), file.read()
    lines = [line for line in head.split(b"\n")[2:] if line.startswith(_NEEDED)]
    short = b"\n".join([b"NIST_1A", b"   1024", *lines, b"end_head", b""])
    return BytesIO(short.ljust(_HEADER) + samples)


def _check_sphere(path: Path, head: bytes) -> None:
    lines = head.partition(b"end_head")[0].decode("latin-1").split("\n")
    fields = {words[0]: words[2] for words in map(str.split, lines) if len(words) >= 3}
    if "shorten" in fields.get("sample_coding", ""):
        raise DataError(
            f"{path}: NIST SPHERE audio compressed with shorten cannot be read",
            "convert it first, with sph2pipe -f wav",
        )
    try:
        sizes = [int(fields.get(key, "1")) for key in ("sample_count", "sample_n_bytes", "channel_count")]
        promised = int(lines[1]) + math.prod(sizes)
    except (ValueError, IndexError) as error:
        raise DataError(f"{path}: damaged NIST SPHERE audio (its header makes no sense)") from error
    if int(lines[1]) > _LONGEST_HEADER:
        raise DataError(f"{path}: damaged NIST SPHERE audio (it states a header of {int(lines[1])} bytes)")
    if (has := path.stat().st_size) < promised:
        raise DataError(f"{path}: cut short, has {has} of {promised} bytes")


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: no libsndfile for this kind of machine
        raise UsageError("reading sound files needs soundfile", "pip install 'hardpp[audio]'") from error
    return soundfile
