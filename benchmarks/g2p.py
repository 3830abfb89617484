"""Spelling to phones by every objective: error rates, likelihood and time, on the frozen CMUdict task.

    python benchmarks/g2p.py --objectives tracegraph elbo exact enum soft --seeds 0 --out g2p.jsonl
    python benchmarks/g2p.py --table g2p.jsonl
    python benchmarks/g2p.py --unseen runs/alignment-variational-elbo-0
    python benchmarks/g2p.py --quick

One process and `--threads` CPU threads (1 by default, as the public figures it is compared with); run two
at a time on two cores. Times are CPU seconds of training alone. A run's figures are those of the epoch with
the best dev bound, decoded greedily and with a beam of 5; its curve has the greedy test PER of every epoch.
"""

import argparse
import json
import time
from collections import defaultdict
from copy import deepcopy
from pathlib import Path
from statistics import mean
from typing import Any

from measured import commit

from hardpp.data.fetch.sources import fetch
from hardpp.data.transduction import cmudict
from hardpp.runs.folder import open_run
from hardpp.runs.session import Session
from hardpp.tasks.alignment.evaluation import decode
from hardpp.tasks.configuration import resolve
from hardpp.tasks.family import Programs
from hardpp.tasks.metrics.error_rates import error_rates

# Published or measured elsewhere on the same split and one core: (seconds, PER, WER).
OTHERS = {
    "best public hard-attention trainer": [(600, 0.122, 0.477)],
    "hand-written torch, exact marginal": [(120, 0.122, None), (588, 0.113, 0.436)],
    "hand-written torch, soft attention": [(588, 0.118, 0.463)],
}


def train(objective: str, seed: int, threads: int, settings: dict[str, Any]) -> dict[str, Any]:
    config = resolve([settings, {"objective": objective, "seed": seed, "threads": threads, "device": "cpu"}])
    session = Session(config, report=lambda text: None)
    trainer = session.trainer()
    test = session.data.test
    words, used, curve = len(session.data.train), 0.0, []
    began = time.process_time()
    for record in trainer.records():
        if record.split == "train":
            continue
        used += time.process_time() - began
        programs = Programs(trainer.evaluated.model, trainer.evaluated.guide)
        run = session.opened(Path(), record.step, deepcopy(programs))
        rates = error_rates(decode(run, test), [pair.references for pair in test])
        curve.append((round(used, 1), rates.symbol, rates.sequence))
        if record.values["best"]:
            epoch, best = record.epoch, run
        print(f"{objective} {seed} epoch {record.epoch} {used:.0f} s PER {rates.symbol:.4f}", flush=True)
        began = time.process_time()
    greedy, beam = (best.evaluate(test, beam=width) for width in (1, 5))
    per_thousand = 1000 * used / (words * trainer.step / len(session.trainer().epoch_batches(0)))
    return {
        "objective": objective,
        "seed": seed,
        "threads": threads,
        "commit": commit(),
        "training_seconds": used,
        "seconds_per_1000_words": per_thousand,
        **greedy,
        "beam_PER": beam["PER"],
        "beam_WER": beam["WER"],
        "epoch": epoch,
        "curve": curve,
    }


def table(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    groups = defaultdict(list)
    for row in rows:
        groups[row["objective"]].append(row)
    columns = ["objective", "seeds", "PER", "WER", "PER, beam 5", "WER, beam 5", "NLL", "entropy", "KL"]
    columns += ["s / 1,000 words", "CPU s", "PER <= .122 after"]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for name, group in groups.items():
        figures = ("PER", "WER", "beam_PER", "beam_WER", "nll", "entropy", "kl")
        means = {key: mean(row[key] for row in group) for key in figures}
        passed = [next((s for s, per, _ in row["curve"] if per <= 0.122), float("inf")) for row in group]
        seeds = ", ".join(str(row["seed"]) for row in group)
        cells = [f"`{name}`", seeds, *(f"{value:.4f}" for value in means.values())]
        cells += [f"{mean(row['seconds_per_1000_words'] for row in group):.2f}"]
        cells += [f"{mean(row['training_seconds'] for row in group):.0f}", f"{mean(passed):.0f} s"]
        print("| " + " | ".join(cells) + " |")
    print("\nTest PER by CPU minute (mean of the seeds, the newest epoch at that minute)\n")
    minutes = range(1, 11)
    print("| | " + " | ".join(str(minute) for minute in minutes) + " |")
    print("|---" * 11 + "|")
    for name, group in groups.items():
        cells = []
        for minute in minutes:
            newest = [[per for s, per, _ in row["curve"] if s <= 60 * minute] for row in group]
            cells.append(f"{mean(pers[-1] for pers in newest):.3f}" if all(newest) else "")
        print(f"| `{name}` | " + " | ".join(cells) + " |")
    for name, points in OTHERS.items():
        at = {round(s / 60): per for s, per, _ in points}
        print(f"| {name} | " + " | ".join(f"{at[m]:.3f}" if m in at else "" for m in minutes) + " |")
    print("\nSeeds one by one\n")
    for row in rows:
        rates = f"PER {row['PER']:.4f} WER {row['WER']:.4f} nll {row['nll']:.4f}"
        print(f"{row['objective']} {row['seed']}: {rates}")
    print(f"\ncommit {', '.join(sorted({row['commit'] for row in rows}))}")


def unseen(folder: Path) -> None:
    """A run on the test words after the first 1,000, which no choice of settings has looked at."""
    run = open_run(folder)
    words = cmudict.corpus(fetch("cmudict"), test_words=None).test[1_000:]
    print(f"{len(words)} other test words, beam 5")
    print(json.dumps(run.evaluate(words), indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objectives", nargs="+", default=["tracegraph", "elbo", "exact", "enum", "soft"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("g2p.jsonl"))
    parser.add_argument("--table", type=Path, help="print the table of an earlier run's file")
    parser.add_argument("--unseen", type=Path, help="evaluate a run folder on the other test words")
    parser.add_argument("--quick", action="store_true", help="500 words, one epoch: only to see that it runs")
    options = parser.parse_args()
    if options.table:
        table(options.table)
        return
    if options.unseen:
        unseen(options.unseen)
        return
    settings = {"data": {"train_limit": 500}, "training": {"max_epochs": 1}} if options.quick else {}
    for seed in options.seeds:
        for objective in options.objectives:
            row = train(objective, seed, options.threads, settings)
            with options.out.open("a") as out:
                out.write(json.dumps(row) + "\n")
    table(options.out)


if __name__ == "__main__":
    main()
