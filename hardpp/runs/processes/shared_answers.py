"""Several processes answer of a run: `torchrun --nproc_per_node=N -m hardpp evaluate RUN`, and other verbs.

All have the same run and items, and go through the same batches. Of N that follow one another each computes
one; what was computed is handed to all, who go on with it alike. So figures, lines and posteriors are those
of one process, but for the last bits of sums; what is drawn for a datum by itself is the same, too. What is
drawn for a whole batch is drawn from the number of the batch: alike for any N but 1, and of the same
distribution as what one process draws. Rank 0 writes and prints.

An error of one is everybody's.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import torch

from hardpp import errors
from hardpp.diagnostics.seeds import seeded, stream
from hardpp.errors import HardppError, Interrupted, ResourceError, mendable
from hardpp.runs.processes.exchange import gathered
from hardpp.runs.processes.ranks import Ranks, joined_ranks, meeting_device
from hardpp.tasks.answers.sharing import ALONE, Sharing
from hardpp.tasks.opened_run import OpenedRun

R = TypeVar("R")


def sharing(device: str) -> Sharing:
    """How this process answers together with those that torchrun started beside it; alone if there are none.

    Args:
        device: "auto", "cpu" or "cuda"; each process has a GPU of its own.

    Raises:
        ResourceError: the others cannot be reached.
    """
    with joined_ranks(0, device) as ranks:
        return ALONE if ranks.size == 1 else SharedAnswers(ranks)


def answered_by(run: OpenedRun, ranks: Ranks) -> OpenedRun:
    """The run, which those that have trained it answer of together; the first of them warns."""
    if ranks.size == 1:
        return run
    return replace(run, sharing=SharedAnswers(ranks), warn=run.warn if ranks.writes else _nothing)


class SharedAnswers(Sharing):
    """Each of several processes works on its own batches, and is given the results of all.

    Args:
        ranks: this process among them.
    """

    def __init__(self, ranks: Ranks):
        self.ranks, self.size, self.writes = ranks, ranks.size, ranks.writes

    def each(
        self,
        batches: Iterable[tuple[Any, ...]],
        compute: Callable[..., R],
        device: torch.device,
        *,
        first_alone: bool = False,
    ) -> Iterator[tuple[Any, R]]:
        base, every, number = torch.initial_seed() % 2**63, iter(batches), 0
        while True:
            keys, own, failure = list[Any](), None, None
            try:
                for place in range(self.size):
                    if (batch := next(every, None)) is None:
                        break
                    keys.append(batch[0])
                    if place == self.ranks.rank:
                        with seeded(stream(base, number + place), device):
                            own = compute(*batch)
            except Exception as error:  # whatever it is, the others must not wait
                failure = error
            results = gathered([_told(failure), own], meeting_device())
            if failure is not None and mendable(failure) is None:
                raise failure
            for told, _ in results:
                if told is not None:
                    raise _raised(*told) from failure
            if not first_alone or self.writes:
                yield from zip(keys, (result for _, result in results[: len(keys)]), strict=True)
            number += self.size
            if len(keys) < self.size:
                return


def _nothing(text: str) -> None:
    return


# What the others are told of an error.
def _told(error: Exception | None) -> list[Any] | None:
    if error is None:
        return None
    ours = mendable(error) or ResourceError(f"another process has failed ({type(error).__name__}: {error})")
    return [type(ours).__name__, str(ours), ours.hint, ours.exit_code]


def _raised(kind: str, message: str, hint: str, exit_code: int) -> HardppError:
    found = getattr(errors, kind, None)
    ours = isinstance(found, type) and issubclass(found, HardppError) and found is not Interrupted
    error: HardppError = (found if ours and found is not None else HardppError)(message, hint)
    error.exit_code, error.everywhere = exit_code, True
    return error
