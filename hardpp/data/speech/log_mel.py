"""Log-mel filterbank energies, the frames that speech is read as.

Windows of 25 ms start every 10 ms; window t is centred on the time from 10 t to 10 (t + 1) ms, and beyond
the ends the samples are mirrored. With x the 400 samples of a window, in steps of 16 bits, less their mean:

    energy = log max(sum x^2, 1)
    X = |FFT(povey window * (x_i - 0.97 x_(i-1)))|^2           512 points
    mel_b = log max(sum_f triangle_b(f) X_f, 1)                 b = 1 .. 40

The triangles are equally wide on the scale mel(f) = 1127 log(1 + f / 700), from 20 to 8,000 Hz. The floor
of 1 lies below what rounding to 16 bits adds, so it only meets digital silence. Deltas are slopes of a line
through five frames, with the frames at the ends repeated:

    delta_t = sum_k k (c_(t+k) - c_(t-k)) / (2 sum_k k^2)       k = 1, 2

40 + 1 features with deltas and deltas of deltas are 123; three frames in a row are stacked into one of 369.

Sources: Young et al. (2006), The HTK Book, section 5; Povey et al. (2011), The Kaldi Speech Recognition
Toolkit, whose windows and filters these are; Lawson et al. (2017), section 4, for 123 features.

Shapes: N samples, S frames, F features.
"""

import math
from collections.abc import Iterable
from functools import lru_cache

import torch
from torch import Tensor

from hardpp.data.speech.utterances import Normalisation

RATE = 16_000  # samples a second
HOP = 160  # samples from one frame to the next
HOP_SECONDS = HOP / RATE
BANDS = 40
FEATURES = 3 * (BANDS + 1)  # of a frame: bands and energy, their slopes, and the slopes of these
STACKED = 3  # frames that are read as one

_WINDOW = 400
_POINTS = 512
_LOWEST = 20.0  # Hz
_PREEMPHASIS = 0.97
_STEPS = 32_768  # of 16 bits, one of which is 1 below
_AT_ONCE = 20_000  # windows, 200 seconds: of hours all would take gigabytes


def static(wave: Tensor) -> Tensor:
    """Compute log-mel energies and log energy, without deltas.

    Args:
        wave: (N,) float32, samples from -1 to 1, 16,000 a second; N at least 1.

    Returns:
        (round(N / 160), 41) in nats, the energy last; at least one frame.
    """
    if wave.dim() != 1 or not len(wave):
        raise ValueError(f"expected one row of samples, got the shape {tuple(wave.shape)}")
    N = len(wave)
    count = max(1, (N + HOP // 2) // HOP)
    first = (HOP - _WINDOW) // 2
    places = torch.arange(first, first + (count - 1) * HOP + _WINDOW) % (2 * N)
    mirrored = torch.where(places < N, places, 2 * N - 1 - places)
    windows = (wave.float() * _STEPS)[mirrored].unfold(0, _WINDOW, HOP)
    return torch.cat([_log_energies(some) for some in windows.split(_AT_ONCE)])


def _log_energies(windows: Tensor) -> Tensor:
    # Windows (S, 400) -> (S, 41).
    windows = windows - windows.mean(-1, keepdim=True)
    energy = windows.square().sum(-1, keepdim=True)
    before = torch.cat([windows[:, :1], windows[:, :-1]], -1)
    spectrum = torch.fft.rfft((windows - _PREEMPHASIS * before) * _povey(), _POINTS)
    power = spectrum.real.square() + spectrum.imag.square()
    return torch.cat([power @ _filters(), energy], -1).clamp(min=1).log()


def decibels(energy: float) -> float:
    """The level of a window in decibels from full scale, of its log energy in nats."""
    return 10 * (energy - math.log(_WINDOW * _STEPS**2)) / math.log(10)


def centres() -> Tensor:
    """Where each band of `static` is loudest: (40,) float64, in Hz."""
    return 700 * torch.expm1(_edges()[1:-1] / 1127)


def with_deltas(frames: Tensor) -> Tensor:
    """Append to frames (S, F) their slopes and the slopes of these: (S, 3 F)."""
    slopes = _slopes(frames)
    return torch.cat([frames, slopes, _slopes(slopes)], -1)


def stack(frames: Tensor, width: int = STACKED) -> Tensor:
    """Stack frames: (S, F) -> (S / width rounded up, width F); the last frame is repeated."""
    if width < 1:
        raise ValueError(f"expected at least 1 frame to be stacked, got {width}")
    padding = -len(frames) % width
    return torch.cat([frames, frames[-1:].expand(padding, -1)]).reshape(-1, width * frames.shape[-1])


def normalisation(frames: Iterable[Tensor]) -> Normalisation:
    """Mean and deviation over the frames (S, F) of all utterances; one at a time is in memory.

    There must be a frame. A feature that never changes gets deviation 1.
    """
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for rows in frames:
        wide = rows.double()
        count, total, squares = count + len(rows), total + wide.sum(0), squares + wide.square().sum(0)
    if not count:
        raise ValueError("expected at least one frame to normalise by, got none")
    mean = total / count
    variance = squares / count - mean.square()
    # What rounding leaves of the variance of a constant is not worth dividing by.
    constant = variance <= 1e-12 * squares / count
    return Normalisation(mean.float(), variance.where(~constant, 1.0).sqrt().float())


def _slopes(frames: Tensor) -> Tensor:
    last = len(frames) - 1
    places = torch.arange(len(frames))
    rises = [k * (frames[(places + k).clamp(max=last)] - frames[(places - k).clamp(min=0)]) for k in (1, 2)]
    return (rises[0] + rises[1]) / 10


@lru_cache(maxsize=1)
def _povey() -> Tensor:
    return torch.hann_window(_WINDOW, periodic=False, dtype=torch.float64).pow(0.85).float()


def _mel(frequency: Tensor) -> Tensor:
    return 1127 * torch.log1p(frequency / 700)


# Edges and centres of bands (bands + 2,), even on the mel scale.
def _edges() -> Tensor:
    lowest, highest = _mel(torch.tensor([_LOWEST, RATE / 2], dtype=torch.float64)).tolist()
    return torch.linspace(lowest, highest, BANDS + 2, dtype=torch.float64)


@lru_cache(maxsize=1)
def _filters() -> Tensor:
    # (points / 2 + 1, bands); the slopes are even on the mel scale.
    edges = _edges()
    places = _mel(torch.arange(_POINTS // 2 + 1, dtype=torch.float64) * (RATE / _POINTS))[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (places - left) / (centre - left), (right - places) / (right - centre)
    return torch.minimum(rising, falling).clamp(min=0).float()
