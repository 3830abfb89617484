"""Odd values of every setting: refused with exit 2 before data are read, or trained without a fault?

    python benchmarks/reliability/settings.py --trained 3 --json settings.json

Every setting of every family (of alignment with every objective's) is given every value of a list of odd
ones: none, wrong types, numbers beyond all bounds, deep nesting, line breaks, control characters. What is
accepted is then trained for two steps, `--trained` values a setting, the oddest first, in a process of its
own that may take 3 GiB more than it begins with and 60 seconds. Prints a row a family, and every fault once.
"""

import argparse
import json
import random
import re
import resource
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trainings import FAMILIES, Forked, preload, training
from verdicts import LONGEST, is_fault, verdict

from hardpp.config import parse_setting
from hardpp.errors import UsageError
from hardpp.tasks.configuration import resolve
from hardpp.tasks.listing import list_settings
from hardpp.tasks.objectives import OBJECTIVES

from measured import commit  # isort: skip

ORDINARY = ("1", "2", "3", "0.5", "1.0", "true", "false")
NUMBERS = (
    *("0", "-1", "-0.5", "1e300", "1e-300", "5e-324", "nan", "inf", "-inf", "0x10", "1_000"),
    *(
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "2147483648",
        "1000000",
        "100000",
    ),
    *("1" + "0" * 30, "-9" + "0" * 30, "9" * 5000),
)
OTHERS = (
    *(
        '""',
        "''",
        "x",
        '"none"',
        "none",
        "None",
        "null",
        "[]",
        "[1]",
        "{}",
        "{a=1}",
        "[[1]]",
        "auto",
        "../../x",
    ),
    *("1979-05-27", "07:32:00", "'''\na\n'''", "\u2603", "a\tb", "1 # c", "1\nb = 2", "\x00", "characters"),
    *("[" * 500, "[" * 3000 + "]" * 3000, "{a=" * 800, "[" * 50 + "]" * 50),
)
VALUES = (*NUMBERS, *OTHERS, *ORDINARY)
KEYS = (
    *(
        "",
        "=",
        "a",
        "=1",
        ".=1",
        "..a=1",
        "a.=1",
        "model.x=1",
        "network=1",
        "network.=1",
        "network..encoder=1",
    ),
    *("data.name.x=1", "optimiser=[]", "seed.x.y=1", "__class__=1", "data.__init__=1", "inference.self=1"),
    *(
        "inference.max_plate_nesting=3",
        "training.model_fields=1",
        "a" * 10_000 + "=1",
        "a" + ".b" * 3000 + "=1",
    ),
    *(
        "\x1b[31m=1",
        "netwrok.encoder=3",
        "NETWORK.ENCODER=16",
        "data={name='x'}",
        "training={}",
        "preset=paper",
    ),
)
SECONDS, MEMORY = 60, 3 * 2**30


