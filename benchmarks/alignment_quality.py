"""Word alignment of Greek and English verses: both directions, every view, every symmetrisation.

    python benchmarks/alignment_quality.py --seeds 0 1 2 --out alignment_quality.jsonl
    python benchmarks/alignment_quality.py --table alignment_quality.jsonl
    python benchmarks/alignment_quality.py --quick

Trains on the verses outside Mark and Titus to Jude with the settings of bible-alignments, reads no link in
training, and holds the links of a part against those made by hand: dev is for choosing settings, test (Mark)
for reporting. `by` says whose positions: the prior has not seen the word that it links, the posterior has
seen the words up to it, the guide of a chain all of them. One process and `--threads` CPU threads.
"""

import argparse
import json
import time
from collections import defaultdict
from copy import deepcopy
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from measured import commit

from hardpp.runs.session import Session
from hardpp.tasks.configuration import resolve
from hardpp.tasks.family import Programs
from hardpp.tasks.opened_run import OpenedRun

# AER by aligners that count, on the same verses of Mark: (forward, symmetrised, hit rate).
OTHERS = {
    "eflomal, Greek lemmas": (0.341, 0.323, 0.701),
    "IBM model 1, Greek lemmas": (0.445, None, None),
}


def train(reverse: bool, seed: int, threads: int, settings: dict[str, Any]) -> tuple[OpenedRun, Any, float]:
    """The run of the epoch with the best dev bound, its data, and CPU seconds of training."""
    own = {"seed": seed, "threads": threads, "device": "cpu", "data": {"reverse": reverse}}
    config = resolve([{"data": {"name": "bible-alignments"}}, settings, own])
    session = Session(config, report=lambda text: None)
    trainer = session.trainer()
    used, began, best, step = 0.0, time.process_time(), session.programs, 0
    for record in trainer.records():
        if record.split == "train":
            continue
        used += time.process_time() - began
        if record.values["best"]:
            evaluated = trainer.evaluated
            best, step = deepcopy(Programs(evaluated.model, evaluated.guide)), record.step
        print(f"reverse={reverse} {seed} epoch {record.epoch} {used:.0f} s {record.bound:.4f}", flush=True)
        began = time.process_time()
    name = Path("backward" if reverse else "forward")
    return session.opened(name, step, best), session.data, used


def measured(seed: int, threads: int, settings: dict[str, Any]) -> list[dict[str, Any]]:
    forward, data, ahead = train(False, seed, threads, settings)
    backward, _, back = train(True, seed, threads, settings)
    about = {"seed": seed, "commit": commit(), "seconds": ahead + back, "objective": forward.config.objective}
    parts = {"dev": data.dev, "test": data.test}
    return [
        about | {"part": part} | row
        for part, pairs in parts.items()
        for row in forward.compare_links(pairs, backward)
    ]


def table(path: Path) -> None:
    groups = defaultdict(list)
    for line in path.read_text().splitlines():
        row = json.loads(line)
        groups[row["objective"], row["part"], row["by"], row["links"]].append(row)
    columns = ["objective", "part", "by", "links", "seeds", "AER", "+-", "precision", "recall", "hit"]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for key, rows in groups.items():
        spread = stdev(row["AER"] for row in rows) if len(rows) > 1 else 0.0
        cells = [*key, str(len(rows)), f"{mean(row['AER'] for row in rows):.3f}", f"{spread:.3f}"]
        cells += [f"{mean(row[figure] for row in rows):.3f}" for figure in ("precision", "recall")]
        hits = [row["hit"] for row in rows if row["hit"] is not None]
        print("| " + " | ".join([*cells, f"{mean(hits):.3f}" if hits else ""]) + " |")
    for name, figures in OTHERS.items():
        shown = " / ".join("" if figure is None else f"{figure:.3f}" for figure in figures)
        print(f"\n{name}: forward / symmetrised AER / hit {shown}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="left out: the settings of the data")
    parser.add_argument("--out", type=Path, default=Path("alignment_quality.jsonl"))
    parser.add_argument("--table", type=Path, help="print the table of an earlier run's file")
    parser.add_argument(
        "--quick", action="store_true", help="300 verses, one epoch: only to see that it runs"
    )
    options = parser.parse_args()
    if options.table:
        table(options.table)
        return
    settings: dict[str, Any] = {"training": {"max_epochs": options.epochs}} if options.epochs else {}
    if options.quick:
        settings = {"data": {"train_limit": 300}, "training": {"max_epochs": 1}}
    for seed in options.seeds:
        rows = measured(seed, options.threads, settings)
        with options.out.open("a") as out:
            out.writelines(json.dumps(row) + "\n" for row in rows)
    table(options.out)


if __name__ == "__main__":
    main()
