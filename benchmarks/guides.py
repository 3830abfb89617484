"""Every guide of the alignment models side by side: bound, distance to the exact posterior, time of a step.

    python benchmarks/guides.py --seeds 0 1 2 --out guides.jsonl
    python benchmarks/guides.py --data cmudict --words 2000 --epochs 6 --out cmudict.jsonl
    python benchmarks/guides.py --table guides.jsonl
    python benchmarks/guides.py --quick

Spelling to phones, by attention and as a chain, with small networks, the ELBO of four draws and one thread:
of all 256 words of four letters that `docs/python.md` makes up, or of the first words of CMUdict. Figures are
of the dev part, in nats a symbol, at the epoch with the best dev bound: log p(y), exact; KL(guide || exact
posterior), exact, or by 50 draws of guides whose steps depend on one another; and the bound, which is their
difference. A step's time is the median, forward and backward.
"""

import argparse
import json
import time
from collections import defaultdict
from copy import deepcopy
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
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


def made_up(folder: Path) -> Path:
    """Words of consonant, vowel, consonant, vowel, of which one letter is two phones."""
    sounds = {"b": "B", "k": "K", "s": "S", "x": "K S", "a": "AH", "e": "EH", "i": "IH", "o": "OW"}
    words = ["".join(letters) for letters in product("bksx", "aeio", "bksx", "aeio")]
    path = folder / "words.tsv"
    path.write_text("".join(f"{word}\t{' '.join(map(sounds.get, word))}\n" for word in words))
    return path


def train(form: str, guide: str, seed: int, data: str, options: argparse.Namespace) -> dict[str, Any]:
    """A row of the table.

    Raises:
        UsageError: the form does not have the guide.
    """
    given = {
        "objective": options.objective,
        "guide": guide,
        "seed": seed,
        "threads": 1,
        "device": "cpu",
        "data": {"name": data, "train_limit": options.words},
        "network": {**SIZES, "alignment": form},
        "training": {"max_epochs": options.epochs, "log_every": 1, "batch_size": 16},
        "optimiser": {"learning_rate": 0.01, "weight_decay": 0.0, "average": 0.9},
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
    row = {"form": form, "guide": guide, "seed": seed, "objective": options.objective}
    row |= {
        "commit": commit(),
        "epochs": options.epochs,
        "log_p": -found["nll"],
        "kl": round(found["kl"], 6) + 0.0,
    }
    return row | {"bound": -found["nll"] - found["kl"], "milliseconds": 1000 * median(seconds)}


def table(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for form in FORMS:
        groups = defaultdict(list)
        for row in rows:
            if row["form"] == form:
                groups[row["guide"]].append(row)
        columns = "| guide | bound | KL to the posterior | log p(y) | ms a step |"
        print(f"\n{form}\n\n{columns}\n|---|---|---|---|---|")
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
    parser.add_argument("--data", help="a data set; left out, words that are made up")
    parser.add_argument("--words", type=int, help="of the training part; left out, all")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--objective", default="elbo")
    parser.add_argument("--out", type=Path, default=Path("guides.jsonl"))
    parser.add_argument("--table", type=Path, help="print the table of an earlier run's file")
    parser.add_argument("--quick", action="store_true", help="32 words, one epoch: only to see that it runs")
    options = parser.parse_args()
    if options.table:
        table(options.table)
        return
    if options.quick:
        options.words, options.epochs = 32, 1
    with TemporaryDirectory() as folder:
        data = options.data or str(made_up(Path(folder)))
        for seed, form, guide in product(options.seeds, FORMS, options.guides):
            try:
                row = train(form, guide, seed, data, options)
            except UsageError as refusal:
                print(f"{form} {guide}: {refusal}", flush=True)
                continue
            with options.out.open("a") as out:
                out.write(json.dumps(row) + "\n")
            print(f"{form} {guide} {seed}: bound {row['bound']:.3f} KL {row['kl']:.3f}", flush=True)
    table(options.out)


if __name__ == "__main__":
    main()
