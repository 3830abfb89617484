"""What an opened run on sequence pairs answers: figures, posteriors, alignments, word links, plots.

Shapes: B data, T output steps (the end mark included), S source positions.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hardpp import sites
from hardpp.data.parts import items_of_part
from hardpp.data.transduction.batches import collate, encode
from hardpp.data.transduction.pairing import read_source_texts
from hardpp.data.transduction.pairs import Pair
from hardpp.data.vocabulary import END
from hardpp.errors import DataError
from hardpp.tasks.alignment.data import PairsDescription, batches, is_single, load, single
from hardpp.tasks.alignment.evaluation import decode, evaluate, position_weights
from hardpp.tasks.alignment.link_calibration import LinkMaker
from hardpp.tasks.alignment.word_links import compare_links
from hardpp.tasks.arguments import named_items
from hardpp.tasks.attention import drawn_batches
from hardpp.tasks.calibration.reliability import BINS, Curve
from hardpp.tasks.file_names import distinct, file_names
from hardpp.tasks.formats.pharaoh import pharaoh
from hardpp.tasks.opened_run import DataTree, Decoded, Figures, OpenedRun, Report
from hardpp.tasks.sequence_decoding import SequenceDecoding
from hardpp.types import SequenceBatch


class AlignmentRun(OpenedRun):
    """A run on sequence pairs; items are lists of `Pair`."""

    description: PairsDescription
    item = Pair

    def _select(self, data: str | None, part: str | None, limit: int | None, report: Report) -> list[Pair]:
        config, sides = self.data_config(data), self.description.tokenizers
        if config.reverse:
            sides = sides[::-1]
        if data is not None and part in (None, "all") and is_single(data):
            return single(config, sides, report)[:limit]
        corpus = self.data if data is None else None
        if corpus is None:
            corpus = load(config, report, sides)
        return items_of_part(corpus, part, limit)

    def _batch(self, items: Sequence[Pair]) -> SequenceBatch:
        if not items:
            raise DataError("there are no pairs in this part of the data")
        return collate(encode(items, *self.description.vocabularies)).to(self.device)

    def _evaluate(self, items: Sequence[Pair], options: SequenceDecoding) -> dict[str, Any]:
        return evaluate(self, items, options)

    def _decode(self, items: Sequence[Pair], options: SequenceDecoding) -> list[Decoded]:
        source, target = self.description.tokenizers
        outputs = decode(self, items, options)
        return [
            Decoded(source.detokenize(pair.source), target.detokenize(symbols))
            for pair, symbols in zip(items, outputs, strict=True)
        ]

    def _read_inputs(self, path: Path) -> list[Pair]:
        return self._from_texts(read_source_texts(path))

    def _from_texts(self, texts: Sequence[str]) -> list[Pair]:
        tokenizer, _ = self.description.tokenizers
        if blank := [text for text in texts if not text.strip()]:
            raise DataError(f"a text to decode holds only blanks: {blank[0]!r}")
        return [Pair(tokenizer.tokenize(text), (), ()) for text in texts]

    def _posterior(self, items: Sequence[Pair], *, draws: int, exact: bool, seed: int) -> DataTree:
        from hardpp.diagnostics.alignment_posterior import Sentences
        from hardpp.diagnostics.draws import draw_alignments
        from hardpp.diagnostics.posterior import sample_posterior

        names, targets = distinct(self._texts(items)), [pair.target for pair in items]
        labels = Sentences(names, [_positions(pair) for pair in items], targets, END)
        draw = partial(draw_alignments, *self.programs, site=sites.ALIGNMENT, draws=draws, exact=exact)
        draw = partial(draw, observed=sites.SYMBOL)
        asked, streams = drawn_batches(self, batches(self, items), sites.ALIGNMENT)
        return sample_posterior(draw, asked, labels, seed=seed, streams=streams, attributes=self.provenance)

    def _align(self, items: Sequence[Pair], of: str, form: str) -> Iterator[str]:
        if form != "tsv":
            yield from self._linked(LinkMaker(self, of), items, form)
            return
        yield "\t".join(("pair", "step", "symbol", "position", "source", "probability"))
        for number, (pair, weights) in enumerate(zip(items, position_weights(self, items, of), strict=True)):
            probability, position = (part.tolist() for part in weights.max(-1))
            for step, symbol in enumerate((*pair.target, END)):
                source = _positions(pair)[position[step]]
                cells = (number, step, symbol, position[step], source, f"{probability[step]:.4f}")
                yield "\t".join(map(str, cells))

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
        return list(run._linked(LinkMaker(self, of, backward, method), self._items(items), form))

    def _linked(self, maker: LinkMaker, items: Sequence[Pair], form: str) -> Iterator[str]:
        calibrated = self.certainty.calibrated
        linked = maker.calibrated(items, self.select(part="dev")) if calibrated else maker.links(items)[0]
        return (pharaoh(links, form != "pharaoh") for links in linked)

    def link_reliability(
        self, backward: OpenedRun, items: Any = None, *, of: str, method: Any, bins: int = BINS
    ) -> list[Curve]:
        """`reliability` of the links of two directions, symmetrised."""
        maker = LinkMaker(self, of, backward, method)
        return maker.reliability(self._items(items), self.select(part="dev"), bins)

    def _reliability(self, items: Sequence[Pair], of: str, bins: int) -> list[Curve]:
        return LinkMaker(self, of).reliability(items, self.select(part="dev"), bins)

    def compare_links(self, items: Any = None, backward: OpenedRun | None = None) -> list[dict[str, Any]]:
        """Errors of the run's word links against known ones: see `word_links.compare_links`."""
        return compare_links(self, backward, self._items(items))

    def _plot(self, items: Sequence[Pair], count: int, names: Sequence[str]) -> Figures:
        from hardpp.diagnostics.alignment_plot import alignment_figure

        drawn = [items[index] for index in named_items(self._texts(items), names, count, "pairs")]
        views = {view: position_weights(self, drawn, view) for view in ("prior", "guide", "posterior")}
        titles = self._texts(drawn)
        for index, (pair, title, name) in enumerate(zip(drawn, titles, file_names(titles, 40), strict=True)):
            panels = [(view, weights[index].numpy()) for view, weights in views.items()]
            yield name, alignment_figure(panels, _positions(pair), (*pair.target, END), title=title)

    def _texts(self, pairs: Sequence[Pair]) -> list[str]:
        tokenizer, _ = self.description.tokenizers
        return [tokenizer.detokenize(pair.source) for pair in pairs]


# The symbol at every source position, the end mark last.
def _positions(pair: Pair) -> tuple[str, ...]:
    return (*pair.source, END)
