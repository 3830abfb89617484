"""How many CPU threads a training computes with: so many as make its steps quickest.

More threads are not always quicker. Where other work runs on the same cores, threads wait for one another at
the end of every small operation, and a step can take ten times as long with two threads as with one. So
`threads = "auto"` times a few real steps with one thread, with two, with four and so on, as long as that
helps, and takes the quickest. It never takes more than torch would have taken, nor more than the cores that
the process may use. `threads = N` is N.

What this does to "one seed gives one answer": sums in floating point depend on the number of threads in their
last bits, so two trainings of one seed agree to the last bit only if they have the same number. Therefore

- programs are built with one thread, so that weights begin alike whatever the number;
- timing changes nothing in the training: a copy of the programs is timed, with random numbers of its own;
- with more than one thread torch is held to its deterministic algorithms. Without them some gradients are
  added in whichever order threads come, and not even the same command gives the same bits twice;
- every checkpoint states the number that training goes on with, and a run that is gone on with takes that
  number again, without timing: it goes on bit for bit as the uninterrupted run would have;
- when steps become much slower than they were, they are timed again. If the number changes, a checkpoint is
  written at once, so that this holds from there on, and it is said that two trainings differ by it.

Whoever wants the same bits from a command whatever else the machine does gives `threads=1`.
Opened runs leave torch's number alone in Python; the verbs of the command line take the run's own.
"""

from collections import deque
from contextlib import suppress
from statistics import fmean
from typing import Any

import torch

from hardpp.errors import CheckpointError, HardppError
from hardpp.runs.checkpoint_state import best_state
from hardpp.runs.cores import cores
from hardpp.runs.thread_timing import quickest, step_of, take
from hardpp.runs.trainer import Trainer
from hardpp.tasks.opened_run import OpenedRun, Report

AUTO = "auto"
_SLOWER = 3.0  # how much longer steps take than they did when they are timed again
_STEPS = 20  # over which a pace is measured


def as_trained(run: OpenedRun) -> None:
    """Computes with as many threads as the run was trained with, if they are known and on as many cores."""
    setting = run.config.threads
    number = setting if isinstance(setting, int) else None
    if number is None:
        with suppress(CheckpointError):  # another one than the best may have been asked for
            number = stated(best_state(run.path))
    if number is not None and run.device.type == "cpu":
        torch.set_num_threads(min(number, cores()))


def stated(state: dict[str, Any]) -> int | None:
    """The number of threads in the state of a checkpoint, if it is one."""
    number = state.get("threads")
    return number if type(number) is int and 0 < number <= 2**15 else None


class Threads:
    """The number of CPU threads of a training, chosen at its start and when steps become slow.

    Args:
        setting: "auto", or a number, which is taken as it is.
        trainer: of the training; nothing is chosen unless it is on the CPU.
        report: told of every choice.
        most: as many as torch would take.
    """

    def __init__(self, setting: int | str, trainer: Trainer, report: Report, most: int):
        self.trainer, self.report, self.most = trainer, report, min(most, cores())
        self.chooses = setting == AUTO and trainer.device.type == "cpu" and self.most > 1
        self.paces: deque[float] = deque(maxlen=_STEPS)  # seconds of the last steps
        self.usual: float | None = None  # seconds of a step when the number was chosen
        if trainer.device.type != "cpu":
            torch.set_num_threads(most)
        else:
            take(setting if isinstance(setting, int) else 1)

    def begin(self, before: int | None) -> None:
        """Chooses the number for the steps to come; `before`: that of the checkpoint they go on from."""
        if not self.chooses:
            return
        if before is not None and before <= cores():
            take(before)
            self.report(f"{_threads(before)}, as before")
            return
        if before is not None:
            self.report(f"the run had {_threads(before)}, and there are not as many cores here")
        if not self.trainer.finished:
            self._choose("")

    def step(self, seconds: float) -> bool:
        """Counts a step that took so long; True if the number was changed, and a checkpoint is due."""
        if not self.chooses:
            return False
        self.paces.append(seconds)
        if len(self.paces) < _STEPS:
            return False
        pace = fmean(self.paces)
        if self.usual is None:
            self.usual = pace
        if pace <= _SLOWER * self.usual:
            return False
        times, before = pace / self.usual, torch.get_num_threads()
        self._choose(f"steps take {times:.0f} times as long as before; ")
        # What is slow from now on is slower than this, so that not every step is timed again.
        self.usual = None
        self.paces.clear()
        return torch.get_num_threads() != before

    def _choose(self, why: str) -> None:
        before = torch.get_num_threads()
        try:
            number, seconds = quickest(step_of(self.trainer), self.most, rounds=self._rounds())
        except (HardppError, MemoryError, RuntimeError, ValueError):
            take(before)  # the training fails in the same way, and knows why
            return
        take(number)
        others = "".join(f", {took:.2g} s with {n}" for n, took in seconds.items() if n != number)
        line = f"{why}{_threads(number)}: a step takes {seconds[number]:.2g} s{others}"
        if len(seconds) == 1:
            line += "; more would wait for one another, as other work is on the cores"
        if why and number != before:
            line += f"; it was {before}, and the last bits of sums depend on it"
        self.report(line)

    # Few steps are not timed for longer than they take.
    def _rounds(self) -> int:
        left = self.trainer.schedule.total_steps - self.trainer.step
        return max(1, min(3, left // 10))


def _threads(number: int) -> str:
    return f"{number} CPU thread{'s' if number > 1 else ''}"
