"""Steps whose numbers went bad: found without waiting for the device, named, never passed over in silence.

Asking whether a number is finite makes the host wait for the device, so a run that stops at the first
fault keeps the answer there and asks every now and then (`check`). A run that leaves bad steps out has to
ask at every step.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from hardpp.errors import NumericalError
from hardpp.types import Estimate

MOST = 10  # steps in a row that may be left out
HINT = "lower optimiser.learning_rate or optimiser.clip_norm; the checkpoints are older than that"


class NonFiniteGuard:
    """Judges the steps of a training run.

    Args:
        device: where the numbers are.
        policy: "stop" at the first step that is not finite, or "skip" it.
        latest: the last estimate, whose bounds tell which datum it was; None where nobody knows.
        describe: how to speak of a datum, from a batch and a row of it.
    """

    def __init__(
        self,
        device: torch.device,
        policy: Literal["stop", "skip"] = "stop",
        *,
        latest: Callable[[], Estimate | None] = lambda: None,
        describe: Callable[[Any, int], str] = lambda batch, row: f"datum {row} of its batch",
    ):
        self.policy, self.latest, self.describe = policy, latest, describe
        self.faulty = torch.tensor(math.inf, device=device)  # the first step that was not finite
        self.row = torch.tensor(-1, device=device)  # the datum of its batch; -1 if every bound was finite
        self.batches: dict[int, Callable[[], Any]] = {}  # of the steps that were not asked about yet
        self.skipped = 0  # in a row

    def passes(self, step: int, batch: Callable[[], Any], number: Tensor) -> bool:
        """Takes a step's loss or gradient norm down; False if the step is to be left out.

        Raises:
            NumericalError: more than ten steps in a row would be left out.
        """
        sound = number.isfinite()
        first = ~sound & self.faulty.isinf()
        self.row = torch.where(first, self._row(), self.row)
        self.faulty = torch.where(first, step, self.faulty)
        self.batches[step] = batch
        if self.policy == "stop":
            return True
        if bool(sound):
            self.skipped = 0
            self.batches.clear()
            return True
        self.skipped += 1
        if self.skipped > MOST:
            self.check()
        return False

    def check(self) -> None:
        """Makes sure that every step so far was sound, or left out.

        Raises:
            NumericalError: one was not; the message names the first, and its datum where it is known.
        """
        if not math.isfinite(float(self.faulty)):
            self.batches.clear()
        elif self.policy == "stop" or self.skipped > MOST:
            raise NumericalError(self.sentence(), HINT)

    def forgive(self) -> str:
        """What was wrong with the step that is left out, which is then forgotten."""
        told = self.sentence()
        self.faulty.fill_(math.inf)
        self.row.fill_(-1)
        self.batches.clear()
        return told

    def sentence(self) -> str:
        """Which step it was, and which datum."""
        step, row = int(self.faulty), int(self.row)
        told = f"the loss or its gradient stopped being finite at step {step}"
        if row < 0 or step not in self.batches:
            return told
        return f"{told}: the bound of {self.describe(self.batches[step](), row)} is no finite number"

    def _row(self) -> Tensor:
        estimate = self.latest()
        if estimate is None:
            return torch.full_like(self.row, -1)
        bad = ~estimate.bound.isfinite()
        return torch.where(bad.any(), bad.to(torch.uint8).argmax(), -1)
