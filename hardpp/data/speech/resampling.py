"""Sound at another rate.

Rates in a simple ratio go through a low-pass filter of our own, a sinc of six zero crossings a side at the
lower of the two rates' bandwidths, less a hundredth, under a Hann window:

    y_t = sum_n x_n h(t / to - n / rate)

It keeps a filter for each place between two samples, of which odd rates (44,056 Hz, say) have thousands:
these are left to soxr, whose memory does not depend on the ratio.

Sources: Smith (2002), Digital Audio Resampling, for the filter; soxr, the SoX resampler library.
Shapes: N samples.
"""

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hardpp.errors import UsageError

_CROSSINGS = 6
_ROLL_OFF = 0.99
_MOST_PLACES = 640  # between two samples; 44,100 and 22,050 Hz have 160 and 320, 11,025 Hz 640
_LONGEST_STEP = 4096  # samples; a filter is a dozen times as long


def resample(wave: Tensor, rate: int, to: int) -> Tensor:
    """Samples (N,) at `rate` a second -> (N to / rate rounded up,) float32 at `to` a second."""
    if rate == to:
        return wave
    common = math.gcd(rate, to)
    old, new = rate // common, to // common
    count = -(-len(wave) * new // old)
    if new > _MOST_PLACES or old > _LONGEST_STEP:
        return _by_soxr(wave, rate, to, count)
    kernels, reach = _kernels(old, new)
    # One step of the convolution moves on by `old` samples and gives the next `new` of the result.
    steps = -(-count // new)
    padded = F.pad(wave.float(), (reach, max(0, steps * old + reach - len(wave))))
    rows = F.conv1d(padded[None, None], kernels[:, None], stride=old)[0]  # (new, steps or more)
    return rows.T.reshape(-1)[:count]


def _by_soxr(wave: Tensor, rate: int, to: int, count: int) -> Tensor:
    try:
        import soxr
    except ImportError as error:
        what = f"bringing sound from {rate:,} to {to:,} Hz needs soxr"
        raise UsageError(what, "pip install 'hardpp[audio]'") from error
    found: Any = soxr.resample(wave.float().numpy(), rate, to, quality="HQ")
    samples = torch.from_numpy(found)[:count]
    return F.pad(samples, (0, count - len(samples)))


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
