"""The batch of the next step is made by a thread while a step is taken.

Batches are functions of an epoch's number and draw nothing from the global random state, so that it makes no
difference to a training when, and where, they are made. An error comes up when the step takes its batch, and
never for a batch that no step has asked for.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

Make = Callable[[], Any]


class BatchesAhead:
    """Makes batches in the order in which they are asked for, each while the step before is taken.

    Attributes:
        following: what makes the batch after the next one, if a thread is to begin with it then.
    """

    def __init__(self) -> None:
        self.following: Make | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: tuple[Make, Future[Any]] | None = None

    def take(self, make: Make) -> Any:
        """The batch that `make` makes, which a thread may have begun with; it goes on with the following."""
        ahead, self._ahead = self._ahead, None
        batch = ahead[1].result() if ahead is not None and ahead[0] is make else make()
        following, self.following = self.following, None
        if following is not None:
            self._pool = self._pool or ThreadPoolExecutor(1, "batches ahead")
            self._ahead = following, self._pool.submit(following)
        return batch
