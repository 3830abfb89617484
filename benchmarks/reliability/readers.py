"""Damaged copies of a file of every kind that is read: a value or one sentence, or a fault?

    python benchmarks/reliability/readers.py --copies 10000 --json readers.json

The copies are those of `tests/contracts/test_readers.py`, which tries a few of each reader: bytes and bits
flipped, files cut, blocks and lines left out, repeated and moved, numbers beyond all bounds, deep nesting,
odd signs and encodings. A fault is any error but one of hardpp's own with a message of one sentence that
names the file; more than five seconds of the processor; a file that is written, code that is run, or a death
of the process.
Each reader works in a process of its own, which may take `--memory` MiB more than it begins with. Prints a
row a reader; a fault is printed with the number of its copy: `--first` begins there.
"""

import argparse
import json
import os
import resource
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2] / "tests"), str(Path(__file__).parents[1])]

import torch  # noqa: E402
from fuzzed import runs  # noqa: E402
from fuzzed.catalogue import READERS  # noqa: E402
from fuzzed.reader import Case  # noqa: E402

from measured import commit  # isort: skip  # noqa: E402

COLUMNS = ("copies", "read", "refused", "faults", "slowest", "memory")
PAGE = os.sysconf("SC_PAGE_SIZE")


def tried(name: str, numbers: range, memory: int) -> dict[str, Any]:
    """What came of the copies of these numbers of one reader's file; None of seconds and MiB if it died."""
    told, telling = os.pipe()
    sys.stdout.flush()
    if (process := os.fork()) == 0:
        try:
            os.close(told)
            has = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE
            resource.setrlimit(resource.RLIMIT_AS, (has + memory * 2**20,) * 2)
            with os.fdopen(telling, "w") as stream:
                stream.write(json.dumps(_tried(name, numbers)))
        finally:
            os._exit(0)
    os.close(telling)
    with os.fdopen(told) as stream:
        said = stream.read()
    os.waitpid(process, 0)
    if said:
        return dict(json.loads(said))
    return {"copies": len(numbers), "read": 0, "refused": 0, "faults": 1, "told": ["the process died"]}


def _tried(name: str, numbers: range) -> dict[str, Any]:
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing")
    counts, told, slowest = {"read": 0, "refused": 0, "fault": 0}, [], 0.0
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        case = Case(READERS[name], Path(folder))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in numbers:
            outcome = case.outcome(number)
            counts[outcome.kind] += 1
            slowest = max(slowest, outcome.seconds)
            if outcome.kind == "fault":
                told.append(f"copy {number}: {outcome.told.replace(folder, '')}")
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"copies": len(numbers), "read": counts["read"], "refused": counts["refused"]}
    return {
        **found,
        "faults": counts["fault"],
        "slowest": slowest,
        "memory": (after - before) >> 10,
        "told": told,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--copies", type=int, default=10_000, help="of each reader's file")
    parser.add_argument("--first", type=int, default=0, help="the number of the first copy")
    parser.add_argument("--only", default="", help="readers that have this in their name")
    parser.add_argument("--memory", type=int, default=2048, help="MiB that reading may take")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    runs.prepare()
    numbers = range(options.first, options.first + options.copies)
    print(f"commit {commit()}\n\n| reader | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    rows = {}
    for name in (name for name in READERS if options.only in name):
        row = rows[name] = tried(name, numbers, options.memory)
        seconds, memory = row.get("slowest"), row.get("memory")
        cells = [f"{row[key]:,}" for key in COLUMNS[:4]]
        cells += ["" if seconds is None else f"{seconds:.2f} s", "" if memory is None else f"{memory} MiB"]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    total = {key: sum(row[key] for row in rows.values()) for key in COLUMNS[:4]}
    print(f"| all | {' | '.join(f'{total[key]:,}' for key in COLUMNS[:4])} | | |\n")
    for name, row in rows.items():
        for told in row["told"][:20]:
            print(f"{name}: {told}")
    if options.json is not None:
        options.json.write_text(json.dumps({"commit": commit(), "readers": rows}, indent=1) + "\n")
    raise SystemExit(bool(total["faults"]))


if __name__ == "__main__":
    main()
