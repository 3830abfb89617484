"""What an opened run on sequence pairs answers about alignments: lines of them, and links of words.

Items may be those of `select_lines`, with None at lines of a file that were left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from hardpp.data.lines import BLANKS
from hardpp.data.transduction.pairs import Pair
from hardpp.errors import DataError
from hardpp.tasks.alignment.aligned_lines import link_lines, position_lines
from hardpp.tasks.alignment.data import NAMES
from hardpp.tasks.alignment.description import PairsDescription
from hardpp.tasks.alignment.gold_pairs import GoldFiles, right_links, with_gold
from hardpp.tasks.alignment.item_lines import are_lines, line_by_line
from hardpp.tasks.alignment.link_calibration import LinkMaker
from hardpp.tasks.alignment.word_links import compare_links, link_errors, word_links
from hardpp.tasks.answers.calibration.reliability import BINS, Curve
from hardpp.tasks.opened_run import OpenedRun, Report


class LinkedRun(OpenedRun):
    """The part of a run on sequence pairs that aligns them."""

    description: PairsDescription

    def _select_lines(
        self, data: str | None, part: str | None, limit: int | None, report: Report, *, strict: bool
    ) -> list[Pair | None]:
        config = self.data_config(data)
        run = self
        if config.on_bad == "stop" and not strict:
            lenient = self.config.data.model_copy(update={"on_bad": BLANKS})
            run = replace(self, config=self.config.model_copy(update={"data": lenient}))
        pairs = run._select(data, part, None, report)
        _, target = self.description.tokenizers
        if are_lines(config, part, parted=data is None, pooled=not target.sentences):
            return line_by_line(pairs)[:limit]
        return [*pairs[:limit]]

    def _align_lines(self, items: Any, of: str, form: str) -> Iterator[str]:
        if form == "tsv":
            return position_lines(self, self._lines(items), of)
        return link_lines(LinkMaker(self, of), self._lines(items), form)

    def _align(self, items: Sequence[Pair], of: str, form: str) -> Iterator[str]:
        return self._align_lines(items, of, form)

    def link_words(
        self,
        backward: OpenedRun,
        items: Any = None,
        *,
        of: str,
        method: Any,
        form: str,
        calibrated: bool = False,
    ) -> list[str]:
        """Lines of word links by this run and one of the other direction, symmetrised.

        Raises:
            UsageError: the second run does not go back from where the first one goes to.
            DataError: calibrated, and too few links of the dev part are known.
        """
        run = self.sure(form, calibrated=calibrated)
        return list(link_lines(LinkMaker(run, of, backward, method), self._lines(items), form))

    # Items as `select_lines` gives them; without any, and without any blank, they are refused.
    def _lines(self, items: Any) -> list[Pair | None]:
        lines = items if isinstance(items, list) and items else self._items(items)
        if not lines:
            raise DataError("there are no pairs in this part of the data")
        self._items([pair for pair in lines if pair is not None])
        return list(lines)

    def link_reliability(
        self, backward: OpenedRun, items: Any = None, *, of: str, method: Any, bins: int = BINS
    ) -> list[Curve]:
        """`reliability` of the links of two directions, symmetrised."""
        return LinkMaker(self, of, backward, method).reliability(self._items(items), self._linked_dev(), bins)

    def _reliability(self, items: Sequence[Pair], of: str, bins: int) -> list[Curve]:
        return LinkMaker(self, of).reliability(items, self._linked_dev(), bins)

    # Pairs of a user's own have no links in their files, which may be gone.
    def _linked_dev(self) -> list[Pair]:
        if self.data is None and self.config.data.name not in NAMES:
            return []
        return [pair for pair in self.select(part="dev") if right_links(pair)]

    def select_linked(
        self,
        data: str | None = None,
        part: str | None = None,
        limit: int | None = None,
        report: Report = lambda text: None,
        on_bad: str | None = None,
        *,
        gold: GoldFiles,
    ) -> list[Pair]:
        """What `select` gives, with the links that somebody made by hand.

        Raises:
            DataError: there are links of other pairs than these, or what is no link.
        """
        items = self.select_lines(data, part, None, report, on_bad)
        return with_gold(items, gold, self.description.tokenizers, report)[:limit]

    def link_figures(self, items: Any = None) -> dict[str, float]:
        """How right the run's links are, by the exact posterior: see `AlignmentFamily.figures`."""
        pairs = self._items(items)
        errors = link_errors(word_links(self, pairs, "posterior"), pairs)
        raw, *_ = self.reliability(pairs)
        rates = {"AER": errors.error, "precision": errors.precision, "recall": errors.recall}
        return {**rates, "link_ece": raw["ece"]}

    def compare_links(self, items: Any = None, backward: OpenedRun | None = None) -> list[dict[str, Any]]:
        """Errors of the run's word links against known ones: see `word_links.compare_links`."""
        return compare_links(self, backward, self._items(items))