class Family:
    """The settings of one family, and what came of odd values of them.

    Args:
        name: of the family.
        words: of its training, as on the command line.
    """

    def __init__(self, name: str, words: list[str]):
        self.name, self.words = name, words
        self.count, self.faults = Counter[str](), dict[str, str]()
        given = [parse_setting(words[at + 1]) for at, word in enumerate(words) if word == "--set"]
        flags = {key: words[words.index(f"--{key}") + 1] for key in ("model", "objective", "guide")}
        self.layers = [*given, flags, {"data": {"name": words[words.index("--data") + 1]}}]

    def settings(self) -> Iterator[tuple[str, str | None]]:
        """Each setting, and the objective that has it, where that is another than the training's."""
        seen = set()
        for objective in (None, *(OBJECTIVES if self.name == "alignment" else ())):
            try:
                config = resolve(self._with(objective))
            except UsageError:  # it does not go with the guide
                continue
            for row in list_settings(config):
                if row["setting"] not in seen:
                    seen.add(row["setting"])
                    yield row["setting"], objective

    def _with(self, objective: str | None) -> list[dict[str, Any]]:
        return [*self.layers, *([{"objective": objective}] if objective else [])]

    def accepts(self, setting: str, objective: str | None = None) -> bool:
        """Is a setting accepted? It is counted, and so is what is wrong with a refusal."""
        self.count["settings"] += 1
        try:
            resolve([*self._with(objective), parse_setting(setting)])
        except UsageError as error:
            self.count["refused"] += 1
            said = f"{error}{error.hint}"
            if "\n" in said or len(said) > LONGEST:
                self._note(f"a message of {len(said)} characters or several lines", setting)
            return False
        except Exception as error:
            self._note(f"{type(error).__name__}: {str(error)[:100]}", setting)
            return False
        self.count["accepted"] += 1
        return True

    def train(self, setting: str, objective: str | None, work: Path) -> None:
        """Trains with a setting for two steps."""
        out = work / "run"
        shutil.rmtree(out, ignore_errors=True)
        words = [*self.words]
        words[words.index("--out") + 1] = str(out)
        if objective:
            words[words.index("--objective") + 1] = objective
        more = [] if setting.startswith("training.max_steps") else ["--max-steps", "2"]
        process = Forked([*words, *more, "--set", setting], work / "log", limited)
        code = process.wait(SECONDS)
        told = verdict(code, process.said)
        self.count["trained"] += 1
        if told == "refused":
            self.count[f"exit {code}"] += 1
        if is_fault(told):
            self._note(told, f"{objective or ''} {setting}")

    def _note(self, what: str, setting: str) -> None:
        self.count["faults"] += 1
        self.faults.setdefault(re.sub(r"\d+", "N", what), f"{what} | {self.name} {setting[:80]!r}")


def limited() -> None:
    """Lets a process have so much more memory than it has."""
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + MEMORY,) * 2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--trained", type=int, default=3, help="accepted values of a setting that are trained"
    )
    parser.add_argument("--seconds", type=float, help="end trainings after so many seconds")
    parser.add_argument("--family", action="append", choices=[*FAMILIES], help="only these")
    parser.add_argument("--only", default="", help="settings that begin so")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    names, draw, began = options.family or [*FAMILIES], random.Random(options.seed), time.monotonic()
    with TemporaryDirectory() as folder:
        work = Path(folder)
        families, jobs = [], []
        for name in names:
            family = Family(name, training(name, work, work / "run"))
            families.append(family)
            for setting, objective in list(family.settings()):
                if not setting.startswith(options.only):
                    continue
                good = [value for value in VALUES if family.accepts(f"{setting}={value}", objective)]
                odd = [value for value in good if value not in ORDINARY]
                jobs += [
                    (family, f"{setting}={value}", objective) for value in [*odd, *good][: options.trained]
                ]
            for key in KEYS:
                family.accepts(key)
        if jobs and options.trained:
            preload(work, names)
        draw.shuffle(jobs)
        for family, setting, objective in jobs:
            if options.seconds is None or time.monotonic() < began + options.seconds:
                family.train(setting, objective, work)
    print(f"seed {options.seed}, commit {commit()}\n")
    columns = [
        "settings",
        "refused",
        "accepted",
        "trained",
        *(f"exit {code}" for code in (2, 3, 4, 5, 6)),
        "faults",
    ]
    print(f"| family | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    total = sum((family.count for family in families), Counter[str]())
    for label, count in [*((family.name, family.count) for family in families), ("all", total)]:
        print(f"| {label} | {' | '.join(f'{count[key]:,}' for key in columns)} |")
    faults = [fault for family in families for fault in family.faults.values()]
    print("".join(f"\n{fault}" for fault in faults))
    if options.json is not None:
        rows = {family.name: dict(family.count) for family in families}
        options.json.write_text(
            json.dumps({"commit": commit(), "families": rows, "faults": faults}, indent=1)
        )
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
