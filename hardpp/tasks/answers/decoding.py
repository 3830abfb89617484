"""What an opened run says of items: the best text of each, the n best with probabilities, one by one."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from hardpp.config import RunConfig
from hardpp.errors import UsageError
from hardpp.tasks.answers.cut_outputs import tell_remarks, telling_cuts
from hardpp.tasks.answers.decoded import BLANK, Decoded
from hardpp.tasks.answers.unseen import Unseen, found_unseen, placed, tell_unseen
from hardpp.tasks.arguments import are_texts, check_number, check_options, check_word
from hardpp.tasks.family import Family
from hardpp.tasks.one_thread import answering

OnUnknown = Literal["warn", "stop"]  # what happens to an item with symbols that training never saw


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
        lexicon: Path | str | None = None,
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
            lexicon: a file of words and what is right for them. Of a listed item the first is said, and with
                `nbest` all are; the run is asked about the others.
            decoding: options of the family's decoding; those left out are the run's.

        Raises:
            UsageError: what are no items, an option that is not the family's, or `nbest` of one without.
            DataError: there are no items, or unknown symbols where they stop, or the lexicon cannot be read.
        """
        asked: Any = {"nbest": nbest, "unknown": unknown, "report": report, "lexicon": lexicon}
        each = self.decode_each(items, **asked, **decoding)
        return list(each)

    def decode_each(
        self,
        items: Any = None,
        *,
        nbest: int | None = None,
        unknown: OnUnknown = "warn",
        report: Callable[[str], None] = warnings.warn,
        lexicon: Path | str | None = None,
        place: str = "text ",
        **decoding: Any,
    ) -> Iterator[Decoded]:
        """The same one by one, as they come; `place` stands before an item's number in warnings."""
        options = self.decoding(decoding)
        self.check_nbest(nbest)
        check_word("unknown", unknown, ("warn", "stop"))
        if are_texts(items):
            of_texts = iter(self._from_texts([text for text in items if text.strip()]))
            items = [next(of_texts) if text.strip() else None for text in items]
        items, known = self._known(items, lexicon, nbest, report)
        numbers: list[int] | None = None  # of the items that the run is asked about, from 1
        if known:
            numbers = [number for number, item in enumerate(items, start=1) if number not in known]
            count, items = len(items), [items[number - 1] for number in numbers]
            if not items:
                return iter([known[number] for number in range(1, count + 1)])
        items = self._items(self._gathered(items))
        self._check_symbols(items, numbers, unknown, report, place)
        where = placed(items, numbers, place)
        tell_remarks(list(self._remarks(items)), where, report)
        answers = telling_cuts(self._answers(items, options, nbest), where, report)
        return answers if numbers is None else _with_known(answers, known, count)

    def check_nbest(self, nbest: int | None) -> None:
        """Refuses, by a UsageError, a number that is none, and any of a family without n-best outputs."""
        check_number("nbest", nbest, 1, optional=True)
        if nbest is not None and self.family.nbest is None:
            what = f"model {self.family.name} says no probabilities of what it decodes"
            raise UsageError(what, "leave out --nbest and --scores")

    def read_inputs(
        self,
        path: Path | str,
        report: Callable[[str], None] = warnings.warn,
        on_bad: str | None = None,
    ) -> list[Any]:
        """Every line of a file as an item of which only the source is known; None for a blank line.

        Args:
            path: of the file; of pictures, too, where the family takes them.
            report: told what is left out, for which there is None, too.
            on_bad: "stop" at what cannot be used, or "skip" it [as the run was trained].

        Raises:
            UsageError: items of this family are no lines of a file.
            DataError: the file or a line cannot be read.
        """
        if self.family.inputs is None:
            raise UsageError(f"items of model {self.family.name} are no lines of a file: give --data")
        return self._reading(on_bad)._read_inputs(Path(path), report)

    def unseen(self, items: Any) -> list[Unseen]:
        """Items with symbols that training never saw, which the run takes all for the same."""
        return found_unseen(self._unseen(self._items(items)), known=self._known_symbols(targets=False))

    def check_symbols(
        self, items: Any, *, unknown: OnUnknown = "warn", report: Callable[[str], None] = warnings.warn
    ) -> None:
        """Name the items with symbols that training never saw, in sources or targets: answers mean little.

        Args:
            items: what `select` or `select_lines` gave.
            unknown: "warn", or "stop" at the first.
            report: told the warnings.

        Raises:
            DataError: there are such items, and they stop.
        """
        numbers: list[int] | None = None
        if isinstance(items, list) and any(item is None for item in items):
            numbers = [number for number, item in enumerate(items, start=1) if item is not None]
            items = [item for item in items if item is not None]
        self._check_symbols(items, numbers, unknown, report, "item ")
        targets = found_unseen(self._unseen_targets(items), "target ", self._known_symbols(targets=True))
        tell_unseen(targets, placed(items, numbers, "item "), report, stop=unknown == "stop")

    def decoding(self, given: Mapping[str, Any]) -> Any:
        """The options of decoding: the run's own, with those given now on top, checked."""
        return check_options(self.family, self.config.decoding, given)

    # The items, and the answers that the run is not asked for, by the numbers of items, from 1.
    def _known(
        self, items: Any, lexicon: Path | str | None, nbest: int | None, report: Callable[[str], None]
    ) -> tuple[Any, dict[int, Decoded]]:
        if lexicon is not None and not isinstance(items, list):
            items = self._items(items)
            items = list(items) if self.selection is list else items
        if not isinstance(items, list):
            if lexicon is not None:
                self._look_up(items, Path(lexicon), report)
            return items, {}
        known = {number: BLANK for number, item in enumerate(items, start=1) if item is None}
        if lexicon is not None:
            numbers = [number for number in range(1, len(items) + 1) if number not in known]
            asked = self._items([items[number - 1] for number in numbers])
            found = zip(numbers, self._look_up(asked, Path(lexicon), report), strict=True)
            looked_up = {number: answer for number, answer in found if answer.listed}
            report(f"{lexicon}: {len(looked_up)} of {len(numbers)} were looked up, the others are the run's")
            known |= (
                looked_up
                if nbest is not None
                else {number: replace(answer, hypotheses=()) for number, answer in looked_up.items()}
            )
        return items, known

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
        tell_unseen(self.unseen(items), placed(items, numbers, place), report, stop=unknown == "stop")

    @abstractmethod
    def _items(self, items: Any) -> Any: ...
    @abstractmethod
    def _reading(self, on_bad: str | None) -> "DecodingRun": ...
    @abstractmethod
    def _decode(self, items: Any, options: Any) -> Iterable[Decoded]: ...

    # And only if the family declares `inputs` or `nbest`, takes texts, or has symbols.
    def _nbest(self, items: Any, options: Any, nbest: int) -> Iterable[Decoded]:
        raise NotImplementedError

    def _read_inputs(self, path: Path, report: Callable[[str], None]) -> list[Any]:
        raise NotImplementedError

    # What `_read_inputs` gave, but for what is None, as `select` would give it.
    def _gathered(self, items: Any) -> Any:
        return items

    def _from_texts(self, texts: Sequence[str]) -> Sequence[Any]:
        raise UsageError(f"model {self.family.name} takes no texts as items", "give what select() gave")

    # A name and the unknown symbols of every item.
    def _unseen(self, items: Any) -> Iterable[tuple[str, Sequence[str]]]:
        return ()

    # The same of targets, which are named by what they say.
    def _unseen_targets(self, items: Any) -> Iterable[tuple[str, Sequence[str]]]:
        return ()

    # The symbols of sources, or of targets, that training saw.
    def _known_symbols(self, *, targets: bool) -> Iterable[str]:
        return ()

    # What is listed of each item, if anything is.
    def _look_up(self, items: Any, path: Path, report: Callable[[str], None]) -> Iterable[Decoded]:
        raise UsageError(f"model {self.family.name} has nothing to look up", "leave --lexicon out")

    # Why what is said of some items, by their indices, may be wrong.
    def _remarks(self, items: Any) -> Iterable[tuple[int, str]]:
        return ()


# Those that are known, by their numbers from 1, between the others, of so many in all.
def _with_known(answers: Iterator[Decoded], known: Mapping[int, Decoded], count: int) -> Iterator[Decoded]:
    for number in range(1, count + 1):
        yield known[number] if number in known else next(answers)
    yield from answers  # none: there may be something to tell when they are over
