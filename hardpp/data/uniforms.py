"""Numbers drawn by name: the same on every machine and for every version of numpy.

What a fixed test set is drawn with must never change. So only the raw stream of a bit generator is used,
which numpy promises to keep, and made into numbers here:

    u = (raw >> 11) / 2^53        uniform in [0, 1)
    n = low + floor(u (high - low + 1))
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from hardpp.data.undecoded import utf8


def uniforms(key: str, *shape: int) -> NDArray[np.float64]:
    """Draw numbers in [0, 1) that depend on the key and on their place alone.

    Other keys give independent numbers; a longer first dimension begins with the same ones.
    """
    seed = int.from_bytes(hashlib.sha256(utf8(key)).digest()[:16], "big")
    raw = np.random.PCG64(seed).random_raw(int(np.prod(shape)))
    return (raw >> np.uint64(11)).astype(np.float64).reshape(shape) * 2.0**-53


def integers(uniform: NDArray[np.float64], low: int, high: int | NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn uniform numbers into equally likely integers from `low` to `high`, both inclusive."""
    return low + np.floor(uniform * (np.asarray(high) - low + 1)).astype(np.int64)
