"""Seeds of random draws that leave the random state of whoever asks for them alone.

What is drawn for a datum depends on the seed and on the datum: every verb of the command line that is asked
about it draws the same, whichever other data it is asked about, and in whatever order.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers of the CPU and of `device` from a seed; both generators are put back afterwards."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def seeded_steps(steps: Iterator[T], seed: int, device: torch.device) -> Iterator[T]:
    """The same steps, with draws that go on from a seed whatever is drawn by others between two steps."""
    state: tuple[torch.Tensor, ...] = ()  # of both generators, after the last step
    while True:
        with seeded(seed, device):
            if state:
                torch.set_rng_state(state[0])
                if device.type == "cuda":
                    torch.cuda.set_rng_state(state[1], device)
            try:
                step = next(steps)
            except StopIteration:
                return
            state = (torch.get_rng_state(),)
            if device.type == "cuda":
                state = (*state, torch.cuda.get_rng_state(device))
        yield step


def stream(seed: int, number: int) -> int:
    """The seed of one of many streams of random numbers that have nothing to do with one another."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1)


def stream_of(*parts: Tensor) -> int:
    """A number for a datum by which its stream is told from those of others: a digest of its tensors."""
    digest = 0
    for part in parts:
        digest = crc32(part.detach().cpu().contiguous().numpy().tobytes(), digest)
    return digest
