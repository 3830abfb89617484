"""Steps of a training timed with one CPU thread, two, four and so on; `hardpp.runs.threads` says why."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from statistics import fmean
from typing import Any, NamedTuple

import pyro
import torch

from hardpp.diagnostics.seeds import seeded
from hardpp.runs.trainer import Trainer

_QUICKER = 0.95  # of the time with fewer threads: more are taken if they need less than this share
_HOPELESS = 2.0  # how much longer a forward pass may take before the rest is not even timed
_STRICT = 2  # torch's mode in which it refuses what is not deterministic
_SMALL, _TIMES = 2**17, 40  # numbers that threads share in an operation, and how often they are tried

Seconds = Callable[[bool], float]  # of a step, or of its forward pass alone (False)


@contextmanager
def put_back() -> Iterator[None]:
    """Puts torch's number of threads, and how it computes with them, back after the block."""
    number, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    deterministic: Any = torch.utils.deterministic
    filled = deterministic.fill_uninitialized_memory
    try:
        yield
    finally:
        torch.set_num_threads(number)
        torch.set_deterministic_debug_mode(mode)
        deterministic.fill_uninitialized_memory = filled


def take(number: int) -> None:
    """Computes with so many threads from here on, in an order that depends on nothing but their number."""
    torch.set_num_threads(number)
    if torch.get_deterministic_debug_mode() < _STRICT:  # else the user wants more than we do
        deterministic: Any = torch.utils.deterministic
        deterministic.fill_uninitialized_memory = False  # which no program of ours reads
        # use_deterministic_algorithms would load torch's compiler first, which takes a second or two.
        torch.set_deterministic_debug_mode("warn" if number > 1 else "default")


class Timed(NamedTuple):
    """Numbers of threads that were tried."""

    quickest: int
    seconds: dict[int, float]  # of a step, by their number


def quickest(step: Seconds, most: int, *, rounds: int) -> Timed:
    """Times steps with 1 thread, 2, 4 and so on up to `most`, as long as more are clearly quicker.

    Nothing is timed of more threads where small operations show that they wait for one another, since a step
    of theirs might take minutes; a number that is clearly too many gets an estimate from its forward pass.
    Times are means, since it is the mean that a training pays: threads are slow now and then.
    """
    alone = small_operations(1)
    step(True)  # what is only done once
    forward = step(False)
    found = {1: fmean(step(True) for _ in range(rounds))}
    number = 1
    while number < most:
        fewer, number = number, min(2 * number, most)
        if small_operations(number) > _HOPELESS * alone:
            return Timed(fewer, found)
        slower = step(False) / forward
        if slower > _HOPELESS:
            found[number] = slower * found[1]
        else:
            found[number] = fmean(step(True) for _ in range(rounds))
        if found[number] > _QUICKER * found[fewer]:
            return Timed(fewer, found)
    return Timed(number, found)


def small_operations(number: int) -> float:
    """Seconds of some operations that are only just shared among so many threads, which it leaves at work."""
    take(number)
    values = torch.ones(_SMALL)
    values.add_(1)
    began = time.perf_counter()
    for _ in range(_TIMES):
        values.add_(1)
    return time.perf_counter() - began


def step_of(trainer: Trainer) -> Seconds:
    """Times a step of the trainer's next batch, which changes nothing in the training.

    It is done by a copy of the programs, and draws random numbers of its own. The optimiser takes no part.
    """
    module = deepcopy(trainer.averaged.module).train()  # no gradients hang on it
    for name, part in trainer.objective.named_modules():
        if part in trainer.frozen:
            module.get_submodule(name).eval()
    batches = trainer.epoch_batches(trainer.epoch)
    batch = batches[trainer.position % len(batches)]()

    def seconds(whole: bool) -> float:
        with seeded(0, trainer.device), pyro.validation_enabled(False):
            began = time.perf_counter()
            loss = module(batch)
            if whole and loss.requires_grad:
                module.zero_grad()
                loss.backward()
            return time.perf_counter() - began

    return seconds
