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
from hardpp.errors import DataError, UsageError
from hardpp.tasks.alignment.data import BATCH, PairsDescription, batches, is_single, load, single
from hardpp.tasks.alignment.evaluation import decode, evaluate, hypotheses, position_weights
from hardpp.tasks.alignment.link_calibration import LinkMaker
from hardpp.tasks.alignment.word_links import compare_links
from hardpp.tasks.answers.calibration.reliability import BINS, Curve
from hardpp.tasks.answers.calibration.simulation_based import Choices, Simulated
from hardpp.tasks.answers.pictures import Figures
from hardpp.tasks.attention import VIEW_NAMES, choices_at, drawn_batches, mean_entropies
from hardpp.tasks.file_names import distinct, file_names
from hardpp.tasks.formats.pharaoh import pharaoh
from hardpp.tasks.metrics.error_rates import error_rates
from hardpp.tasks.opened_run import DataTree, Decoded, OpenedRun, Report
from hardpp.tasks.sequence_decoding import SequenceDecoding
from hardpp.tasks.simulated_targets import simulate
from hardpp.types import SequenceBatch

SHOWN = 2 * BATCH  # pairs decoded together: two batches of like length


class AlignmentRun(OpenedRun):
    """A run on sequence pairs; items are lists of `Pair`."""

    description: PairsDescription
    item = Pair
    kind = "pairs"
    uncertainty = "entropy of the exact posterior over positions, nats a step"
    error = "edits a symbol"

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

    def _decode(self, items: Sequence[Pair], options: SequenceDecoding) -> Iterator[Decoded]:
        _, target = self.description.tokenizers
        for some in _some(items):
            outputs = decode(self, some, options)
            for name, symbols in zip(self._names(some), outputs, strict=True):
                yield Decoded(name, target.detokenize(symbols))

    def _nbest(self, items: Sequence[Pair], options: SequenceDecoding, nbest: int) -> Iterator[Decoded]:
        for some in _some(items):
            for name, found in zip(self._names(some), hypotheses(self, some, options, nbest), strict=True):
                yield Decoded(name, found[0].text, found)

    def _unseen(self, items: Sequence[Pair]) -> Iterator[tuple[str, Sequence[str]]]:
        vocabulary, _ = self.description.vocabularies
        for name, pair in zip(self._names(items), items, strict=True):
            yield name, vocabulary.unseen(pair.source)

    def _read_inputs(self, path: Path, report: Report) -> list[Pair | None]:
        texts = read_source_texts(path)
        pairs = iter(self._from_texts([text for text in texts if text]))
        return [next(pairs) if text else None for text in texts]

    def _from_texts(self, texts: Sequence[str]) -> list[Pair]:
        tokenizer, _ = self.description.tokenizers
        return [Pair(tokenizer.tokenize(text), (), ()) for text in texts]

    def _posterior(self, items: Sequence[Pair], *, draws: int, exact: bool, seed: int) -> DataTree:
        from hardpp.diagnostics.alignment_posterior import Sentences
        from hardpp.diagnostics.draws import draw_alignments
        from hardpp.diagnostics.posterior import sample_posterior

        names, targets = distinct(self._names(items)), [pair.target for pair in items]
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

    def _simulate(self, items: Sequence[Pair]) -> Iterator[Simulated]:
        if self.network.alignment == "chain":
            raise UsageError("positions of a chain are not drawn together with the symbols", "take attention")
        of_pairs = (batch for _, batch in batches(self, items))
        longest = self.description.longest
        return simulate(
            self.programs.model, of_pairs, sites.ALIGNMENT, lambda batch: longest(batch.source.shape[1])
        )

    def _choices(self, view: str, simulated: Simulated) -> Choices:
        return choices_at(self, simulated, sites.ALIGNMENT, view)

    def _plot(self, items: Sequence[Pair], indices: Sequence[int]) -> Figures:
        from hardpp.diagnostics.alignment_plot import alignment_figure

        drawn = [items[index] for index in indices]
        views = {name: position_weights(self, drawn, view) for view, name in VIEW_NAMES.items()}
        titles, note = self._names(drawn), self.note("where each symbol comes from")
        for index, (pair, title, name) in enumerate(zip(drawn, titles, file_names(titles, 40), strict=True)):
            panels = [(view, weights[index].numpy()) for view, weights in views.items()]
            symbols = (*pair.target, END)
            yield name, alignment_figure(panels, _positions(pair), symbols, title=title, note=note)

    def _uncertainty(self, items: Sequence[Pair]) -> list[float]:
        return mean_entropies(position_weights(self, items, "posterior"))

    def _right(self, items: Sequence[Pair]) -> list[tuple[str, ...]]:
        _, target = self.description.tokenizers
        return [tuple(target.detokenize(right) for right in pair.references) for pair in items]

    def _error(self, said: str, right: Sequence[str]) -> float:
        _, target = self.description.tokenizers
        return error_rates([target.tokenize(said)], [[target.tokenize(text) for text in right]]).symbol

    def _names(self, items: Sequence[Pair]) -> list[str]:
        tokenizer, _ = self.description.tokenizers
        return [tokenizer.detokenize(pair.source) for pair in items]


# So many at once that what is printed comes soon; none are refused where they are decoded.
def _some(pairs: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
    for start in range(0, len(pairs) or 1, SHOWN):
        yield pairs[start : start + SHOWN]


# The symbol at every source position, the end mark last.
def _positions(pair: Pair) -> tuple[str, ...]:
    return (*pair.source, END)
