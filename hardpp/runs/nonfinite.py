"""Training steps whose numbers are not finite: the first is named, and the run stops, skips it or goes back.

To ask whether a number is finite makes the host wait for the device. A run that stops at the first bad step
therefore keeps the answer on the device and asks for it now and then (`check`). A run that skips bad steps
has to ask at every step.
"""

import math
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from hardpp.errors import NumericalError, UsageError, out_of_memory
from hardpp.runs.finite_tensors import HINT
from hardpp.types import Estimate

MOST = 10  # steps in a row that may be skipped
_DISTRIBUTIONS = ("torch.distributions.", "pyro.distributions.", "hardpp.distributions.")


class Noted(NamedTuple):
    """The first step that was not finite."""

    step: int  # from 1
    row: int  # of its batch, whose bound is no finite number; -1 where all are
    loss: float  # of all its data, nats
    gradient_norm: float  # before clipping


class NonFiniteGuard:
    """Notices the steps of a training run whose loss or gradient is not finite.

    Args:
        device: where the numbers are.
        policy: "stop" at the first such step, as "rollback" does, or "skip" it.
        latest: gives the last estimate, whose bounds tell which datum it was; None where it is unknown.
        describe: names a datum in words, from a batch and a row of it.
        place_of: the place in a batch of a row of the last estimate, which may be of a part; -1: none.
    """

    def __init__(
        self,
        device: torch.device,
        policy: Literal["stop", "skip", "rollback"] = "stop",
        *,
        latest: Callable[[], Estimate | None] = lambda: None,
        describe: Callable[[Any, int], str] = lambda batch, row: f"datum {row} of its batch",
        place_of: Callable[[Tensor], Tensor] = lambda row: row,
    ):
        self.policy, self.latest, self.describe, self.place_of = policy, latest, describe, place_of
        self.bad_step = torch.tensor(math.inf, device=device)  # the first step that was not finite
        self.bad_row = torch.tensor(-1, device=device)  # its datum in the batch; -1 if every bound was finite
        self.bad_numbers = torch.tensor(0.0, device=device)  # its loss and the norm of its gradient
        self.failed = ""  # why the step has no loss, if it has none
        self.batches: dict[int, Callable[[], Any]] = {}  # of the steps since the last check
        self.before: list[tuple[Tensor, Tensor]] = []  # buffers, and what they were before the step
        self.skipped = 0  # in a row

    def attempt(
        self,
        step: int,
        batch: Callable[[], Any],
        loss: Callable[[], Tensor],
        parameters: Sequence[Tensor],
        buffers: Sequence[Tensor],
        *,
        excused: bool,
    ) -> Tensor:
        """The loss of a step, from 1: NaN where numbers failed it that the step may be left out for.

        Args:
            batch: makes the batch of the step again.
            loss: computes it, ().
            parameters: the weights.
            buffers: what a step remembers besides; of one that is skipped nothing is to stay.
            excused: have others a share in the step, so that all are to decide what is done about it?

        Raises:
            NumericalError: as for `explaining_draws`, or the loss is not finite and the step is looked over.
        """
        self.batches[step], self.failed = batch, ""
        self.before = [(each, each.clone()) for each in buffers] if self.policy == "skip" else []
        try:
            with self.explaining_draws(parameters, step - 1):
                return loss()
        except NumericalError as error:
            if not (excused or self.policy == "skip") or not _answers(self.bad_step):
                raise
            self.failed = str(error)
            return torch.full((), math.nan, device=self.bad_step.device)

    def accept(self, step: int, batch: Callable[[], Any], numbers: Tensor) -> bool:
        """Notes a step, from 1, by its loss and the norm of its gradient; False if it is to be skipped.

        Args:
            batch: makes the batch of the step again.
            numbers: all finite if the step is.

        Raises:
            NumericalError: more than ten steps in a row would be skipped.
        """
        finite = numbers.isfinite().all()
        first = ~finite & self.bad_step.isinf()
        self.bad_row = torch.where(first, self._first_bad_row(), self.bad_row)
        self.bad_numbers = torch.where(first, numbers, self.bad_numbers)
        self.bad_step = torch.where(first, step, self.bad_step)
        self.batches[step] = batch
        if self.policy != "skip":
            return True
        if bool(finite):
            self.skipped = 0
            self.batches.clear()
            return True
        self.skipped += 1
        for buffer, before in self.before:
            buffer.copy_(before)
        if self.skipped > MOST:
            self.check()
        return False

    def check(self) -> None:
        """Makes sure that every step so far was finite, or skipped.

        Raises:
            NumericalError: one was not; the message names the first, and its datum where it is known.
        """
        if not math.isfinite(float(self.bad_step)):
            self.batches.clear()
        elif self.policy != "skip" or self.skipped > MOST:
            raise NumericalError(self.sentence(), HINT)

    def check_weights(self, parameters: Sequence[Tensor], step: int) -> None:
        """Makes sure that weights are finite after a step: no step that is left out mends them."""
        if not all(bool(parameter.isfinite().all()) for parameter in parameters):
            raise NumericalError(f"the weights stopped being finite by step {step}", HINT)

    def noted(self) -> Noted | None:
        """The first step that was not finite, if one was; waits for the device."""
        if not math.isfinite(float(self.bad_step)):
            return None
        loss, *norm = self.bad_numbers.reshape(-1).tolist()
        return Noted(int(self.bad_step), int(self.bad_row), loss, *norm or [math.nan])

    def forget(self) -> None:
        """Begins anew, as if every step so far had been finite."""
        self.bad_step.fill_(math.inf)
        self.bad_row.fill_(-1)
        self.batches.clear()

    @contextmanager
    def explaining_draws(self, parameters: Sequence[Tensor], step: int) -> Iterator[None]:
        """Blames a failure in the block on numbers that are not finite, where there are such.

        A distribution can neither be made of NaN nor draw from it, and raises an error of its own long before
        a check is due. Where programs are checked, that error is told as a fault of the program.

        Raises:
            NumericalError: the block failed, and a step before, the weights after `step`, or what the
                distribution that failed was given are not finite; all other errors stay as they are.
        """
        try:
            yield
        except (RuntimeError, ValueError, UsageError, NumericalError) as error:
            cause = error.__cause__ if isinstance(error, UsageError) else error
            if cause is not None and out_of_memory(cause):
                raise
            try:
                self.check()
                finite = all(bool(parameter.isfinite().all()) for parameter in parameters)
                overflow = finite and _raised_by_overflow(cause)
            except RuntimeError:  # a GPU answers nothing after a failed draw
                finite = overflow = False
            if not finite:
                raise NumericalError(f"the weights stopped being finite by step {step}", HINT) from error
            if overflow:
                what = "what a distribution is given stopped being finite"
                raise NumericalError(f"{what} after step {step}, though no weight did", HINT) from error
            raise

    def _first_bad_row(self) -> Tensor:
        estimate = None if self.failed else self.latest()
        if estimate is None:
            return self.place_of(torch.full_like(self.bad_row, -1))
        bad = ~estimate.bound.isfinite()
        return self.place_of(torch.where(bad.any(), bad.to(torch.uint8).argmax(), -1))

    def sentence(self) -> str:
        """Which step was not finite, and which datum of it."""
        step, row = int(self.bad_step), int(self.bad_row)
        sentence = f"the loss or its gradient stopped being finite at step {step}"
        if self.failed:
            return f"{sentence}: {self.failed}"
        if row < 0 or step not in self.batches:
            return sentence
        return f"{sentence}: the bound of {self.describe(self.batches[step](), row)} is no finite number"


# Does the device still answer? A GPU does not, after a failed draw.
def _answers(number: Tensor) -> bool:
    try:
        float(number)
    except RuntimeError:
        return False
    return True


# Was the error raised by a distribution that was given, or holds, NaN or infinity? -inf is a mask's.
def _raised_by_overflow(error: BaseException | None) -> bool:
    if error is None:
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    if not frame.f_globals.get("__name__", "").startswith(_DISTRIBUTIONS):
        return False
    attributes = getattr(frame.f_locals.get("self"), "__dict__", {})
    values = [*frame.f_locals.values(), *attributes.values()]
    return any(isinstance(value, Tensor) and not bool((value < math.inf).all()) for value in values)
