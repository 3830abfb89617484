"""Translation by every objective of Deng et al. (2018), table 1: BLEU, perplexity, and where models look.

    python benchmarks/translation.py --data ding --rows soft exact --seeds 0 1 2 --out runs/translation
    python benchmarks/translation.py --table runs/translation
    python benchmarks/translation.py --quick

Each row is a run folder (`hardpp train` would make the same), kept and gone on with; the run's figures are of
the epoch of the best dev bound on the test part. One process and `--threads` CPU threads; run two at a time
on two cores. BLEU is sacreBLEU's, of beams of 5 with GNMT's length penalty 1.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

from measured import commit, over_seeds

from hardpp.runs.training import run_in_folder
from hardpp.tasks.configuration import resolve

# What Deng et al. call them -> objective, guide, options, and the row whose weights come first.
ROWS: dict[str, dict[str, Any]] = {
    "soft": {"objective": "soft"},
    "exact": {"objective": "exact"},
    "hard-enum": {"objective": "enum", "guide": "prior"},
    "hard-sample": {
        "objective": "elbo",
        "guide": "prior",
        "inference": {"particles": 1, "baseline": "soft-attention"},
    },
    "relaxed-prior": {"objective": "dirichlet", "guide": "prior"},
    "relaxed": {"objective": "dirichlet", "guide": "variational", "init_from": "relaxed-prior"},
    "va-enum": {"objective": "enum", "guide": "variational"},
    "va-sample": {"objective": "elbo", "inference": {"particles": 1, "baseline": "soft-attention"}},
    "va-sample-4": {"objective": "elbo", "inference": {"particles": 4, "baseline": "leave-one-out"}},
    "rws": {"objective": "rws", "inference": {"particles": 5, "control_variates": False}},
    "gumbel": {"objective": "gumbel"},
    "soft-then-soft": {"objective": "soft", "init_from": "soft"},
    "soft-then-exact": {"objective": "exact", "init_from": "soft"},
    "soft-then-va-enum": {"objective": "enum", "init_from": "soft", "inference": {"kl_warmup": 500}},
}
KEEPS = (1, 2, 3, 5)  # of Deng et al.'s K-max, table 2
FIGURES = ("PPL", "BLEU", "nll", "entropy", "kl")


def train(row: str, seed: int, folder: Path, shared: Mapping[str, Any], curve: bool) -> None:
    chosen = dict(ROWS[row])
    if (first := chosen.pop("init_from", None)) is not None:
        train(first, seed, folder, shared, curve)
        chosen["init_from"] = str((folder / f"{first}-{seed}").absolute())
    path = folder / f"{row}-{seed}"
    if (path / "benchmark.json").is_file():
        return
    config = resolve([shared, chosen, {"seed": seed, "device": "cpu"}])
    began = time.process_time()
    run, figures = run_in_folder(
        config, path, resume=True, force=False, report=lambda text: print(text, flush=True)
    )
    seconds = time.process_time() - began
    items, kept = run.select(), {}
    for keep in KEEPS if curve else ():
        kept[keep] = {name: run.evaluate(items, keep=keep)[name] for name in ("PPL", "BLEU")}
    out = {"row": row, "seed": seed, "commit": commit(), "cpu_seconds": seconds, **figures, "keep": kept}
    (path / "benchmark.json").write_text(json.dumps(out, indent=1))


def table(folder: Path) -> None:
    groups = defaultdict(list)
    for path in sorted(folder.glob("*/benchmark.json")):
        found = json.loads(path.read_text())
        groups[found["row"]].append(found)
    columns = ["", "seeds", *FIGURES, "CPU s"]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for row in ROWS:
        if group := groups.get(row):
            cells = [row, ", ".join(str(one["seed"]) for one in group)]
            cells += [over_seeds([one[name] for one in group]) for name in FIGURES]
            cells.append(f"{mean(one['cpu_seconds'] for one in group):.0f}")
            print("| " + " | ".join(cells) + " |")
    for row, group in groups.items():
        curves = [one["keep"] for one in group if one["keep"]]
        for keep in KEEPS if curves else ():
            figures = [over_seeds([curve[str(keep)][name] for curve in curves]) for name in ("PPL", "BLEU")]
            print(f"K-max {keep}, {row}: PPL {figures[0]}, BLEU {figures[1]}")
    signatures = {one["signature"] for group in groups.values() for one in group}
    commits = {one["commit"] for group in groups.values() for one in group}
    print(f"\n{', '.join(sorted(signatures))}; commits {', '.join(sorted(commits))}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="ding")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/translation"))
    parser.add_argument("--keep-curve", action="store_true", help="also decode with K-max 1, 2, 3, 5")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--table", type=Path, help="print the table of an earlier run's folder")
    parser.add_argument("--quick", action="store_true", help="300 pairs, one epoch: only to see that it runs")
    asked = parser.parse_args()
    if asked.table:
        table(asked.table)
    else:
        from hardpp.config import merge, parse_setting

        layers: list[Mapping[str, Any]] = [parse_setting(text) for text in asked.set]
        layers += [{"data": {"name": asked.data}, "threads": asked.threads}]
        if asked.quick:
            quick = {"data": {"train_limit": 300}, "training": {"max_epochs": 1}, "decoding": {"beam": 1}}
            layers = [*layers, quick, {"network": {"embedding": 8, "encoder": 8, "decoder": 8, "guide": 8}}]
        with TemporaryDirectory() as temporary:
            out = Path(temporary) if asked.quick else asked.out
            for seed in asked.seeds:
                for row in ["soft", "va-sample"] if asked.quick else asked.rows:
                    train(row, seed, out, merge(layers), asked.keep_curve)
            table(out)
