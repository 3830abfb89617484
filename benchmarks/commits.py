"""CPU seconds of a training step at an earlier commit and now, side by side.

    python benchmarks/commits.py [COMMIT] [--model alignment] [--guide variational] [--objective elbo]
                                 [--set KEY=VALUE ...] [--rounds 6] [--steps 30] [--quick]

The earlier tree is checked out beside this one for as long as it takes. A round is a process of each tree, in
turns, on one thread; a process trains from the same seed and counts steps after the first eight. Ratios are
taken within a round. Also counted: operations that reach the dispatcher in one step.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parents[1]

# Run with either tree on Python's path, so it may use only what both have.
STEPS = """
import json, sys, time
import pyro
from torch.utils._python_dispatch import TorchDispatchMode
from hardpp.runs.session import Session
from hardpp.tasks.configuration import resolve

layers, steps = json.loads(sys.argv[1]), int(sys.argv[2])
session = Session(resolve(layers), report=lambda text: None)
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


def measured(tree: Path, layers: list[object], steps: int) -> dict[str, float]:
    """Seconds and operations of a step of one tree, in a process of its own."""
    command = [sys.executable, "-c", STEPS, json.dumps(layers), str(steps)]
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def layers_of(options: argparse.Namespace) -> list[object]:
    """The settings, in layers as the command line has them."""
    chosen = {key: getattr(options, key) for key in ("model", "guide", "objective")}
    layers: list[object] = [{"device": "cpu", "threads": 1, **{k: v for k, v in chosen.items() if v}}]
    for setting in options.set:
        key, _, text = setting.partition("=")
        try:
            value: object = json.loads(text)
        except ValueError:
            value = text
        for part in reversed(key.split(".")):
            value = {part: value}
        layers.append(value)
    return layers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commit", nargs="?", default="442d95a", help="[442d95a, before steps became faster]")
    parser.add_argument("--model")
    parser.add_argument("--guide")
    parser.add_argument("--objective")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="one short round: only to see that it runs")
    options = parser.parse_args()
    rounds, steps = (1, 3) if options.quick else (options.rounds, options.steps)
    layers = layers_of(options)
    with tempfile.TemporaryDirectory() as folder:
        earlier = Path(folder) / "tree"
        subprocess.run(
            ["git", "worktree", "add", "-q", "--detach", str(earlier), options.commit], cwd=HERE, check=True
        )
        try:
            pairs = [(measured(earlier, layers, steps), measured(HERE, layers, steps)) for _ in range(rounds)]
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(earlier)], cwd=HERE, check=True)
    ratios = sorted(before["seconds"] / now["seconds"] for before, now in pairs)
    then, here = ([pair[side] for pair in pairs] for side in (0, 1))
    print("| | CPU ms a step | operations a step |\n|---|---|---|")
    for name, found in ((options.commit, then), ("now", here)):
        milliseconds = 1e3 * median(each["seconds"] for each in found)
        print(f"| {name} | {milliseconds:.1f} | {median(each['operations'] for each in found):.0f} |")
    print(
        f"\ntimes as fast: median {median(ratios):.2f}, {ratios[0]:.2f}..{ratios[-1]:.2f} in {rounds} rounds"
    )


if __name__ == "__main__":
    main()
