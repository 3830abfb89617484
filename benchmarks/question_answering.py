"""Questions about images by every objective: accuracy, likelihood, and attention to the right region.

    python benchmarks/question_answering.py --objectives exact enum elbo soft --seeds 0 1 2 --out vqa.jsonl
    python benchmarks/question_answering.py --table vqa.jsonl
    python benchmarks/question_answering.py --quick

easy-VQA with its published split. All objectives train the same networks for the same steps; `soft` is the
twin whose network sees expected regions. One process and `--threads` CPU threads (1 by default); times are
CPU seconds of training alone. A run's figures are those of the epoch with the best dev bound.
"""

import argparse
import json
import time
from collections import defaultdict
from copy import deepcopy
from pathlib import Path
from typing import Any

from measured import commit, over_seeds

from hardpp.runs.session import Session
from hardpp.tasks.configuration import resolve
from hardpp.tasks.family import Programs
from hardpp.tasks.opened_run import OpenedRun

MODEL = "question-answering"
COLUMNS = {  # title -> figure, decimals
    "accuracy": ("accuracy", 4),
    "NLL": ("nll", 4),
    "entropy": ("entropy", 3),
    "KL": ("kl", 3),
    "hit, prior": ("hit_prior", 4),
    "hit, guide": ("hit_guide", 4),
    "hit, posterior": ("hit_posterior", 4),
    "middle": ("middle_prior", 4),
    "mass in box": ("mass", 4),
    "CPU s": ("training_seconds", 0),
}


def train(objective: str, seed: int, threads: int, settings: dict[str, Any]) -> dict[str, Any]:
    row = {"model": MODEL, "objective": objective, "seed": seed, "threads": threads, "device": "cpu"}
    config = resolve([settings, row])
    session = Session(config, report=lambda text: None)
    trainer = session.trainer()
    used, curve = 0.0, []
    began = time.process_time()

    def opened(step: int) -> OpenedRun:
        programs = Programs(*(program.eval() for program in deepcopy(trainer.evaluated).children()))
        parts = (session.description, programs, session.objective, session.device, step, session.data)
        run: OpenedRun = session.family.run(Path(), session.family, config, *parts)
        return run

    for record in trainer.records():
        if record.split == "train":
            continue
        used += time.process_time() - began
        run = opened(record.step)
        dev = run.evaluate(run.select(part="dev"))
        curve.append((round(used, 1), dev["accuracy"]))
        if record.values["best"]:
            best = run
        print(
            f"{objective} {seed} epoch {record.epoch} {used:.0f} s dev accuracy {dev['accuracy']:.4f} "
            f"hit {dev.get('hit_prior', 0):.4f}",
            flush=True,
        )
        began = time.process_time()
    return {
        "objective": objective,
        "seed": seed,
        "threads": threads,
        "commit": commit(),
        "training_seconds": used,
        **best.evaluate(),
        "curve": curve,
    }


def table(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    groups = defaultdict(list)
    for row in rows:
        groups[row["objective"]].append(row)
    print("| objective | seeds | " + " | ".join(COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for name, group in groups.items():
        cells = [f"`{name}`", str(len(group))]
        for figure, decimals in COLUMNS.values():
            values = [row[figure] for row in group]
            cells.append(over_seeds(values, decimals))
        print("| " + " | ".join(cells) + " |")
    print(f"\n± is the standard error over seeds; a guess of the region hits {rows[0]['coverage']:.3f}.\n")
    for row in rows:
        steps = ", ".join(f"{accuracy:.3f}" for _, accuracy in row["curve"])
        print(f"{row['objective']} {row['seed']}: dev accuracy by epoch {steps}")
    print(f"\ncommit {', '.join(sorted({row['commit'] for row in rows}))}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objectives", nargs="+", default=["exact", "enum", "elbo", "soft"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="left out, those of the recommended settings")
    parser.add_argument("--out", type=Path, default=Path("question_answering.jsonl"))
    parser.add_argument("--table", type=Path, help="print the table of an earlier run's file")
    parser.add_argument("--quick", action="store_true", help="500 questions, one epoch: to see that it runs")
    options = parser.parse_args()
    if options.table:
        table(options.table)
        return
    settings: dict[str, Any] = {"training": {"max_epochs": options.epochs}} if options.epochs else {}
    if options.quick:
        settings = {"data": {"train_limit": 500}, "training": {"max_epochs": 1}}
    for seed in options.seeds:
        for objective in options.objectives:
            row = train(objective, seed, options.threads, settings)
            with options.out.open("a") as out:
                out.write(json.dumps(row) + "\n")
    table(options.out)


if __name__ == "__main__":
    main()
