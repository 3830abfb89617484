"""A stranger's files: bytes flipped, folders crafted, files that unpack to gigabytes.

    python benchmarks/reliability/files.py --flips 1000 --crafted 500 --json files.json

A trained run and a posterior are damaged in one place (bits, bytes, cuts, zeros, more bytes, nothing at all)
or made odd (`crafted.py`), and commands are asked about them: `evaluate`, `train` once more, `posterior`.
Every command must end well, with the figures of the run as it was where it was only damaged, or with a
documented exit code and a sentence. Nothing may run that the folder names, and nothing be written outside of
it. Files of `bombs.py` must be refused in the memory that `--memory` allows. Each command is a process of its
own. Prints a row for each kind.
"""

import argparse
import json
import os
import random
import resource
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from trainings import Forked, preload, training

from bombs import BOMBS  # isort: skip
from crafted import crafts
from verdicts import is_fault, verdict

from measured import commit  # isort: skip

SECONDS = 90  # that a command may take
KINDS = ("bit", "bit", "bit", "byte", "cut", "zeros", "more", "empty", "gone")
COLUMNS = ("commands", "ended well", "refused", "faults", "slowest")


def damaged(path: Path, kind: str, draw: random.Random) -> str:
    """Damages a file in one place; what was done."""
    data = bytearray(path.read_bytes())
    at = draw.randrange(max(1, len(data) if draw.random() < 0.6 else min(len(data), 400)))
    match kind:
        case "gone":
            path.unlink()
            return "gone"
        case "empty":
            data.clear()
        case "more":
            data += draw.randbytes(draw.randint(1, 64))
        case "cut":
            del data[at:]
        case "zeros":
            data[at : at + 64] = bytes(len(data[at : at + 64]))
        case _ if data:
            data[at] = data[at] ^ 1 << draw.randrange(8) if kind == "bit" else draw.randrange(256)
    path.write_bytes(data)
    return f"{kind} at {at}"


class Asked:
    """Commands that were asked about files of a kind, and what came of them.

    Args:
        work: a folder for what they print.
        memory: MiB that a command may take more than it begins with.
    """

    def __init__(self, work: Path, memory: int):
        self.work, self.memory = work, memory
        self.count, self.slowest, self.faults = Counter[str](), 0.0, list[str]()

    def ask(self, words: Sequence[object], about: str, wrong: Callable[[str], str] = lambda said: "") -> None:
        """Runs a command; `wrong` says what is, though it ended well, of what it printed."""
        process = Forked(words, self.work / "log", self._limited)
        began = time.monotonic()
        code = process.wait(SECONDS)
        self.slowest = max(self.slowest, time.monotonic() - began)
        told = verdict(code, process.said)
        self.count["commands"] += 1
        if not is_fault(told) and (fault := wrong(process.said if code == 0 else "")):
            told = fault
        self.count[told if not is_fault(told) else "faults"] += 1
        if is_fault(told):
            self.fault(f"{about}: {words[0]}: {told}")

    def fault(self, told: str) -> None:
        """Puts down what must not be, and says so at once."""
        self.faults.append(told)
        print(told, file=sys.stderr, flush=True)

    def _limited(self) -> None:
        os.chdir(self.work)
        has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (has + self.memory * 2**20,) * 2)

    @property
    def row(self) -> str:
        return " | ".join([*(f"{self.count[key]:,}" for key in COLUMNS[:-1]), f"{self.slowest:.1f} s"])


def flips(asked: Asked, whole: Path, words: list[str], count: int, draw: random.Random) -> None:
    """Damages files of a run and a posterior, one after the other, and asks about them."""
    run = asked.work / "stranger" / "run"
    files = [path.relative_to(whole) for path in sorted(whole.rglob("*")) if path.is_file()]
    right = figures(asked.work, whole)

    def wrong(said: str) -> str:
        return "other figures" if said and figures_in(said) != right else ""

    for number in range(count):
        renewed(whole, run)
        file = files[number % len(files)]
        what = f"{file}, {damaged(run / file, KINDS[number // len(files) % len(KINDS)], draw)}"
        if file.name == "posterior.nc":
            asked.ask(["posterior", run / file], what)
        elif draw.random() < 0.5:
            asked.ask(["evaluate", run, "--format", "json"], what, wrong)
        else:
            asked.ask([*words, run], what)


