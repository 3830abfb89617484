"""Captions by every objective: BLEU, likelihood, and whether words attend to what they name.

    python benchmarks/captions.py --rows exact soft soft-then-exact --seeds 0 1 2 --out runs/captions
    python benchmarks/captions.py --table runs/captions
    python benchmarks/captions.py --quick

Scenes of two to four digits of MNIST unless told otherwise, where every word for a digit has a gold box. All
rows but `soft-first` train the same networks for the same steps; `soft` is the twin whose words see expected
regions, and `soft-then-ROW` is it for the first `--warm` epochs (`soft-first`) and then ROW (`--init-from`).
Each row is a run folder (`hardpp train` would make the same), kept and gone on with; figures are of the epoch
of the best dev bound on the test part. BLEU is sacreBLEU's, of sentences said greedily or by `--beam`.
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

from hardpp.config import merge, parse_setting
from hardpp.runs.training import run_in_folder
from hardpp.tasks.configuration import resolve

ROWS: dict[str, dict[str, Any]] = {
    "exact": {"objective": "exact"},
    "enum": {"objective": "enum", "guide": "variational"},
    "elbo": {
        "objective": "elbo",
        "guide": "variational",
        "inference": {"particles": 4, "baseline": "leave-one-out"},
    },
    "rws": {"objective": "rws", "guide": "variational", "inference": {"particles": 5}},
    "soft": {"objective": "soft"},
}
FIRST, WARM = "soft-first", "soft-then-"
ROWS |= {FIRST: ROWS["soft"], **{f"{WARM}{row}": ROWS[row] for row in ("exact", "enum", "elbo", "rws")}}
COLUMNS = {  # title -> figure
    "BLEU-1": "BLEU1",
    "BLEU-2": "BLEU2",
    "BLEU-3": "BLEU3",
    "BLEU-4": "BLEU4",
    "same": "same",
    "NLL": "nll",
    "entropy": "entropy",
    "KL": "kl",
    "hit, prior": "hit_prior",
    "hit, guide": "hit_guide",
    "hit, posterior": "hit_posterior",
    "CPU s": "cpu_seconds",
}


def train(row: str, seed: int, folder: Path, shared: Mapping[str, Any], warm: int) -> float:
    """CPU seconds of the row, those of the weights it began with included."""
    path = folder / f"{row}-{seed}"
    if (path / "benchmark.json").is_file():
        return float(json.loads((path / "benchmark.json").read_text())["cpu_seconds"])
    layers: list[Mapping[str, Any]] = [
        {"model": "caption"},
        shared,
        ROWS[row],
        {"seed": seed, "device": "cpu"},
    ]
    epochs, before = resolve(layers).training.max_epochs, 0.0
    if row == FIRST:
        layers.append({"training": {"max_epochs": warm}})
    elif row.startswith(WARM):
        before = train(FIRST, seed, folder, shared, warm)
        first = str((folder / f"{FIRST}-{seed}").absolute())
        layers.append({"training": {"max_epochs": epochs - warm}, "init_from": first})
    began = time.process_time()
    _, figures = run_in_folder(resolve(layers), path, resume=True, force=False, report=_report)
    seconds = before + time.process_time() - began
    out = {"row": row, "seed": seed, "commit": commit(), "cpu_seconds": seconds, **figures}
    (path / "benchmark.json").write_text(json.dumps(out, indent=1))
    return seconds


def table(folder: Path) -> None:
    groups = defaultdict(list)
    for path in sorted(folder.glob("*/benchmark.json")):
        figures = json.loads(path.read_text())
        groups[figures["row"]].append(figures)
    titles = ["", "seeds", *COLUMNS]
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    for row in ROWS:
        if group := groups.get(row):
            cells = [f"`{row}`", ", ".join(str(run["seed"]) for run in group)]
            cells += [over_seeds([run[name] for run in group if name in run]) for name in COLUMNS.values()]
            print("| " + " | ".join(cells) + " |")
    runs = [run for group in groups.values() for run in group]
    if guesses := [run["guess"] for run in runs if "guess" in run]:
        print(f"\nA guess of the region hits {mean(guesses):.3f}.")
    signatures, commits = ({run[key] for run in runs} for key in ("signature", "commit"))
    print(
        f"± is the standard error over seeds; {', '.join(signatures)}; commits {', '.join(sorted(commits))}"
    )


def _report(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="digit-captions")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="left out, those of the recommended settings")
    parser.add_argument("--warm", type=int, default=6, help="epochs of soft-first, before soft-then-ROW")
    parser.add_argument("--beam", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/captions"))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--table", type=Path, help="print the table of an earlier run's folder")
    parser.add_argument(
        "--quick", action="store_true", help="64 scenes, two epochs of tiny networks: to see that it runs"
    )
    options = parser.parse_args()
    if options.table:
        table(options.table)
        return
    layers: list[Mapping[str, Any]] = [parse_setting(text) for text in options.set]
    layers += [
        {"data": {"name": options.data}, "threads": options.threads, "decoding": {"beam": options.beam}}
    ]
    if options.epochs:
        layers.append({"training": {"max_epochs": options.epochs}})
    if options.quick:
        sizes = dict.fromkeys(("image", "embedding", "decoder", "attention", "guide"), 8)
        layers.append({"data": {"train_limit": 64}, "training": {"max_epochs": 2}})
        options.warm = 1
        layers.append({"network": {**sizes, "kernels": [4, 4, 4, 4]}})
        options.seeds = options.seeds[:1]
    with TemporaryDirectory() as temporary:
        out = Path(temporary) if options.quick else options.out
        for seed in options.seeds:
            for row in options.rows:
                train(row, seed, out, merge(layers), options.warm)
        table(out)


if __name__ == "__main__":
    main()
