"""What an opened run on questions about images answers: figures, posteriors, regions, plots.

Shapes: B images, T questions of an image, S regions.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from hardpp import sites
from hardpp.data.parts import items_of_part
from hardpp.data.questions.batches import group_by_image
from hardpp.errors import DataError
from hardpp.tasks.arguments import named_items
from hardpp.tasks.file_names import file_names
from hardpp.tasks.image_regions import likeliest_region
from hardpp.tasks.opened_run import DataTree, Decoded, Figures, OpenedRun, Report
from hardpp.tasks.question_answering.data import (
    QuestionDescription,
    QuestionItems,
    batches,
    cells,
    ordered_batches,
    region_boxes,
)
from hardpp.tasks.question_answering.evaluation import AnswerChoice, best_answers, evaluate, region_weights
from hardpp.types import QuestionBatch


class QuestionAnsweringRun(OpenedRun):
    """A run on questions about images; items are `QuestionItems`."""

    description: QuestionDescription
    selection = QuestionItems

    def _select(self, data: str | None, part: str | None, limit: int | None, report: Report) -> QuestionItems:
        corpus = self._load(data, report)
        pictures, kind, channels = corpus.pictures, self.description.images, self.description.channels
        if pictures.kind != kind:
            raise DataError(f"{corpus.name}: images are {pictures.kind}, and this run was trained on {kind}")
        if pictures.channels != channels:
            there = f"regions have {pictures.channels} features"
            raise DataError(f"{corpus.name}: {there}, and this run was trained on {channels}")
        return QuestionItems(items_of_part(corpus, part, limit), pictures)

    def _batch(self, items: QuestionItems) -> QuestionBatch:
        size = len(items.questions)
        ((_, batch),) = ordered_batches(items, self.description, self.network.kernels, size)
        return batch.to(self.device)

    def _evaluate(self, items: QuestionItems, options: AnswerChoice) -> dict[str, Any]:
        return evaluate(self, items, options)

    def _decode(self, items: QuestionItems, options: AnswerChoice) -> list[Decoded]:
        names = (f"{question.name} {question.text}" for question in items.questions)
        return [Decoded(*pair) for pair in zip(names, best_answers(self, items, options), strict=True)]

    def _posterior(self, items: QuestionItems, *, draws: int, exact: bool, seed: int) -> DataTree:
        from hardpp.diagnostics.alignment_posterior import Questions
        from hardpp.diagnostics.draws import draw_alignments
        from hardpp.diagnostics.posterior import sample_posterior

        labels = Questions(
            [question.name for question in items.questions],
            [question.text for question in items.questions],
            [question.image for question in items.questions],
            ["|".join(dict.fromkeys(question.answers)) for question in items.questions],
            [region_boxes(self, items.pictures, question.image) for question in items.questions],
        )
        asked = (([*cells(asked)], batch) for asked, batch in batches(self, items))
        draw = partial(draw_alignments, *self.programs, site=sites.REGION, draws=draws, exact=exact)
        draw = partial(draw, observed=sites.ANSWER)
        return sample_posterior(draw, asked, labels, seed=seed, attributes=self.provenance)

    def _align(self, items: QuestionItems, of: str, form: str) -> Iterator[str]:
        yield "\t".join(("name", "question", "answer", "region", "box", "probability"))
        for question, weights in zip(items.questions, region_weights(self, items), strict=True):
            boxes = region_boxes(self, items.pictures, question.image)
            region = likeliest_region(getattr(weights, of), boxes)
            yield "\t".join((question.name, question.text, question.answers[0], *region))

    def _plot(self, items: QuestionItems, count: int, names: Sequence[str]) -> Figures:
        from hardpp.diagnostics.region_plot import region_figure

        drawn = items._replace(questions=[items.questions[index] for index in _drawn(items, count, names)])
        files = file_names([f"{question.name} {question.text}" for question in drawn.questions])
        attentions = region_weights(self, drawn)
        for name, question, attention in zip(files, drawn.questions, attentions, strict=True):
            figure = region_figure(
                [(view, weights.numpy()) for view, weights in attention._asdict().items()],
                region_boxes(self, items.pictures, question.image),
                pixels=items.pictures.shown(question.image),
                gold=items.pictures.gold(question.image),
                title=f"{question.text} \N{EM DASH} {question.answers[0]}",
            )
            yield name, figure


# Indices of the questions with these names or texts; if there are none, of one question about each image.
def _drawn(items: QuestionItems, count: int, names: Sequence[str]) -> list[int]:
    if not names:
        return [image.questions[0] for image in group_by_image(items.questions)][:count]
    by_text = {
        text: question.name
        for question in reversed(items.questions)
        for text in (question.text, f"{question.name} {question.text}")  # the latter is how `decode` says it
    }
    known = [question.name for question in items.questions]
    return named_items(known, [by_text.get(name, name) for name in names], count, "questions")
