"""What the scripts of this folder share: a small training of every family, and commands in forked processes.

A forked process has all modules at hand, so that a command begins at once and can be killed where it works,
not where it imports. The data are those of the tests: made up, and written in an instant.
"""

import hashlib
import importlib
import io
import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]

import torch  # noqa: E402
from tiny_families import FAMILIES, TinyRun  # noqa: E402

from hardpp.cli import main  # noqa: E402

LIMIT = 120  # seconds after which a command hangs


class Forked:
    """`hardpp` with some words, in a forked process that leads a session of its own.

    Args:
        words: of the command line.
        log: file that takes what it prints.
        first: called in the process before the command.
    """

    def __init__(self, words: Sequence[object], log: Path, first: Callable[[], None] = lambda: None):
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._run([str(word) for word in words], first)

    def _run(self, words: list[str], first: Callable[[], None]) -> None:
        code = 1
        try:
            os.setsid()
            out = os.open(self.log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            os.dup2(out, 1)
            os.dup2(out, 2)
            for number, name in ((1, "stdout"), (2, "stderr")):
                stream = io.TextIOWrapper(io.FileIO(number, "w", closefd=False), write_through=True)
                setattr(sys, name, stream)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            first()
            main.main(args=words, prog_name="hardpp", standalone_mode=True)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
            code = 99
        finally:
            os._exit(code)

    def wait(self, seconds: float = LIMIT) -> int | None:
        """The exit code, minus a signal's number, or None where it had to be killed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.003)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None

    def wait_or_kill(self, seconds: float) -> int:
        """As `wait`, but a process that is killed ends as such: minus 9."""
        code = self.wait(seconds)
        return -signal.SIGKILL if code is None else code

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


def training(name: str, work: Path, out: Path, *more: object) -> list[str]:
    """`hardpp train` of a family for two epochs, with a checkpoint after every other step."""
    data = work / "data" / name
    if not data.exists():
        FAMILIES[name].write(data)
    return TinyRun(name, data, out).command(out, "--checkpoint-every", "2", *map(str, more))


def result(run: Path) -> dict[str, str]:
    """SHA-256 of what a training left: newest and best checkpoint, records without times, summary."""
    checkpoints = run / "checkpoints"
    newest = max(path.name for path in checkpoints.glob("step-*"))
    sums = {}
    for label, name in (("newest", newest), ("best", (checkpoints / "best").read_text().strip())):
        for file in ("model.safetensors", "optim.safetensors", "state.json"):
            sums[f"{label} {file}"] = hashlib.sha256((checkpoints / name / file).read_bytes()).hexdigest()
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    timeless = [{key: record[key] for key in sorted(record) if "time" not in key} for record in records]
    summary = json.loads((run / "summary.json").read_text())
    sums["records"] = hashlib.sha256(json.dumps(timeless).encode()).hexdigest()
    kept = {key: summary[key] for key in sorted(summary) if "second" not in key}
    sums["summary"] = hashlib.sha256(json.dumps(kept).encode()).hexdigest()
    return sums


def preload(work: Path, names: Sequence[str]) -> None:
    """Imports what trainings import on their way, as processes that trained say; torch on one thread."""
    torch.set_num_threads(1)
    for name in names:
        listed = work / "modules" / f"{name}.json"
        listed.parent.mkdir(parents=True, exist_ok=True)

        def at_the_end(listed: Path = listed) -> None:
            leave = os._exit

            def listing(code: int) -> None:
                listed.write_text(json.dumps(sorted(sys.modules)))
                leave(code)

            os._exit = listing  # type: ignore[assignment]

        out = work / "preload" / name
        Forked(training(name, work, out, "--max-epochs", "1"), work / "preload.log", at_the_end).wait()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for module in json.loads(listed.read_text()):
                if "__main__" not in module and module not in sys.modules:
                    try:
                        importlib.import_module(module)
                    except Exception:  # some only work from inside of another
                        continue
