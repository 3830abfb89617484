"""A training step of models of glimpses in this tree and in another one, in turns, and what each dispatches.

    git worktree add ../before COMMIT
    python benchmarks/glimpse_step.py --old ../before --out glimpse_step.json
    python benchmarks/glimpse_step.py --quick

Each tree has a process of its own, which makes the same runs by `hardpp train`'s settings. In a round each of
them takes a few steps, the one after the other and in another order every time, so that a slower moment of
the machine hits both; ratios are taken within a round. Seconds are CPU seconds of one thread. `step` is all
of a training step (batch, loss, gradients, optimiser, running average), `gradients` the loss and its
gradients alone, `operations` what torch dispatches for these, forward and backward. Without another tree only
this one is measured.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from measured import commit

CASES: dict[str, dict[str, Any]] = {
    "translated, 60 px": {"model": "glimpse", "data": {"name": "translated-mnist"}},
    "28 px": {"model": "glimpse", "data": {"name": "mnist"}},
    "28 px, continuous": {"model": "glimpse", "data": {"name": "mnist"}, "network": {"space": "continuous"}},
    "28 px, vimco, 8": {
        **{"model": "glimpse", "data": {"name": "mnist"}, "objective": "vimco", "guide": "variational"},
        "inference": {"particles": 8},
    },
    "28 px, rws, 4": {
        **{"model": "glimpse", "data": {"name": "mnist"}, "objective": "rws", "guide": "variational"},
        "inference": {"particles": 4},
    },
}
SHARED: dict[str, Any] = {"device": "cpu", "seed": 0, "threads": 1}
LIMIT = 2000  # data to train on
WARMING = 5  # steps


def work() -> None:
    """Answers, line by line, what is asked of one tree: {"case", "steps"} -> figures."""
    import pyro
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from hardpp.config import merge
    from hardpp.runs.session import Session
    from hardpp.tasks.configuration import resolve

    class Count(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.operations = 0

        def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.operations += 1
            return operation(*args, **(kwargs or {}))

    def endless(trainer: Any) -> Any:
        while True:
            yield from (record for record in trainer.records() if record.split == "train")

    torch.set_num_threads(1)
    pyro.enable_validation(False)  # as `hardpp train` does after its first step
    made: dict[str, Any] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["case"] not in made:
            settings = {"data": {"train_limit": LIMIT}, "training": {"max_epochs": 10_000}}
            config = resolve([merge([SHARED, CASES[asked["case"]], settings])])
            trainer = Session(config, lambda text: None).trainer()
            trainer.dev_bound = lambda module: 0.0  # the steps alone
            made[asked["case"]] = trainer, endless(trainer)
            for _ in range(WARMING):
                next(made[asked["case"]][1])
        trainer, steps = made[asked["case"]]
        batch, objective = trainer.epoch_batches(0)[0](), trainer.objective
        figures: dict[str, list[float]] = {"step": [], "gradients": []}
        for _ in range(asked["steps"]):
            began = time.process_time()
            next(steps)
            figures["step"].append(time.process_time() - began)
            objective.zero_grad()
            began = time.process_time()
            objective(batch).backward()
            figures["gradients"].append(time.process_time() - began)
        answer: dict[str, Any] = {name: min(seconds) for name, seconds in figures.items()}
        if asked["count"]:
            with Count() as forward:
                loss = objective(batch)
            with Count() as backward:
                loss.backward()
            answer["operations"] = [forward.operations, backward.operations]
        print(json.dumps(answer), flush=True)


class Tree:
    """A process that runs one tree's package."""

    def __init__(self, path: Path):
        environment = {**os.environ, "PYTHONPATH": str(path.resolve()), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--work"]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, case: str, steps: int, *, count: bool = False) -> dict[str, Any]:
        """The figures of so many steps."""
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps({"case": case, "steps": steps, "count": count}), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"the process ended with {self.process.wait()}")
        figures: dict[str, Any] = json.loads(answer)
        return figures


def compare(trees: Mapping[str, Tree], case: str, rounds: int, steps: int) -> dict[str, Any]:
    counted = {name: tree.ask(case, 1, count=True)["operations"] for name, tree in trees.items()}
    measured: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
    for number in range(rounds):
        for name in list(trees)[:: 1 if number % 2 else -1]:
            measured[name].append(trees[name].ask(case, steps))
    result: dict[str, Any] = {"operations": counted}
    for what in ("step", "gradients"):
        seconds = {name: [of_round[what] for of_round in each] for name, each in measured.items()}
        result[what] = {name: median(each) for name, each in seconds.items()}
        if "old" in trees:
            ratios = [one / other for one, other in zip(seconds["old"], seconds["new"], strict=True)]
            result[what]["ratios"] = sorted(ratios)
    return result


def report(results: Mapping[str, dict[str, Any]]) -> None:
    print("| | | ms | before, ms | times as fast: median (least..most) | operations | before |")
    print("|---|---|---|---|---|---|---|")
    for case, result in results.items():
        for what in ("step", "gradients"):
            of, ratios = result[what], result[what].get("ratios")
            spread = f"{median(ratios):.2f} ({ratios[0]:.2f}..{ratios[-1]:.2f})" if ratios else ""
            before = f"{1000 * of['old']:.1f}" if ratios else ""
            counts = ["", ""]
            if what == "gradients":
                of_both = result["operations"]
                counts = [" + ".join(map(str, of_both.get(name, []))) for name in ("new", "old")]
            print(
                f"| {case} | {what} | {1000 * of['new']:.1f} | {before} | {spread} | {' | '.join(counts)} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--old", type=Path, help="folder of the other tree")
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES), metavar="CASE")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=5, help="in each round, of which the fastest counts")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--quick", action="store_true", help="seconds: to see that it runs")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work()
        return
    if arguments.quick:
        arguments.cases, arguments.rounds, arguments.steps = ["28 px"], 2, 2
    here = {"new": Path(__file__).resolve().parent.parent}
    paths = here if arguments.old is None else {**here, "old": arguments.old}
    trees = {name: Tree(path) for name, path in paths.items()}
    results = {}
    for case in arguments.cases:
        results[case] = compare(trees, case, arguments.rounds, arguments.steps)
        print(case, {what: results[case][what] for what in ("step", "operations")}, file=sys.stderr)
    if arguments.out:
        arguments.out.write_text(json.dumps({"commit": commit(), "cases": results}, indent=1))
    report(results)


if __name__ == "__main__":
    main()
