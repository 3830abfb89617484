"""Seconds of training until the dev part is read with a fixed accuracy, by family.

    python benchmarks/time_to_accuracy.py [--only NAME] [--minutes 15] [--quick]

Each family trains with its preset, on one thread, one after the other, and its dev figure is looked at after
every epoch. Seconds are those between the first step and the end of that epoch, dev part included. CPU
seconds are those of the whole command until it is killed there; what else the machine does matters less.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple


class Target(NamedTuple):
    """A training, and the dev figure that it is to reach."""

    words: list[str]
    figure: str
    value: float

    def reached(self, found: float) -> bool:
        """Error rates are to fall to the value, accuracies to rise to it."""
        return found >= self.value if self.figure == "accuracy" else found <= self.value


TARGETS = {
    "spelling to phones": Target(["--model", "alignment", "--guide", "variational"], "PER", 0.116),
    "spelling to phones, quick": Target(["--preset", "quick"], "PER", 0.116),
    "spelling to phones, exact": Target(["--model", "alignment", "--objective", "exact"], "PER", 0.116),
    "translated digits, 60 px": Target(["--model", "glimpse"], "error_mean", 0.02),
    "speech": Target(["--model", "online-alignment"], "PER", 0.2),
    "questions": Target(["--model", "question-answering"], "accuracy", 0.95),
}


class Reached(NamedTuple):
    """Where a training stood when its figure was reached, or when it was given up."""

    seconds: float | None  # until it was reached, if it was
    cpu_seconds: float
    figure: float | None  # the last value
    epochs: int


def measure(target: Target, seconds: float) -> Reached:
    """Trains until the figure is reached, or for so many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "hardpp", "--quiet", "train", *target.words, "--threads", "1"]
        command += ["--evaluate", "none", "--set", "training.log_every=1", "--out", str(run)]
        environment, before = {**os.environ, "OMP_NUM_THREADS": "1"}, cpu_seconds()
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
            began = time.monotonic()
            while True:
                time.sleep(1)
                ended = process.poll() is not None
                lines = records(run / "metrics.jsonl")
                dev = [line for line in lines if line["split"] == "dev" and target.figure in line]
                hit = next((line for line in dev if target.reached(line[target.figure])), None)
                if hit is not None or ended or time.monotonic() - began > seconds:
                    break
            process.send_signal(signal.SIGKILL)
    took = hit["time"] - lines[0]["time"] if hit is not None else None
    figure = (hit or dev[-1])[target.figure] if dev else None
    return Reached(took, cpu_seconds() - before, figure, len(dev))


def cpu_seconds() -> float:
    """Of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def records(path: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl that are whole."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=15, help="after which a family is given up")
    parser.add_argument("--quick", action="store_true", help="a few seconds: only to see that it runs")
    options = parser.parse_args()
    print("| training | target on dev | seconds | CPU s | figure there | epochs |\n|---|---|---|---|---|---|")
    for name, target in TARGETS.items():
        if options.only in (None, name):
            limit = 20.0 if options.quick else 60 * options.minutes
            found = measure(target, limit)
            wanted = f"{target.figure} {'>=' if target.figure == 'accuracy' else '<='} {target.value}"
            when = f"{found.seconds:.0f}" if found.seconds is not None else f"not in {limit:.0f}"
            last = "" if found.figure is None else f"{found.figure:.3f}"
            cells = [name, wanted, when, f"{found.cpu_seconds:.0f}", last, found.epochs]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
        if options.quick:
            break


if __name__ == "__main__":
    main()
