"""What is wrong with a configuration, collected so that all of it is told at once."""

from collections.abc import Callable
from typing import TypeVar

from hardpp.errors import UsageError

T = TypeVar("T")


class Problems:
    """Sentences about what is wrong, and hints, collected so that all are told at once."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.hints: list[str] = []

    def add(self, *sentences: str, hint: str = "") -> None:
        self.sentences += sentences
        self.hints += [hint] if hint else []

    def collect(self, attempt: Callable[[], T]) -> T | None:
        """What an attempt gives; None, and one more problem, if it is refused."""
        try:
            return attempt()
        except UsageError as error:
            self.add(str(error), hint=error.hint)
            return None

    def check(self) -> None:
        if self.sentences:
            raise Wrong(self)


class Wrong(UsageError):
    """All problems in one sentence."""

    def __init__(self, problems: Problems):
        told = ("; ".join(dict.fromkeys(each)) for each in (problems.sentences, problems.hints))
        super().__init__(*told)
        self.problems = problems
