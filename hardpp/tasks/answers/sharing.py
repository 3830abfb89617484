"""Who works on which batches when a run answers: one process on all of them, or several, each on its own.

Families ask for what they compute of batches by `OpenedRun.each`, and go on with the results of all. So
whatever they make of these, sums, lists and lines, is the same however many processes there are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import torch

R = TypeVar("R")


class Sharing:
    """One process works on all batches; `hardpp.runs.processes.shared_answers` has several."""

    size = 1  # processes
    writes = True  # is it this one that writes files and says what is going on?

    def each(
        self,
        batches: Iterable[tuple[Any, ...]],
        compute: Callable[..., R],
        device: torch.device,
        *,
        first_alone: bool = False,
    ) -> Iterator[tuple[Any, R]]:
        """What is computed of every batch, in order, beside the first member of the batch.

        Args:
            batches: the same ones in every process; the first member says which data a batch holds.
            compute: takes the members of a batch, and returns plain values: numbers, texts, tensors, None,
                and lists, tuples, named tuples and dictionaries of them. Tensors come back on the host where
                another process has computed them.
            device: where it draws random numbers.
            first_alone: the results are for the first process; others are given none.
        """
        for batch in batches:
            yield batch[0], compute(*batch)


ALONE = Sharing()


def totalled(figures: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Sums of what batches have by name."""
    totals: dict[str, float] = {}
    for of_batch in figures:
        for name, value in of_batch.items():
            totals[name] = totals.get(name, 0.0) + value
    return totals
