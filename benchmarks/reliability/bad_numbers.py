"""Weights that stop being finite in a step: exit 5, and does `hardpp replay` show what there was to see?

    python benchmarks/reliability/bad_numbers.py --json bad_numbers.json

Trainings of every family, with each of the three policies, take a step of infinite learning rate. Then the
step is replayed twice: as it was, where it must not be finite again (exit 0), and with the rate that it was
to have, where it is finite and it must be said why that may be (exit 1). Prints a row a family.
"""

import argparse
import json
import math
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from trainings import FAMILIES, Forked, preload, training
from verdicts import is_fault, verdict

from hardpp.runs.optimisation import Schedule

from measured import commit  # isort: skip

POLICIES = ("stop", "skip", "rollback")
STEP = 2  # from 0, after the first checkpoint


def ruin() -> None:
    """Gives one step an infinite learning rate, in this process."""
    usual = Schedule.rate
    Schedule.rate = lambda schedule, step: math.inf if step == STEP else usual(schedule, step)  # type: ignore[method-assign]


def faults_of(name: str, work: Path) -> list[str]:
    """What is wrong with three trainings of a family and their six replays."""
    faults, run = [], work / "run"
    for policy in POLICIES:
        shutil.rmtree(run, ignore_errors=True)
        words = training(name, work, run, "--set", f"training.on_nonfinite={policy}")
        kept = run / "bad_batch.json"
        asked = [
            (words, ruin, 5, ""),
            (["replay", kept], ruin, 0, "first: "),
            (["replay", kept], lambda: None, 1, "is finite here"),
        ]
        for command, first, wanted, sentence in asked:
            process = Forked(command, work / "log", first)
            code = process.wait()
            told = verdict(code, process.said)
            if code != wanted or sentence not in process.said or (is_fault(told) and code != 1):
                faults.append(f"{name} {policy}: {command[0]} ended in {code}, {told}")
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", action="append", choices=[*FAMILIES], help="only these")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    names, found = options.family or [*FAMILIES], dict[str, list[str]]()
    print(f"commit {commit()}\n\n| family | trainings | replays | faults |\n|---|---|---|---|")
    with TemporaryDirectory() as folder:
        work = Path(folder)
        preload(work, names)
        for name in names:
            found[name] = faults_of(name, work)
            print(f"| {name} | {len(POLICIES)} | {2 * len(POLICIES)} | {len(found[name])} |", flush=True)
    faults = [fault for each in found.values() for fault in each]
    print("".join(f"\n{fault}" for fault in faults))
    if options.json is not None:
        options.json.write_text(json.dumps({"commit": commit(), "faults": found}, indent=1) + "\n")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
