"""Seeds of random draws that leave the random state of whoever asks for them alone.

What is drawn for a datum depends on the seed and on the datum: every verb of the command line that is asked
about it draws the same, whichever other data it is asked about, and in whatever order.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

import numpy as np
import torch
from torch import Tensor


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers of the CPU and of `device` from a seed; both generators are put back afterwards."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def stream(seed: int, number: int) -> int:
    """The seed of one of many streams of random numbers that have nothing to do with one another."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1)


def stream_of(*parts: Tensor) -> int:
    """A number for a datum by which its stream is told from those of others: a digest of its tensors."""
    digest = 0
    for part in parts:
        digest = crc32(part.detach().cpu().contiguous().numpy().tobytes(), digest)
    return digest
