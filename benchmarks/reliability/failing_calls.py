"""Calls of the system that fail while a run is trained, evaluated, drawn from and plotted: what is left?

    python benchmarks/reliability/failing_calls.py --each 3

A small library in C is loaded before the C library. It lets the n-th opening, write, fsync, rename or
making of a folder below the run's folder fail, with ENOSPC, EIO, EACCES or EMFILE, n drawn among those that a
whole command makes. Wanted: exit code 6, 4 where a run cannot be read, or 0 where the command does without;
no traceback, nothing half-written, checkpoints that load, and the same command afterwards ends as if nothing
had been. Needs `cc` and Linux. Prints a row a command.
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


class Command:
    """A command on a run of a family, with what it makes of it when nothing fails."""

    def __init__(self, verb: str, words: list[str], run: Path, whole: Path, work: Path):
        self.verb, self.words, self.run, self.whole, self.work = verb, words, run, whole, work
        self.right, self.count = result(whole), Counter[str]()

    def fail(self, kind: str, each: int, draw: random.Random) -> None:
        """Lets calls of a kind fail with every error it may have, at drawn places."""
        self._prepare()
        calls = counted(self.words, kind, self.run.parent, self.work)
        for number in ERRORS[kind]:
            for at in sorted(draw.sample(range(1, calls + 1), min(each, calls))):
                wrong, said = self._try(kind, at, number)
                self.count["tried"] += 1
                if wrong:
                    self.count["faults"] += 1
                    which = f"{self.verb}, {kind} {at} of {calls}, {errno.errorcode[number]}"
                    print(f"{which}: {', '.join(wrong)} {said.strip().splitlines()[-1:]}", flush=True)

    def _try(self, kind: str, at: int, number: int) -> tuple[list[str], str]:
        self._prepare()
        process = Forked(self.words, self.work / "log", failing(kind, at, number, self.run.parent))
        code = process.wait()
        self.count[f"code {code}"] += 1
        wrong = faults(process, code, ENDS.get(kind, (0, 6)), self.run)
        if Forked(self.words, self.work / "again").wait() != 0:
            wrong.append("the next command fails")
        elif self.verb == "train" and result(self.run) != self.right:
            wrong.append("not equal afterwards")
        return wrong, process.said

    def _prepare(self) -> None:
        shutil.rmtree(self.run.parent, ignore_errors=True)
        self.run.parent.mkdir(parents=True)
        if self.verb != "train":
            shutil.copytree(self.whole, self.run)


def commands(name: str, work: Path) -> list[Command]:
    """What is tried of a family, after a training that nothing disturbs."""
    whole, run = work / "whole" / name, work / "run" / "it"
    assert Forked(training(name, work, whole), work / "log").wait() == 0
    few = ["--limit", "2", "--device", "cpu"]
    words = {
        "train": training(name, work, run),
        "evaluate": ["evaluate", str(run), *few],
        "posterior": ["posterior", str(run), *few, "--force"],
        "plot": ["plot", str(run), *few, "--count", "1", "--force", "--out", str(run / "plots")],
    }
    return [Command(verb, words[verb], run, whole, work) for verb in words]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", type=int, default=3, help="draws for each command, call and error")
    parser.add_argument("--family", action="append", choices=[*FAMILIES], help="only these")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if "HARDPP_FAILING_CALLS" not in os.environ:
        raise SystemExit(_preloaded())
    names, draw = options.family or ["alignment", "glimpse"], random.Random(options.seed)
    columns = ["tried", "code 6", "code 0", "code 4", "faults"]
    rows, faulty = [], False
    with TemporaryDirectory() as folder:
        work = Path(folder)
        preload(work, names)
        for name in names:
            for command in commands(name, work):
                for kind in ERRORS:
                    command.fail(kind, options.each, draw)
                cells = [str(command.count[column]) for column in columns]
                rows.append(f"| {name}, {command.verb} | {' | '.join(cells)} |")
                faulty |= bool(command.count["faults"])
    print(f"seed {options.seed}, commit {commit()}\n")
    print(f"| command | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    print("\n".join(rows))
    raise SystemExit(faulty)


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
