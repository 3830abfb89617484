"""Seconds until the first training step, and memory at its highest, over the number of pairs.

    python benchmarks/loading.py [--pairs 10000 100000 1000000] [--quick]

Pairs are made up: words of 3 to 12 letters and a symbol for each. A training is started twice in a cache of
its own, as a user would start it, and ended after its first steps: the first start packs pairs that are too
many for memory, the second finds them packed. Memory is that of the process and its children together.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil


def write_pairs(path: Path, number: int) -> None:
    draw = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    with path.open("w", encoding="utf-8") as file:
        for _ in range(number):
            word = "".join(draw.choices(letters, k=draw.randint(3, 12)))
            file.write(f"{word}\t{' '.join(word.upper())}\n")


def first_step(data: Path, cache: Path) -> tuple[float, int]:
    """Seconds until step 1 is told, and bytes of memory at most until then."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hardpp", "train", "--data", str(data), "--threads", "1"]
        command += ["--evaluate", "none", "--set", "training.log_every=1", "--out", str(Path(folder) / "run")]
        environment = {**os.environ, "HARDPP_DATA": str(cache)}
        peak, began = 0, time.perf_counter()
        log = Path(folder) / "log"
        with log.open("w") as file, subprocess.Popen(command, stderr=file, env=environment) as process:
            whole = psutil.Process(process.pid)
            while process.poll() is None and not any(line.startswith("step 1 ") for line in _lines(log)):
                found = [whole, *whole.children(recursive=True)]
                peak = max(peak, sum(each.memory_info().rss for each in found if each.is_running()))
                time.sleep(0.05)
            seconds = time.perf_counter() - began
            process.kill()
        if process.returncode not in (-9, 0):
            raise SystemExit(log.read_text())
    return seconds, peak


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--quick", action="store_true", help="few pairs: only to see that it runs")
    options = parser.parse_args()
    print("| pairs | MB of text | first start, s | MiB at most | second start, s | MiB at most |")
    print("|---|---|---|---|---|---|")
    for number in [2_000] if options.quick else options.pairs:
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "words.tsv"
            write_pairs(data, number)
            cells = []
            for _ in range(2):
                seconds, peak = first_step(data, Path(folder) / "cache")
                cells += [f"{seconds:.1f}", f"{peak / 2**20:.0f}"]
            print(f"| {number:,} | {data.stat().st_size / 1e6:.1f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
