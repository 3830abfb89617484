"""Seconds to draw, compute and write a posterior file, beside an epoch of training and `evaluate`, by family.

    python benchmarks/posterior_export.py [--draws 200] [--items 64] [--quick]

Every family is trained for one epoch on the CPU with its preset, on one thread, then `hardpp evaluate` and
`hardpp posterior` run in processes of their own. `posterior` is of so many items and draws; `evaluate` is of
the test part. Seconds are those of the processor, without what an idle command needs to start.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

FAMILIES = {
    "alignment": [],
    "glimpse": ["--set", "data.train_limit=2000"],
    "online-alignment": ["--set", "data.train_limit=500"],
    "question-answering": ["--set", "data.train_limit=2000"],
}


def cpu_seconds(*words: str) -> float:
    """Processor seconds of a command; a SystemExit if it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "hardpp", "--quiet", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--quick", action="store_true", help="one family, few data: only to see that it runs")
    options = parser.parse_args()
    families = {"alignment": ["--set", "data.train_limit=200"]} if options.quick else FAMILIES
    items, draws = (4, 5) if options.quick else (options.items, options.draws)
    idle = cpu_seconds("objectives")
    print(f"{items} items, {draws} draws")
    print("\n| family | epoch, s | evaluate, s | posterior, s | MB |")
    print("|---|---|---|---|---|")
    for family, settings in families.items():
        with tempfile.TemporaryDirectory() as folder:
            run, file = str(Path(folder) / "run"), Path(folder) / "posterior.nc"
            words = ["train", "--model", family, "--threads", "1", "--max-epochs", "1", "--evaluate", "none"]
            epoch = cpu_seconds(*words, *settings, "--out", run)
            evaluate = cpu_seconds("evaluate", run)
            wanted = ["--limit", str(items), "--draws", str(draws), "--out", str(file)]
            posterior = cpu_seconds("posterior", run, *wanted)
            size = file.stat().st_size / 1e6
        cells = " | ".join(f"{each - idle:.1f}" for each in (epoch, evaluate, posterior))
        print(f"| {' '.join([family, *settings[1:]])} | {cells} | {size:.1f} |", flush=True)


if __name__ == "__main__":
    main()
