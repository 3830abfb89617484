"""CPU seconds of a training step at an earlier commit and now, side by side.

    python benchmarks/commits.py [COMMIT] [--only CASE ...] [--rounds 6] [--steps 30] [--quick]
    python benchmarks/commits.py [COMMIT] --set model=alignment --set objective=exact

The earlier tree is checked out beside this one for as long as it takes. A round is a process of each tree, in
turns, on one thread; a process trains from the same seed and counts steps after the first eight (batch, loss,
gradients, optimiser, running average). Ratios are taken within a round. Also counted: operations that reach
the dispatcher in one step.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from hardpp.config import merge, parse_setting

HERE = Path(__file__).resolve().parents[1]
MNIST = {"model": "glimpse", "data": {"name": "mnist", "train_limit": 5000}}
CASES: dict[str, dict[str, Any]] = {
    "alignment, elbo": {"model": "alignment"},
    "alignment, exact": {"model": "alignment", "objective": "exact"},
    "glimpses, 60 px": {"model": "glimpse", "data": {"train_limit": 5000}},
    "glimpses, 28 px": MNIST,
    "glimpses, 28 px, vimco": {
        **{**MNIST, "objective": "vimco", "guide": "variational"},
        "inference": {"particles": 8},
    },
}
SHARED = {"device": "cpu", "threads": 1}

# Run with either tree on Python's path, so it may use only what both have.
STEPS = """
import json, sys, time
import pyro
from torch.utils._python_dispatch import TorchDispatchMode
from hardpp.runs.session import Session
from hardpp.tasks.configuration import resolve

settings, steps = json.loads(sys.argv[1]), int(sys.argv[2])
session = Session(resolve([settings]), report=lambda text: None)
records = (record for record in session.trainer().records() if record.split == "train")
next(records)
pyro.enable_validation(False)
for _ in range(7):
    next(records)
seconds = []
for _ in range(steps):
    began = time.process_time()
    next(records)
    seconds.append(time.process_time() - began)

class Counted(TorchDispatchMode):
    calls = 0
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        Counted.calls += 1
        return function(*args, **(kwargs or {}))

with Counted():
    next(records)
print(json.dumps({"seconds": sum(seconds) / steps, "operations": Counted.calls}))
"""


def measured(tree: Path, settings: dict[str, Any], steps: int) -> dict[str, float]:
    """Seconds and operations of a step of one tree, in a process of its own."""
    command = [sys.executable, "-c", STEPS, json.dumps(settings), str(steps)]
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """The tree of a commit, in a folder that is there for the block."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        worktree = ["git", "worktree"]
        subprocess.run([*worktree, "add", "-q", "--detach", str(tree), commit], cwd=HERE, check=True)
        try:
            yield tree
        finally:
            subprocess.run([*worktree, "remove", "--force", str(tree)], cwd=HERE, check=True)


def row(case: str, pairs: list[tuple[dict[str, float], dict[str, float]]]) -> str:
    """Of pairs of what was measured, earlier and now."""
    ratios = sorted(before["seconds"] / now["seconds"] for before, now in pairs)
    spread = f"{median(ratios):.2f} ({ratios[0]:.2f}..{ratios[-1]:.2f})"
    found = [[pair[side] for pair in pairs] for side in (0, 1)]
    times = [f"{1e3 * median(each['seconds'] for each in of):.1f}" for of in found]
    counts = [f"{median(each['operations'] for each in of):.0f}" for of in found]
    return f"| {' | '.join([case, *times, spread, *counts])} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commit", nargs="?", default="442d95a", help="[442d95a, before steps became faster]")
    parser.add_argument("--only", nargs="+", choices=list(CASES), metavar="CASE", default=list(CASES))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a case of your own")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="one short round: only to see that it runs")
    options = parser.parse_args()
    rounds, steps = (1, 3) if options.quick else (options.rounds, options.steps)
    cases = {name: CASES[name] for name in options.only[: 1 if options.quick else None]}
    if options.set:
        cases = {", ".join(options.set): merge([parse_setting(each) for each in options.set])}
    print(f"{rounds} rounds of {steps} steps\n")
    print(f"| | CPU ms, {options.commit} | now | times as fast: median (range) | operations | now |")
    print("|---|---|---|---|---|---|")
    with checked_out(options.commit) as earlier:
        for name, case in cases.items():
            settings = merge([SHARED, case])
            pairs = [
                (measured(earlier, settings, steps), measured(HERE, settings, steps)) for _ in range(rounds)
            ]
            print(row(name, pairs), flush=True)


if __name__ == "__main__":
    main()
