"""What a run says of an item: a text, and where it was asked for, other texts with their probabilities."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Hypothesis(NamedTuple):
    """A text that a run may say, and how probable it finds it."""

    text: str
    log_prob: float  # nats
    # Is that of the text, all that may lead to it summed out? If not it is of the part that was looked at.
    exact: bool
    cut: int = 0  # as of `Decoded`

    @property
    def probability(self) -> float:
        return math.exp(min(self.log_prob, 0.0))  # above 0 by rounding alone


@dataclass(frozen=True)
class Decoded:
    """What a run says of one item; it unpacks into a name and a text."""

    name: str  # the item, as the user knows it
    text: str
    hypotheses: tuple[Hypothesis, ...] = ()  # the likeliest first, no text twice; none unless asked for
    cut: int = 0  # after so many symbols it, or a likelier one, was cut off, since it had not ended; else 0
    listed: bool = False  # was it looked up? Then the run was not asked, and log-probabilities are NaN
    key: str = ""  # by which the data know it, where its name says more

    def __iter__(self) -> Iterator[str]:
        return iter((self.name, self.text))


BLANK = Decoded("", "")  # of a blank line


def listed(name: str, texts: Sequence[str]) -> Decoded:
    """What was looked up of an item, the first text being what is said of it; of none, nothing is said."""
    found = tuple(Hypothesis(text, math.nan, exact=False) for text in texts)
    return Decoded(name, texts[0] if texts else "", found, listed=bool(texts))


def ranked(hypotheses: Iterable[Hypothesis], count: int) -> tuple[Hypothesis, ...]:
    """The `count` likeliest, the likeliest first; those of one text are made one, with their sum."""
    of_text: dict[str, Hypothesis] = {}
    for new in hypotheses:
        if (old := of_text.get(new.text)) is not None:
            high, low = max(old.log_prob, new.log_prob), min(old.log_prob, new.log_prob)
            log_sum = high if low == -math.inf else high + math.log1p(math.exp(low - high))
            new = Hypothesis(new.text, log_sum, old.exact and new.exact, min(old.cut, new.cut))
        of_text[new.text] = new
    return tuple(sorted(of_text.values(), key=lambda each: -each.log_prob)[:count])


def in_place(found: Iterable[tuple[Sequence[int], Sequence[T]]]) -> list[T]:
    """What was found of every item, from what was found for the indices of each batch."""
    of_item = {index: each for indices, values in found for index, each in zip(indices, values, strict=True)}
    return [of_item[index] for index in range(len(of_item))]


def in_turn(found: Iterable[tuple[int, T]]) -> Iterator[T]:
    """What was found for every index from 0, in their order: each as soon as all before it are known."""
    waiting: dict[int, T] = {}
    next_index = 0
    for index, value in found:
        waiting[index] = value
        while next_index in waiting:
            yield waiting.pop(next_index)
            next_index += 1