def craft(asked: Asked, whole: Path, words: list[str], count: int, draw: random.Random) -> None:
    """Asks about run folders that were crafted: those of a draw, and all with links or code in them."""
    run = asked.work / "stranger" / "run"
    every = list(crafts(whole))
    must = [each for each in every if "link" in each[0] or "evil" in each[0]]
    others = [each for each in every if each not in must]
    marks = [asked.work / "ran", asked.work / "PWNED", asked.work / "stranger" / "PWNED"]
    for name, change in [*must, *draw.sample(others, max(0, min(len(others), count - len(must))))]:
        renewed(whole, run)
        change(run)
        for verb in (
            ["evaluate", run, "--limit", "2"],
            [*words, run, "--force"] if "link" in name else [*words, run],
        ):
            asked.ask(verb, name)
            victim = asked.work / "stranger" / "victim"
            if any(mark.exists() for mark in marks) or (
                "link" in name and victim.read_text() != "precious\n"
            ):
                asked.fault(f"{name}: {verb[0]}: code of the stranger's ran, or a file was written")
                [mark.unlink(missing_ok=True) for mark in marks]


def renewed(whole: Path, run: Path) -> None:
    """A copy of a whole run folder, beside code of a stranger's."""
    shutil.rmtree(run.parent, ignore_errors=True)
    shutil.copytree(whole, run)
    (run.parent / "evil.py").write_text(f"open({str(run.parents[1] / 'ran')!r}, 'w')\n")
    shutil.copy(run.parent / "evil.py", run.parents[1] / "evil.py")


def figures(work: Path, run: Path) -> object:
    """What `evaluate` says of a run."""
    process = Forked(["evaluate", run, "--format", "json"], work / "figures")
    assert process.wait() == 0, process.said
    return figures_in(process.said)


def figures_in(said: str) -> object:
    """The figures in what a command printed."""
    try:
        return json.loads(said[said.index("[\n") :])
    except ValueError:
        return said


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--flips", type=int, default=1000, help="commands about damaged files")
    parser.add_argument("--crafted", type=int, default=500, help="folders, about each of which two are asked")
    parser.add_argument("--bombs", default="", help="only those with this in their name; none: no")
    parser.add_argument("--family", default="alignment", help="of the run")
    parser.add_argument("--memory", type=int, default=1024, help="MiB that a command may take")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    rows: dict[str, Asked] = {}
    print(
        f"seed {options.seed}, commit {commit()}\n\n| files | {' | '.join(COLUMNS)} |\n|{'---|' * 6}",
        flush=True,
    )
    with TemporaryDirectory() as folder:
        work = Path(folder)
        os.environ["HARDPP_DATA"] = str(work / "cache")
        preload(work, [options.family])
        whole = work / "whole"
        words = training(options.family, work, whole)
        assert Forked(words, work / "log").wait() == 0, (work / "log").read_text()
        assert Forked(["posterior", whole, "--limit", "3"], work / "log").wait() == 0, (
            work / "log"
        ).read_text()
        at = words.index("--out")
        words = [*words[:at], *words[at + 2 :], "--out"]
        if options.flips:
            rows["damaged"] = Asked(work, options.memory)
            flips(rows["damaged"], whole, words, options.flips, random.Random(options.seed))
            print(f"| damaged | {rows['damaged'].row} |", flush=True)
        if options.crafted:
            rows["crafted"] = Asked(work, options.memory)
            craft(rows["crafted"], whole, words, options.crafted, random.Random(options.seed))
            print(f"| crafted | {rows['crafted'].row} |", flush=True)
        for name, make in BOMBS.items():
            if options.bombs not in name:
                continue
            asked = rows[f"bomb: {name}"] = Asked(work, options.memory)
            place = work / "bombs"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            words = make(place)
            out = ["--out", str(place / "run")] if words[0] == "train" else []
            asked.ask([*words, *out], name)
            print(f"| {name} | {asked.row} |", flush=True)
    faults = [fault for asked in rows.values() for fault in asked.faults]
    print("".join(f"\n{fault}" for fault in faults))
    if options.json is not None:
        counts = {name: {**asked.count, "slowest": asked.slowest} for name, asked in rows.items()}
        options.json.write_text(json.dumps({"commit": commit(), "files": counts, "faults": faults}, indent=1))
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
