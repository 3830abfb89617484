"""kill -9 at random moments of trainings of every family: does the same command go on, and bit for bit?

    python benchmarks/reliability/kills.py --kills 200 --inside 50

Each chain of trainings is killed up to four times, then ends: first, of `--inside` in all, at a drawn call
that opens, renames or makes something in the folder of checkpoints, then, of `--kills` in all, at moments
drawn over the length of a training. What is left must equal what an undisturbed training leaves: weights,
moments of the optimiser, random states, records and summary. Prints a row a family.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from trainings import FAMILIES, Forked, preload, result, training

from measured import commit  # isort: skip

CALLS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.listdir"}  # that Python tells of


def dying(count: int, folder: Path) -> Callable[[], None]:
    """Lets a process kill itself at a call, from 1, that works on a folder's files; never if it has fewer."""

    def begin() -> None:
        seen = 0

        def look(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            if event in CALLS and str(arguments[0]).startswith(str(folder)):
                seen += 1
                if seen == count:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(look)

    return begin


def calls(words: list[str], folder: Path, log: Path, told: Path) -> int:
    """How many such calls a whole training makes."""

    def begin() -> None:
        seen = 0
        leave = os._exit

        def look(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            seen += event in CALLS and str(arguments[0]).startswith(str(folder))

        def listing(code: int) -> None:
            told.write_text(str(seen))
            leave(code)

        sys.addaudithook(look)
        os._exit = listing  # type: ignore[assignment]

    Forked(words, log, begin).wait()
    return int(told.read_text())


class Chain:
    """Trainings of one family, killed and begun again, held against one that nothing disturbed."""

    def __init__(self, name: str, work: Path, draw: random.Random):
        self.name, self.draw, self.count = name, draw, Counter[str]()
        self.out, self.log = work / "killed" / name, work / "log"
        undisturbed = work / "undisturbed" / name
        start = time.monotonic()
        assert Forked(training(name, work, undisturbed), self.log).wait() == 0, self.log.read_text()
        self.length, self.right = time.monotonic() - start, result(undisturbed)
        self.words = training(name, work, self.out)
        counted = work / "counted" / name
        self.calls = calls(training(name, work, counted), counted / "checkpoints", self.log, work / "told")

    def run(self, kills: int, inside: int) -> None:
        """One chain with so many kills inside of checkpoints and then so many at drawn moments, at most."""
        shutil.rmtree(self.out, ignore_errors=True)
        for _ in range(inside):
            at = self.draw.randint(1, self.calls)
            self._note("inside", Forked(self.words, self.log, dying(at, self.out / "checkpoints")).wait())
        for _ in range(kills):
            process = Forked(self.words, self.log)
            self._note("kills", process.wait_or_kill(self.draw.uniform(0, self.length)))
        process = Forked(self.words, self.log)
        code = process.wait()
        self.count["chains"] += 1
        if code != 0 or "Traceback" in process.said:
            print(f"{self.name}: the last command ended with {code}: {process.said.strip()[-300:]}")
        elif (left := result(self.out)) != self.right:
            apart = [key for key in self.right if left.get(key) != self.right[key]]
            print(f"{self.name}: apart in {', '.join(apart)}")
        else:
            self.count["equal"] += 1
        litter = [str(path.relative_to(self.out)) for path in self.out.rglob(".partial-*")]
        self.count["litter"] += len(litter)
        if litter:
            print(f"{self.name}: left behind: {', '.join(litter)}")

    def _note(self, kind: str, code: int | None) -> None:
        checkpoints = self.out / "checkpoints"
        if code != -signal.SIGKILL:  # it was through before, or had fewer calls to make
            self.count["ended before"] += code == 0
            if code != 0:
                print(f"{self.name}: a process that was not killed ended with {code}")
            return
        self.count[kind] += 1
        self.count["before the first"] += not [*checkpoints.glob("step-*")]
        self.count["half-written"] += bool([*checkpoints.glob(".partial-*")])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="at drawn moments, over all families")
    parser.add_argument("--inside", type=int, default=50, help="at drawn calls of saving a checkpoint")
    parser.add_argument("--family", action="append", choices=[*FAMILIES], help="only these")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = options.family or [*FAMILIES]
    draw = random.Random(options.seed)
    with TemporaryDirectory() as folder:
        work = Path(folder)
        preload(work, names)
        chains = [Chain(name, work, draw) for name in names]
        total = Counter[str]()
        while total["kills"] < options.kills or total["inside"] < options.inside:
            for chain in chains:
                left, inside = options.kills - total["kills"], options.inside - total["inside"]
                if left > 0 or inside > 0:
                    chain.run(max(0, min(left, draw.randint(1, 3))), max(0, min(inside, 1)))
                total = sum((chain.count for chain in chains), Counter[str]())
        print(f"seed {options.seed}, commit {commit()}\n")
        columns = ["kills", "inside", "ended before", "before the first", "half-written", "chains", "equal"]
        print(f"| family | {' | '.join(columns)} | litter |\n|{'---|' * (len(columns) + 2)}")
        for chain in chains:
            print(f"| {chain.name} | {' | '.join(str(chain.count[key]) for key in (*columns, 'litter'))} |")
        print(f"| all | {' | '.join(str(total[key]) for key in (*columns, 'litter'))} |")
    raise SystemExit(total["chains"] != total["equal"])


if __name__ == "__main__":
    main()
