"""CPU time of a training step with networks that torch has compiled, and without, side by side.

    python benchmarks/compiled.py [--steps 12] [--quick]

One session as it is and one with `training.compile`, of the same seed, take steps in turn, on one thread, and
stop before a batch comes that is smaller. Compilation is the time of the first step of the second, which is
not among those that are compared; what torch has compiled before is not used.
"""

import argparse
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import pyro
import torch
import torch._inductor.config

from hardpp.runs.session import Session
from hardpp.tasks.configuration import resolve

TRAININGS = {
    "image-vae": {"model": "image-vae"},
    "masked-image": {"model": "masked-image"},
    "question-answering": {"model": "question-answering"},
    "caption": {"model": "caption"},
    "saccader": {"model": "saccader"},
}


def steps(settings: dict[str, Any], compile: bool) -> Iterator[Any]:
    """The steps of a training, taken when they are asked for."""
    layer = {**settings, "threads": 1, "data": {"train_limit": 2000}, "training": {"compile": compile}}
    return Session(resolve([layer]).stages()[0], print).trainer().records()


def seconds(training: Iterator[Any]) -> float:
    """CPU seconds of its next step."""
    began = time.process_time()
    next(training)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--quick", action="store_true", help="a few steps of one: only to see that it runs")
    options = parser.parse_args()
    count = 2 if options.quick else options.steps
    torch.set_num_threads(1)
    torch._inductor.config.force_disable_caches = True
    pyro.enable_validation(False)
    print("| training | compilation, s | CPU ms | compiled | times as fast: median (range) |")
    print("|---|---|---|---|---|")
    for name, settings in TRAININGS.items():
        torch.compiler.reset()  # as in a process of its own
        plain, compiled = steps(settings, False), steps(settings, True)
        began = time.monotonic()
        next(compiled)
        took = time.monotonic() - began
        for training in (plain, compiled, plain, compiled):
            next(training)
        pairs = [(seconds(plain), seconds(compiled)) for _ in range(count)]
        ratios = sorted(one / other for one, other in pairs)
        before, after = (1e3 * median(each) for each in zip(*pairs, strict=True))
        spread = f"{median(ratios):.2f} ({ratios[0]:.2f}..{ratios[-1]:.2f})"
        print(f"| {name} | {took:.0f} | {before:.1f} | {after:.1f} | {spread} |", flush=True)
        if options.quick:
            break


if __name__ == "__main__":
    main()
