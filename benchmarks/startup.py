"""Seconds until `hardpp --help` has answered, and until `hardpp train` has done its first step.

    python benchmarks/startup.py [--runs 7] [--quick]

Whole processes, files warm in the cache (one run before counting).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median


def help_seconds() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "hardpp", "--help"], check=True, capture_output=True)
    return time.perf_counter() - began


def first_step_seconds() -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hardpp", "train", "--out", str(Path(folder) / "run")]
        began = time.perf_counter()
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if line.startswith("step 1 "):
                    break
            seconds = time.perf_counter() - began
            process.kill()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="one run each")
    options = parser.parse_args()
    print("| | median s | min | max |\n|---|---|---|---|")
    for name, measure in {"hardpp --help": help_seconds, "first training step": first_step_seconds}.items():
        measure()
        seconds = [measure() for _ in range(1 if options.quick else options.runs)]
        print(f"| {name} | {median(seconds):.2f} | {min(seconds):.2f} | {max(seconds):.2f} |")


if __name__ == "__main__":
    main()
