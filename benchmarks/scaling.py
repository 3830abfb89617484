"""Steps of one training by one process and by several: the same batches, shared among more cores.

    python benchmarks/scaling.py [--processes 1 2] [--steps 150] [--quick]

`torchrun -m hardpp train` with one thread a process (strong scaling: the batch stays as large as it is). The
time of a step is that between records of metrics.jsonl, the median over the second half of the steps; speed
is relative to one process. As many processes as cores are the most that can help.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

TRAININGS = {
    "alignment, exact, B=64": ["--model", "alignment", "--objective", "exact"],
    "alignment, elbo, B=64": ["--model", "alignment", "--guide", "variational"],
    "alignment, elbo, B=512": [
        "--model",
        "alignment",
        "--guide",
        "variational",
        "--set",
        "training.batch_size=512",
    ],
}


def seconds(words: list[str], processes: int, steps: int) -> float:
    """Seconds of a step in the second half of a training."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
        command += [str(processes), "-m", "hardpp", "--quiet", "train", *words, "--threads", "1"]
        command += ["--max-steps", str(steps), "--evaluate", "none", "--set", "training.log_every=1"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, "--out", str(run)], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        lines = [
            json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        ]
    times = [line["time"] for line in lines if line["split"] == "train"][steps // 2 :]
    return median(later - earlier for earlier, later in itertools.pairwise(times))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--quick", action="store_true", help="few steps of one: only to see that it runs")
    options = parser.parse_args()
    trainings = dict([*TRAININGS.items()][:1]) if options.quick else TRAININGS
    print("| training | processes | ms a step | speed |\n|---|---|---|---|")
    for name, words in trainings.items():
        alone = None
        for number in options.processes:
            took = seconds(words, number, 12 if options.quick else options.steps)
            alone = alone or took
            print(f"| {name} | {number} | {1e3 * took:.0f} | {alone / took:.2f} |", flush=True)


if __name__ == "__main__":
    main()
