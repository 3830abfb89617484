"""Calls of the system that fail while a run is trained, evaluated, drawn from and plotted: what is left?

    python benchmarks/reliability/failing_calls.py --each 3

A small library in C is loaded before the C library and lets the n-th opening, write, fsync, rename or making of a folder
below the run's folder fail, with ENOSPC, EIO, EACCES or EMFILE, n drawn among those that a whole command makes.
Wanted: exit code 6, or 0 where the command does without, one sentence, nothing half-written, checkpoints that
load, and the same command afterwards ends as if nothing had been. Needs `cc` and Linux. Prints a row a command.
"""

import argparse
import ctypes
import errno
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from trainings import FAMILIES, Forked, preload, result, training

from measured import commit  # isort: skip

# What a call may say; a full disk says so only where bytes are wanted.
ERRORS = {
    "open": (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE),
    "read": (errno.EIO, errno.EACCES, errno.EMFILE),
    "write": (errno.ENOSPC, errno.EIO),
    "fsync": (errno.ENOSPC, errno.EIO),
    "rename": (errno.ENOSPC, errno.EIO, errno.EACCES),
    "mkdir": (errno.ENOSPC, errno.EIO, errno.EACCES),
}
ENDS = {"read": (0, 4, 6)}  # exit codes; what cannot be read is the run's fault, or the machine's


def failing(kind: str, at: int, number: int, folder: Path) -> Callable[[], None]:
    def begin() -> None:
        ctypes.CDLL(None).fail_at(kind.encode(), ctypes.c_long(at), number, str(folder).encode())

    return begin


def counted(words: list[str], kind: str, folder: Path, work: Path) -> int:
    """How many calls of a kind a whole command makes below a folder."""
    told = work / "told"

    def begin() -> None:
        failing(kind, 2**40, 0, folder)()
        leave = os._exit

        def telling(code: int) -> None:
            seen = ctypes.CDLL(None).calls_seen()
            failing("none", -1, 0, folder)()
            told.write_text(str(seen))
            leave(code)

        os._exit = telling  # type: ignore[assignment]

    Forked(words, work / "log", begin).wait()
    return int(told.read_text())


def faults(process: Forked, code: int | None, wanted: tuple[int, ...], run: Path) -> list[str]:
    """What is wrong with how a command ended."""
    said = process.said
    found = [f"code {code}"] if code not in wanted else []
    found += ["traceback"] if "Traceback" in said else []
    left = [path.name for path in run.parent.rglob("*") if ".partial-" in path.name or path.suffix == ".part"]
    return found + (["half-written files"] if left else [])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", type=int, default=3, help="draws for each command, call and error")
    parser.add_argument("--family", action="append", choices=[*FAMILIES], help="only these")
    parser.add_argument("--command", action="append", help="only these: train, evaluate, posterior, plot")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if "HARDPP_FAILING_CALLS" not in os.environ:
        raise SystemExit(_preloaded())
    names, draw, bad = options.family or ["alignment", "glimpse"], random.Random(options.seed), 0
    rows = []
    with TemporaryDirectory() as folder:
        work = Path(folder)
        preload(work, names)
        for name in names:
            whole = work / "whole" / name
            assert Forked(training(name, work, whole), work / "log").wait() == 0
            right = result(whole)
            run = work / "run" / "it"
            commands: dict[str, list[str]] = {
                "train": training(name, work, run),
                "evaluate": ["evaluate", str(run), "--limit", "2", "--device", "cpu"],
                "posterior": ["posterior", str(run), "--limit", "2", "--force", "--device", "cpu"],
                "plot": [
                    "plot",
                    str(run),
                    "--count",
                    "1",
                    "--limit",
                    "2",
                    "--force",
                    "--device",
                    "cpu",
                    "--out",
                    str(run / "plots"),
                ],
            }
            for verb in options.command or commands:
                count, words = Counter[str](), commands[verb]
                for kind, numbers in ERRORS.items():
                    _prepare(run, whole, verb)
                    calls = counted(words, kind, run.parent, work)
                    for number in numbers:
                        for at in sorted(draw.sample(range(1, calls + 1), min(options.each, calls))):
                            _prepare(run, whole, verb)
                            process = Forked(words, work / "log", failing(kind, at, number, run.parent))
                            code = process.wait()
                            wrong = faults(process, code, ENDS.get(kind, (0, 6)), run)
                            again = Forked(words, work / "again")
                            if again.wait() != 0:
                                wrong.append("the next command fails")
                            elif verb == "train" and result(run) != right:
                                wrong.append("not equal afterwards")
                            count["tried"] += 1
                            count[f"code {code}"] += 1
                            count["faults"] += bool(wrong)
                            if wrong:
                                last = process.said.strip().splitlines()[-1:]
                                print(
                                    f"{name} {verb}, {kind} {at} of {calls}, {errno.errorcode[number]}: {', '.join(wrong)} {last}",
                                    flush=True,
                                )
                rows.append((f"{name}, {verb}", count))
                bad += count["faults"]
    print(f"seed {options.seed}, commit {commit()}\n")
    print("| command | failed calls | exit 6 | done without | exit 4 | faults |\n|---|---|---|---|---|---|")
    for title, count in rows:
        print(
            f"| {title} | {' | '.join(str(count[key]) for key in ('tried', 'code 6', 'code 0', 'code 4', 'faults'))} |"
        )
    raise SystemExit(bad > 0)


def _prepare(run: Path, whole: Path, verb: str) -> None:
    shutil.rmtree(run.parent, ignore_errors=True)
    run.parent.mkdir(parents=True)
    if verb != "train":
        shutil.copytree(whole, run)


# This script again, with the library in its place.
def _preloaded() -> int:
    with TemporaryDirectory() as folder:
        library = Path(folder) / "failing_calls.so"
        source = Path(__file__).with_suffix(".c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        environment = {**os.environ, "LD_PRELOAD": str(library), "HARDPP_FAILING_CALLS": "1"}
        return subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode


if __name__ == "__main__":
    main()
