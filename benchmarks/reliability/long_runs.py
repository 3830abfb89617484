"""Are memory and open files flat over a long training, and are two trainings of one seed equal?

    python benchmarks/reliability/long_runs.py --steps 5000

Trains the tiny case of families with a record a step and a checkpoint every 50 steps. Resident memory and
open files are looked at fifty times a training; the slope is that of a line through those after the first
fifth. Two trainings of one seed must be equal to the bit with the same number of threads; whether another
number changes them is said. Prints a row a family.
"""

import argparse
import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from trainings import FAMILIES, Forked, preload, result, training

from measured import commit  # isort: skip


def looked_at(process: Forked, run: Path, steps: int, looks: int = 50) -> list[tuple[int, float, int]]:
    """(step, resident memory in MiB, open files) of a process, so often while it trains."""
    rows: list[tuple[int, float, int]] = []
    home, metrics = Path(f"/proc/{process.pid}"), run / "metrics.jsonl"
    while True:
        pid, status = os.waitpid(process.pid, os.WNOHANG)
        if pid:
            assert status == 0, process.said
            return rows
        step = _last_step(metrics)
        if step >= (len(rows) + 1) * steps // looks:
            pages = int((home / "statm").read_text().split()[1])
            memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
            rows.append((step, memory, len([*(home / "fd").iterdir()])))
        time.sleep(0.05)


def _last_step(metrics: Path) -> int:
    try:
        with metrics.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 2000))
            lines = file.read().split(b"\n")[:-1]
        return int(json.loads(lines[-1])["step"]) if lines else 0
    except (FileNotFoundError, ValueError):
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--family", action="append", choices=[*FAMILIES])
    options = parser.parse_args()
    names = options.family or ["alignment", "glimpse"]
    print(f"commit {commit()}, {options.steps} steps\n")
    columns = ["family", "MiB at a fifth", "MiB at the end", "slope, % per 1,000 steps", "open files"]
    columns += ["same seed", "same seed, two threads"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    wrong = False
    with TemporaryDirectory() as folder:
        work = Path(folder)
        preload(work, names)
        for name in names:
            run = work / "long" / name
            more = ["--max-epochs", "1000000", "--max-steps", str(options.steps), "--checkpoint-every", "50"]
            more += ["--set", "training.patience=1000000"]
            rows = looked_at(Forked(training(name, work, run, *more), work / "log"), run, options.steps)
            late = np.array(rows[len(rows) // 5 :])
            slope = np.polyfit(late[:, 0], late[:, 1], 1)[0] * 1000 / late[0, 1] * 100
            files = sorted(set(late[:, 2].astype(int).tolist()))
            results = []
            for number, threads in (("1", "1"), ("2", "1"), ("3", "2")):
                out = work / "short" / name / number
                words = training(name, work, out, "--threads", threads)
                process = Forked(words, work / "log")
                assert process.wait() == 0, process.said
                results.append(result(out))
            equal, other = results[0] == results[1], results[0] == results[2]
            wrong |= not equal
            cells = [
                name,
                f"{late[0, 1]:.0f}",
                f"{late[-1, 1]:.0f}",
                f"{slope:+.2f}",
                f"{files[0]} to {files[-1]}",
            ]
            cells += ["equal" if equal else "APART", "equal" if other else "apart"]
            print(f"| {' | '.join(cells)} |", flush=True)
    raise SystemExit(wrong)


if __name__ == "__main__":
    main()
