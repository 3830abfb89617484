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
from hardpp.data.transduction.pairs import Pair, PlacedPair
from hardpp.data.transduction.source_texts import Reading, read_sources
from hardpp.data.transduction.tokenization import mark_repeated
from hardpp.data.transduction.tokenizers import Characters, Inflected, folding_of
from hardpp.data.vocabulary import END
from hardpp.errors import DataError, UsageError
from hardpp.tasks.alignment.aligned_lines import source_symbols
from hardpp.tasks.alignment.data import is_single, load, single
from hardpp.tasks.alignment.description import BATCH, PairsDescription, batches
from hardpp.tasks.alignment.evaluation import evaluate, hypotheses, outputs, position_weights
from hardpp.tasks.alignment.lexicon import look_up, read_lexicon
from hardpp.tasks.alignment.linked_run import LinkedRun
from hardpp.tasks.answers.calibration.simulation_based import Choices, Simulated
from hardpp.tasks.answers.decoded import listed
from hardpp.tasks.answers.labelled_draws import labelled_draws
from hardpp.tasks.answers.pictures import Figures
from hardpp.tasks.attention import VIEW_NAMES, choices_at, drawn_batches, mean_entropies
from hardpp.tasks.file_names import distinct, file_names
from hardpp.tasks.metrics.error_rates import error_rates
from hardpp.tasks.opened_run import DataTree, Decoded, Report
from hardpp.tasks.sequence_decoding import SequenceDecoding
from hardpp.tasks.simulated_targets import simulate
from hardpp.types import SequenceBatch

LONGER = 1.5  # times as long as any of training: such sources are told of
SHOWN = 2 * BATCH  # pairs decoded together: two batches of like length


class AlignmentRun(LinkedRun):
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
            pairs, (_, target) = single(config, sides, report), self.description.tokenizers
            if not target.sentences:
                mark_repeated(pairs)
            return pairs[:limit]
        corpus = self.data if data is None else None
        if corpus is None:
            corpus = load(config, _warnings_of(report) if data is None else report, sides)
        return items_of_part(corpus, part, limit)

    def _batch(self, items: Sequence[Pair]) -> SequenceBatch:
        if not items:
            raise DataError("there are no pairs in this part of the data")
        return collate(encode(items, *self.description.vocabularies)).to(self.device)

    def _evaluate(self, items: Sequence[Pair], options: SequenceDecoding) -> dict[str, Any]:
        # A source with several right answers is judged once, of one file as of a folder.
        once = [pair for pair in items if not (isinstance(pair, PlacedPair) and pair.repeated)]
        return evaluate(self, once, options)

    def _decode(self, items: Sequence[Pair], options: SequenceDecoding) -> Iterator[Decoded]:
        _, target = self.description.tokenizers
        for some in self._some(items):
            found = outputs(self, some, options)
            for name, output in zip(self._names(some), found, strict=True):
                yield Decoded(name, target.detokenize(output.symbols), cut=output.cut)

    def _nbest(self, items: Sequence[Pair], options: SequenceDecoding, nbest: int) -> Iterator[Decoded]:
        for some in self._some(items):
            for name, found in zip(self._names(some), hypotheses(self, some, options, nbest), strict=True):
                yield Decoded(name, found[0].text, found, found[0].cut)

    def _unseen(self, items: Sequence[Pair]) -> Iterator[tuple[str, Sequence[str]]]:
        vocabulary, _ = self.description.vocabularies
        for name, pair in zip(self._names(items), items, strict=True):
            yield name, vocabulary.unseen(pair.source)

    def _look_up(self, items: Sequence[Pair], path: Path, report: Report) -> Iterator[Decoded]:
        lexicon = read_lexicon(path, self.data_config(None), self.description.tokenizers, report)
        for name, texts in zip(self._names(items), look_up(lexicon, items), strict=True):
            yield listed(name, texts)

    def _remarks(self, items: Sequence[Pair]) -> Iterator[tuple[int, str]]:
        longest = self.description.longest_source
        for index, pair in enumerate(items):
            if longest and (length := len(pair.source)) > LONGER * longest:
                what = f"the source has {length} symbols, and none had more than {longest} in training"
                yield index, f"{what}: the output may stop too early; --length-penalty 1 favours longer ones"

    def _unseen_targets(self, items: Sequence[Pair]) -> Iterator[tuple[str, Sequence[str]]]:
        _, vocabulary = self.description.vocabularies
        _, tokenizer = self.description.tokenizers
        for pair in items:
            symbols = [symbol for target in pair.references for symbol in vocabulary.unseen(target)]
            yield tokenizer.detokenize(pair.target), symbols

    def _known_symbols(self, *, targets: bool) -> Sequence[str]:
        return self.description.vocabularies[targets].symbols

    def _read_inputs(self, path: Path, report: Report) -> list[Pair | None]:
        kind, (known, _) = self.description.tokenizers[0].kind, self.description.vocabularies
        config, of_lists = self.data_config(None), not self.description.tokenizers[1].sentences
        parted = of_lists and (kind == Characters.kind or config.reverse)
        free = [mark for mark in ",;" if not any(mark in symbol for symbol in known.symbols)]
        reading = Reading(
            inflected=kind == Inflected.kind,
            separators=free if parted else (),
            columns=config.columns,
            reverse=config.reverse,
            of_words=of_lists and kind == Characters.kind and bool(known.unseen(" ")),
            on_bad=config.on_bad,
        )
        texts = read_sources(path, report, reading)
        pairs = iter(self._from_texts([text for text in texts if text]))
        return [next(pairs) if text else None for text in texts]

    def _from_texts(self, texts: Sequence[str]) -> list[Pair]:
        tokenizer, _ = self.description.tokenizers
        fold, pairs = folding_of(tokenizer), list[Pair]()
        for number, text in enumerate(texts, start=1):
            if tokenizer.kind == Inflected.kind and "\t" not in text:
                what = f"text {number}: {text!r} has no features"
                raise DataError(what, "give lemma, TAB, features, as the run was trained on")
            pair = PlacedPair(tokenizer.tokenize(text), (), ())
            pair.text = text if fold(text) != text else None
            pairs.append(pair)
        return pairs

    def _posterior(self, items: Sequence[Pair], *, draws: int, exact: bool, seed: int) -> DataTree:
        from hardpp.diagnostics.alignment_posterior import Sentences
        from hardpp.diagnostics.draws import draw_alignments

        names, targets = distinct(self._names(items)), [pair.target for pair in items]
        labels = Sentences(names, [source_symbols(pair) for pair in items], targets, END)
        draw = partial(draw_alignments, *self.programs, site=sites.ALIGNMENT, draws=draws)
        draw = partial(draw, exact=self.exact_marginal if exact else None, observed=sites.SYMBOL)
        asked, streams = drawn_batches(self, batches(self, items), sites.ALIGNMENT)
        return labelled_draws(self, draw, asked, labels, seed=seed, streams=streams)

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
            yield name, alignment_figure(panels, source_symbols(pair), symbols, title=title, note=note)

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
        return [getattr(pair, "text", None) or tokenizer.detokenize(pair.source) for pair in items]

    # So many at once that what is printed comes soon; none are refused where they are decoded.
    def _some(self, pairs: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
        at_once = SHOWN * self.sharing.size
        for start in range(0, len(pairs) or 1, at_once):
            yield pairs[start : start + at_once]


# How the run's own data are read was said when it was trained.
def _warnings_of(report: Report) -> Report:
    return lambda text: report(text) if text.startswith(("warning: ", "left out: ")) else None
