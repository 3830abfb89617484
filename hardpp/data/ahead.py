"""Batches made ahead of the step that needs them, by threads that work while the step is computed.

Threads and not processes: what costs time in reading pictures (files, decoding, resizing) runs outside of
Python's lock. So a worker has the pictures that are in memory already, its errors are the errors themselves,
and none is left behind when the program ends.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar, overload

T = TypeVar("T")

_MORE = 2  # batches that wait, or are next, beside one a worker


def ahead(makers: Sequence[Callable[[], T]], workers: int) -> Sequence[Callable[[], T]]:
    """The same batches, made by so many workers before they are asked for; without workers when asked for.

    Args:
        makers: Each makes a batch, the same one whenever it is called and whichever thread calls it.
        workers: At least 0.
    """
    if workers < 0:
        raise ValueError(f"expected at least 0 workers, got {workers}")
    return MadeAhead(makers, workers) if workers else makers


class MadeAhead(Sequence[Callable[[], T]], Generic[T]):
    """Batches that workers make ahead, in whichever place one begins to take them.

    Whoever looks up a place starts the work on it and on those that follow; what was started elsewhere is
    dropped. A batch is handed out once and not kept: called again, its callable makes it anew. An error in
    making one is raised where that batch is called for.
    """

    def __init__(self, makers: Sequence[Callable[[], T]], workers: int):
        self._makers, self._workers = makers, workers
        self._pool: ThreadPoolExecutor | None = None  # no thread before the first batch
        self._begun: dict[int, Future[T]] = {}

    def __len__(self) -> int:
        return len(self._makers)

    @overload
    def __getitem__(self, place: int) -> Callable[[], T]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Callable[[], T]]: ...
    def __getitem__(self, place: int | slice) -> Callable[[], T] | Sequence[Callable[[], T]]:
        if isinstance(place, slice):
            return MadeAhead(self._makers[place], self._workers)
        place = range(len(self))[place]
        self._begin(range(place, min(len(self), place + self._workers + _MORE)))
        return partial(self._take, place)

    def _begin(self, places: range) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, "batches")
        for place in [place for place in self._begun if place not in places]:
            self._begun.pop(place).cancel()
        for place in places:
            if place not in self._begun:
                self._begun[place] = self._pool.submit(self._makers[place])

    def _take(self, place: int) -> T:
        begun = self._begun.pop(place, None)
        return self._makers[place]() if begun is None else begun.result()
