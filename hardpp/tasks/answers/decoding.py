"""What an opened run says of items: the best text of each, the n best with probabilities, one by one."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from hardpp.config import RunConfig
from hardpp.errors import DataError, UsageError
from hardpp.tasks.answers.decoded import BLANK, Decoded, Unseen
from hardpp.tasks.arguments import are_texts, check_number, check_options, check_word
from hardpp.tasks.family import Family
from hardpp.tasks.one_thread import answering

OnUnknown = Literal["warn", "stop"]  # what happens to an item with symbols that training never saw

_TOLD = 5  # such items named one by one


class DecodingRun(ABC):
    """The part of an opened run that says texts; each family has a class of its own."""

    selection: ClassVar[type]
    family: Family
    config: RunConfig

    def decode(
        self,
        items: Any = None,
        *,
        nbest: int | None = None,
        unknown: OnUnknown = "warn",
        report: Callable[[str], None] = warnings.warn,
        **decoding: Any,
    ) -> list[Decoded]:
        """What the run says of every item, or of every text in a list, where the family takes texts.

        A blank text is answered by a blank one.

        Example:
            (best,) = run.decode(["bola"], nbest=10)
            [(each.text, each.probability) for each in best.hypotheses]

        Args:
            items: what `select` gave, texts, or None: the run's test part.
            nbest: how many `hypotheses` each is given, with probabilities; None: none, which is quicker.
            unknown: "warn" of symbols that training never saw, or "stop".
            report: told the warnings.
            decoding: options of the family's decoding; those left out are the run's.

        Raises:
            UsageError: what are no items, an option that is not the family's, or `nbest` of one without.
            DataError: there are no items, or unknown symbols where they stop.
        """
        each = self.decode_each(items, nbest=nbest, unknown=unknown, report=report, **decoding)
        return list(each)

    def decode_each(
        self,
        items: Any = None,
        *,
        nbest: int | None = None,
        unknown: OnUnknown = "warn",
        report: Callable[[str], None] = warnings.warn,
        place: str = "text ",
        **decoding: Any,
    ) -> Iterator[Decoded]:
        """The same one by one, as they come; `place` stands before an item's number in warnings."""
        options = self.decoding(decoding)
        self.check_nbest(nbest)
        check_word("unknown", unknown, ("warn", "stop"))
        if are_texts(items):
            known = iter(self._from_texts([text for text in items if text.strip()]))
            items = [next(known) if text.strip() else None for text in items]
        numbers: list[int] | None = None  # of the items that are not blank, from 1
        count = len(items) if isinstance(items, list) else 0
        if isinstance(items, list) and any(item is None for item in items):
            numbers = [number for number, item in enumerate(items, start=1) if item is not None]
            items = [item for item in items if item is not None]
        items = self._items(items)
        self._check_symbols(items, numbers, unknown, report, place)
        answers = self._answers(items, options, nbest)
        return answers if numbers is None else _with_blanks(answers, numbers, count)

    def check_nbest(self, nbest: int | None) -> None:
        """Refuses, by a UsageError, a number that is none, and any of a family without n-best outputs."""
        check_number("nbest", nbest, 1, optional=True)
        if nbest is not None and self.family.nbest is None:
            what = f"model {self.family.name} says no probabilities of what it decodes"
            raise UsageError(what, "leave out --nbest and --scores")

    def read_inputs(self, path: Path | str) -> list[Any]:
        """Every line of a file as an item of which only the source is known; None for a blank line.

        Raises:
            UsageError: items of this family are no lines of a file.
            DataError: the file or a line cannot be read.
        """
        if self.family.inputs is None:
            raise UsageError(f"items of model {self.family.name} are no lines of a file: give --data")
        return self._read_inputs(Path(path))

    def unseen(self, items: Any) -> list[Unseen]:
        """Items with symbols that training never saw, which the run takes all for the same."""
        found = enumerate(self._unseen(self._items(items)))
        return [Unseen(place, name, tuple(dict.fromkeys(more))) for place, (name, more) in found if more]

    def decoding(self, given: Mapping[str, Any]) -> Any:
        """The options of decoding: the run's own, with those given now on top, checked."""
        return check_options(self.family, self.config.decoding, given)

    def _answers(self, items: Any, options: Any, nbest: int | None) -> Iterator[Decoded]:
        asked = self._decode(items, options) if nbest is None else self._nbest(items, options, nbest)
        answers = iter(asked)
        while True:
            with answering():  # not while the caller has one, who may never ask for the next
                answer = next(answers, None)
            if answer is None:
                return
            yield answer

    def _check_symbols(
        self,
        items: Any,
        numbers: Sequence[int] | None,
        unknown: str,
        report: Callable[[str], None],
        place: str,
    ) -> None:
        found = self.unseen(items)
        if not found:
            return
        told = []
        for index, name, symbols in found[:_TOLD]:
            number = index + 1 if numbers is None else numbers[index]
            what = f"{name!r} has symbols never seen in training: {' '.join(map(_legible, symbols))}"
            told.append(f"{place}{number}: {what}")
        if unknown == "stop":
            more = f" (and {len(found) - 1} more such lines)" if len(found) > 1 else ""
            raise DataError(f"{told[0]}{more}", "--unknown warn takes each of them for the unknown symbol")
        for sentence in told:
            report(f"warning: {sentence}")
        if len(found) > _TOLD:
            report(f"warning: {len(found) - _TOLD} more have such symbols")

    @abstractmethod
    def _items(self, items: Any) -> Any: ...
    @abstractmethod
    def _decode(self, items: Any, options: Any) -> Iterable[Decoded]: ...

    # And only if the family declares `inputs` or `nbest`, takes texts, or has symbols.
    def _nbest(self, items: Any, options: Any, nbest: int) -> Iterable[Decoded]:
        raise NotImplementedError

    def _read_inputs(self, path: Path) -> list[Any]:
        raise NotImplementedError

    def _from_texts(self, texts: Sequence[str]) -> Sequence[Any]:
        raise UsageError(f"model {self.family.name} takes no texts as items", "give what select() gave")

    # A name and the unknown symbols of every item.
    def _unseen(self, items: Any) -> Iterable[tuple[str, Sequence[str]]]:
        return ()


# Blank answers between those to the items of some numbers, of so many in all.
def _with_blanks(answers: Iterator[Decoded], numbers: Sequence[int], count: int) -> Iterator[Decoded]:
    asked = set(numbers)
    for number in range(1, count + 1):
        yield next(answers) if number in asked else BLANK


# A symbol that could not be seen, such as a blank, stands in quotation marks.
def _legible(symbol: str) -> str:
    return symbol if symbol.isprintable() and symbol.split() == [symbol] else repr(symbol)
