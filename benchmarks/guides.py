"""Every guide of the alignment models side by side: bound, distance to the exact posterior, time of a step.

    python benchmarks/guides.py --seeds 0 --out guides.jsonl
    python benchmarks/guides.py --table guides.jsonl
    python benchmarks/guides.py --quick

Spelling to phones on the first words of CMUdict, by attention and as a chain, with small networks, the ELBO of
four draws, one thread. Figures are of the dev part, in nats a symbol, at the epoch with the best dev bound:
log p(y), exact; KL(guide || exact posterior), exact, or by 50 draws of guides whose steps depend on one
another; and the bound, which is their difference. A step's time is the median, forward and backward.
"""

import argparse
import json
import time
from collections import defaultdict
from copy import deepcopy
from pathlib import Path
from statistics import median
from typing import Any

from measured import commit, over_seeds

from hardpp.errors import UsageError
from hardpp.runs.session import Session
from hardpp.tasks.alignment.evaluation import likelihoods
from hardpp.tasks.alignment.guides import GUIDES
from hardpp.tasks.configuration import resolve
from hardpp.tasks.family import Programs

FORMS = ("attention", "chain")
SIZES = {"embedding": 64, "encoder": 64, "decoder": 128, "guide": 64, "dropout": 0.2}


def train(form: str, guide: str, seed: int, words: int, epochs: int, objective: str) -> dict[str, Any]:
    """A row of the table.

    Raises:
        UsageError: the form does not have the guide.
    """
    given = {
        "objective": objective,
        "guide": guide,
        "seed": seed,
        "threads": 1,
        "device": "cpu",
        "data": {"train_limit": words},
        "network": {**SIZES, "alignment": form},
        "training": {"max_epochs": epochs, "log_every": 1},
    }
    session = Session(resolve([given]), report=lambda text: None)
    trainer, seconds, best = session.trainer(), [], None
    began = time.process_time()
    for record in trainer.records():
        if record.split == "train":
            seconds.append(time.process_time() - began)
        elif record.values["best"]:
            programs = Programs(trainer.evaluated.model, trainer.evaluated.guide)
            best = session.opened(Path(), record.step, deepcopy(programs))
        began = time.process_time()
    assert best is not None
    found = likelihoods(best, session.data.dev)
    row = {"form": form, "guide": guide, "seed": seed, "objective": objective, "commit": commit()}
    row |= {"words": words, "epochs": epochs, "log_p": -found["nll"], "kl": found["kl"]}
    return row | {"bound": -found["nll"] - found["kl"], "milliseconds": 1000 * median(seconds)}


def table(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for form in FORMS:
        groups = defaultdict(list)
        for row in rows:
            if row["form"] == form:
                groups[row["guide"]].append(row)
        print(
            f"\n{form}\n\n| guide | bound | KL to the posterior | log p(y) | ms a step |\n|---|---|---|---|---|"
        )
        for guide, group in groups.items():
            cells = [over_seeds([row[key] for row in group], 3) for key in ("bound", "kl", "log_p")]
            cells.append(over_seeds([row["milliseconds"] for row in group], 0))
            print(f"| `{guide}` | " + " | ".join(cells) + " |")
    print(f"\ncommit {', '.join(sorted({row['commit'] for row in rows}))}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--guides", nargs="+", default=list(GUIDES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--words", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--objective", default="elbo")
    parser.add_argument("--out", type=Path, default=Path("guides.jsonl"))
    parser.add_argument("--table", type=Path, help="print the table of an earlier run's file")
    parser.add_argument("--quick", action="store_true", help="100 words, one epoch: only to see that it runs")
    options = parser.parse_args()
    if options.table:
        table(options.table)
        return
    words, epochs = (100, 1) if options.quick else (options.words, options.epochs)
    for seed in options.seeds:
        for form in FORMS:
            for guide in options.guides:
                try:
                    row = train(form, guide, seed, words, epochs, options.objective)
                except UsageError as refusal:
                    print(f"{form} {guide}: {refusal}", flush=True)
                    continue
                with options.out.open("a") as out:
                    out.write(json.dumps(row) + "\n")
                print(f"{form} {guide} {seed}: bound {row['bound']:.3f} KL {row['kl']:.3f}", flush=True)
    table(options.out)


if __name__ == "__main__":
    main()
