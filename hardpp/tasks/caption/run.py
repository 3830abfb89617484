"""What an opened run on captions answers: figures, posteriors, regions of words, plots.

Shapes: B sentences, T words (the end mark included), S regions.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hardpp import sites
from hardpp.data.captions.folders import asked_parts
from hardpp.data.captions.found_captions import holds_captions
from hardpp.data.images.asked_pictures import AskedPicture, are_asked, asked_pictures, named_pictures
from hardpp.data.parts import PARTS
from hardpp.data.vocabulary import END
from hardpp.errors import DataError
from hardpp.tasks.answers.calibration.simulation_based import Choices, Simulated
from hardpp.tasks.answers.labelled_draws import labelled_draws
from hardpp.tasks.answers.pictures import Figures
from hardpp.tasks.attention import choices_at, drawn_batches, mean_entropies
from hardpp.tasks.caption.data import (
    BATCH,
    CaptionDescription,
    CaptionItems,
    batches,
    first_sentences,
    one_part,
    region_boxes,
    unsaid,
)
from hardpp.tasks.caption.evaluation import evaluate, hypotheses, outputs, word_weights
from hardpp.tasks.file_names import file_names
from hardpp.tasks.image_regions import likeliest_region
from hardpp.tasks.metrics.error_rates import error_rates
from hardpp.tasks.opened_run import DataTree, Decoded, OpenedRun, Report, is_own
from hardpp.tasks.sequence_decoding import SequenceDecoding
from hardpp.tasks.simulated_targets import simulate
from hardpp.types import SequenceBatch


class CaptionRun(OpenedRun):
    """A run on captions; items are `CaptionItems`, the first sentence of every image."""

    description: CaptionDescription
    selection = CaptionItems
    kind = "images"
    uncertainty = "entropy of the exact posterior over regions, nats a word"
    error = "edits a word"

    def _select(self, data: str | None, part: str | None, limit: int | None, report: Report) -> CaptionItems:
        if data is None or is_own(self, data) or not holds_captions(Path(data)):
            images = self._load(data, report)
            name, parts = images.name, {each: getattr(images, each) for each in PARTS}
        else:
            how: Any = self.data_config(data)
            name = Path(data).resolve().name
            channels, side, _ = self.description.size
            side = how.side if channels == 1 else side  # of scenes, which no pictures are like
            parts = asked_parts(Path(data), report, side=side, on_bad=how.on_bad)
        items = first_sentences(one_part(parts, part, name), limit)
        self._check_like(items, f"{name}: ")
        return items

    def _check_like(self, items: CaptionItems, of: str = "") -> None:
        if (size := list(items.part.images.size)) != (trained_on := self.description.size):
            what = f"images of {size} (channels, height, width), and this run was trained on {trained_on}"
            raise DataError(of + what)

    def _read_inputs(self, path: Path, report: Report) -> list[AskedPicture | None]:
        how: Any = self.config.data
        return asked_pictures(path, how.on_bad, report)

    def _from_texts(self, texts: Sequence[str]) -> list[AskedPicture | None]:
        return named_pictures(texts)

    def _gathered(self, items: Any) -> Any:
        return unsaid(items, self.description) if are_asked(items) else items

    def _batch(self, items: CaptionItems) -> SequenceBatch:
        return items.batch(self.description, self.network.kernels).to(self.device)

    def _evaluate(self, items: CaptionItems, options: SequenceDecoding) -> dict[str, Any]:
        return evaluate(self, items, options)

    def _decode(self, items: CaptionItems, options: SequenceDecoding) -> Iterator[Decoded]:
        for some in self._some(items):
            for name, said in zip(some.names, outputs(self, some, options), strict=True):
                yield Decoded(name, " ".join(said.words), cut=said.cut)

    def _nbest(self, items: CaptionItems, options: SequenceDecoding, nbest: int) -> Iterator[Decoded]:
        for some in self._some(items):
            for name, found in zip(some.names, hypotheses(self, some, options, nbest), strict=True):
                yield Decoded(name, found[0].text, found, found[0].cut)

    # Of most of whose words the run knows nothing; a few rare words are in every language.
    def _unseen_targets(self, items: CaptionItems) -> Iterator[tuple[str, Sequence[str]]]:
        for name, sentence in zip(items.names, items.sentences, strict=True):
            words = sentence.caption.words
            unseen = self.description.vocabulary.unseen(words)
            yield name, unseen if 2 * sum(word in unseen for word in words) > len(words) else []

    def _known_symbols(self, *, targets: bool) -> Sequence[str]:
        return self.description.words if targets else ()

    def _posterior(self, items: CaptionItems, *, draws: int, exact: bool, seed: int) -> DataTree:
        from hardpp.diagnostics.alignment_posterior import Sentences
        from hardpp.diagnostics.draws import draw_alignments

        regions = [",".join(f"{side:g}" for side in box) for box in region_boxes(self)]
        words = [sentence.caption.words for sentence in items.sentences]
        labels = Sentences(items.names, [regions] * len(words), words, END)
        draw = partial(draw_alignments, *self.programs, site=sites.REGION, draws=draws)
        draw = partial(draw, exact=self.exact_marginal if exact else None, observed=sites.SYMBOL)
        asked, streams = drawn_batches(self, batches(self, items), sites.REGION)
        return labelled_draws(self, draw, asked, labels, seed=seed, streams=streams)

    def _align(self, items: CaptionItems, of: str, form: str) -> Iterator[str]:
        yield "\t".join(("image", "word", "region", "box", "probability"))
        boxes = region_boxes(self)
        weights = word_weights(self, items, of)
        for name, sentence, of_sentence in zip(items.names, items.sentences, weights, strict=True):
            for word, of_word in zip((*sentence.caption.words, END), of_sentence, strict=True):
                yield "\t".join((name, word, *likeliest_region(of_word, boxes)))

    def _simulate(self, items: CaptionItems) -> Iterator[Simulated]:
        of_sentences = (batch for _, batch in batches(self, items))
        most = self.description.most_steps
        return simulate(self.programs.model, of_sentences, sites.REGION, lambda batch: most)

    def _choices(self, view: str, simulated: Simulated) -> Choices:
        return choices_at(self, simulated, sites.REGION, view)

    def _plot(self, items: CaptionItems, indices: Sequence[int]) -> Figures:
        from hardpp.diagnostics.region_plot import region_figure

        note = self.note("exact posterior of the region that each word of the first reference comes from")
        files = file_names(items.names)  # of all, so that an image has the same whichever are drawn with it
        drawn = items.at(indices)
        posterior = word_weights(self, drawn, "posterior")
        for index, sentence, weights in zip(indices, drawn.sentences, posterior, strict=True):
            words, gold = sentence.caption.words, sentence.caption.gold or {}
            figure = region_figure(
                [(word, weights[step].numpy()) for step, word in enumerate(words)],
                region_boxes(self),
                pixels=items.part.images.read([sentence.image])[0].movedim(0, -1).numpy(),
                gold=[gold.get(step) for step in range(len(words))],
                title=f"{items.names[index]} \N{EM DASH} {' '.join(words)}",
                note=note,
            )
            yield files[index], figure

    def _names(self, items: CaptionItems) -> list[str]:
        return items.names

    def _uncertainty(self, items: CaptionItems) -> list[float]:
        return mean_entropies(word_weights(self, items, "posterior"))

    def _right(self, items: CaptionItems) -> list[tuple[str, ...]]:
        captions = (items.part.captions[sentence.image] for sentence in items.sentences)
        return [tuple(" ".join(caption.words) for caption in of_image) for of_image in captions]

    def _error(self, said: str, right: Sequence[str]) -> float:
        return error_rates([said.split()], [[text.split() for text in right]]).symbol

    # So many at once that what is printed comes soon; none are refused where they are decoded.
    def _some(self, items: CaptionItems) -> Iterator[CaptionItems]:
        at_once = BATCH * self.sharing.size
        for start in range(0, len(items.sentences) or 1, at_once):
            yield items[start : start + at_once]
