"""What an opened run on questions about images answers: figures, posteriors, regions, plots.

Shapes: B images, T questions of an image, S regions.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hardpp import sites
from hardpp.data.parts import items_of_part
from hardpp.data.questions.asked_questions import AskedQuestion, asked_questions
from hardpp.data.questions.batches import group_by_image
from hardpp.data.questions.picture_folder import PictureFolder
from hardpp.data.questions.questions import Pictures
from hardpp.data.questions.region_features import RegionFeatures, feature_files
from hardpp.errors import DataError
from hardpp.tasks.answers.calibration.simulation_based import Choices, Simulated, dreamt
from hardpp.tasks.answers.class_hypotheses import likeliest
from hardpp.tasks.answers.decoded import in_turn
from hardpp.tasks.answers.labelled_draws import labelled_draws
from hardpp.tasks.answers.pictures import Figures
from hardpp.tasks.attention import VIEW_NAMES, choices_at, mean_entropies
from hardpp.tasks.file_names import file_names
from hardpp.tasks.image_regions import likeliest_region
from hardpp.tasks.metrics.vqa_accuracy import vqa_accuracy
from hardpp.tasks.opened_run import DataTree, Decoded, OpenedRun, Report
from hardpp.tasks.question_answering.data import (
    QuestionDescription,
    QuestionItems,
    batches,
    cells,
    ordered_batches,
    region_boxes,
)
from hardpp.tasks.question_answering.evaluation import AnswerChoice, answer_rows, evaluate, region_weights
from hardpp.types import QuestionBatch


class QuestionAnsweringRun(OpenedRun):
    """A run on questions about images; items are `QuestionItems`."""

    description: QuestionDescription
    selection = QuestionItems
    kind = "questions"
    uncertainty = "entropy of the exact posterior over regions, nats"
    error = "1 less the accuracy of VQA"

    def _select(self, data: str | None, part: str | None, limit: int | None, report: Report) -> QuestionItems:
        corpus = self._load(data, report)
        items = QuestionItems(items_of_part(corpus, part, limit), corpus.pictures)
        self._check_like(items, f"{corpus.name}: ")
        return items

    def _check_like(self, items: QuestionItems, of: str = "") -> None:
        pictures = items.pictures
        kind, channels = self.description.images, self.description.channels
        if pictures.kind != kind:
            raise DataError(f"{of}images are {pictures.kind}, and this run was trained on {kind}")
        if pictures.channels != channels:
            what = f"regions have {pictures.channels} features, and this run was trained on {channels}"
            raise DataError(of + what)

    # An image is looked for beside the file, and else among those of the run's own data.
    def _read_inputs(self, path: Path, report: Report) -> list[AskedQuestion | None]:
        how: Any = self.config.data

        def pictures_of(names: list[str]) -> Pictures:
            if self.description.images == "regions" and feature_files(path.parent, path):
                return RegionFeatures.of_folder(path.parent, report, path)
            if self.description.images == "pixels":
                found = PictureFolder(names, path.parent, self.description.size or None, how.on_bad, report)
                if any(name in found for name in names):
                    return found
            own: Pictures = self._load(None, report).pictures
            return own

        return asked_questions(path, pictures_of, how.on_bad, report)

    def _gathered(self, items: Any) -> Any:
        if not (isinstance(items, list) and items and all(isinstance(each, AskedQuestion) for each in items)):
            return items
        gathered = QuestionItems([each.question for each in items], items[0].pictures)
        self._check_like(gathered)
        return gathered

    def _batch(self, items: QuestionItems) -> QuestionBatch:
        size = len(items.questions)
        ((_, batch),) = ordered_batches(items, self.description, self.network.kernels, size)
        return batch.to(self.device)

    def _evaluate(self, items: QuestionItems, options: AnswerChoice) -> dict[str, Any]:
        return evaluate(self, items, options)

    def _decode(self, items: QuestionItems, options: AnswerChoice) -> Iterator[Decoded]:
        answers = self.description.answers
        rows = in_turn(answer_rows(self, items, options))
        for name, question, log_p in zip(_in_words(items), items.questions, rows, strict=True):
            yield Decoded(name, answers[int(log_p.argmax(-1))], key=question.name)

    def _nbest(self, items: QuestionItems, options: AnswerChoice, nbest: int) -> Iterator[Decoded]:
        answers, exact = self.description.answers, options.keep is None
        rows = in_turn(answer_rows(self, items, options))
        for name, question, log_p in zip(_in_words(items), items.questions, rows, strict=True):
            (found,) = likeliest(log_p.unsqueeze(0), answers, nbest, exact=exact)
            yield Decoded(name, found[0].text, found, key=question.name)

    def _unseen(self, items: QuestionItems) -> Iterator[tuple[str, Sequence[str]]]:
        known = self.description.word_numbers
        for name, question in zip(_in_words(items), items.questions, strict=True):
            yield name, [word for word in question.words if word not in known]

    def _known_symbols(self, *, targets: bool) -> Sequence[str]:
        return () if targets else [*self.description.word_numbers]

    def _posterior(self, items: QuestionItems, *, draws: int, exact: bool, seed: int) -> DataTree:
        from hardpp.diagnostics.alignment_posterior import Questions
        from hardpp.diagnostics.draws import draw_alignments

        labels = Questions(
            [question.name for question in items.questions],
            [question.text for question in items.questions],
            [question.image for question in items.questions],
            ["|".join(dict.fromkeys(question.answers)) for question in items.questions],
            [region_boxes(self, items.pictures, question.image) for question in items.questions],
        )
        asked = (([*cells(asked)], batch) for asked, batch in batches(self, items))
        draw = partial(draw_alignments, *self.programs, site=sites.REGION, draws=draws)
        draw = partial(draw, exact=self.exact_marginal if exact else None, observed=sites.ANSWER)
        return labelled_draws(self, draw, asked, labels, seed=seed)

    def _align(self, items: QuestionItems, of: str, form: str) -> Iterator[str]:
        yield "\t".join(("name", "question", "answer", "region", "box", "probability"))
        for question, weights in zip(items.questions, region_weights(self, items), strict=True):
            boxes = region_boxes(self, items.pictures, question.image)
            region = likeliest_region(getattr(weights, of), boxes)
            yield "\t".join((question.name, question.text, question.answers[0], *region))

    def _simulate(self, items: QuestionItems) -> Iterator[Simulated]:
        return dreamt(self.programs, (batch for _, batch in batches(self, items)))

    def _choices(self, view: str, simulated: Simulated) -> Choices:
        return choices_at(self, simulated, sites.REGION, view)

    def _plot(self, items: QuestionItems, indices: Sequence[int]) -> Figures:
        from hardpp.diagnostics.region_plot import region_figure

        drawn, note = items.at(indices), self.note("which region is read for the answer")
        files = file_names([f"{question.name} {question.text}" for question in drawn.questions])
        attentions = region_weights(self, drawn)
        for name, question, attention in zip(files, drawn.questions, attentions, strict=True):
            figure = region_figure(
                [(VIEW_NAMES[view], weights.numpy()) for view, weights in attention._asdict().items()],
                region_boxes(self, items.pictures, question.image),
                pixels=items.pictures.shown(question.image),
                gold=items.pictures.gold(question.image),
                title=f"{question.text} \N{EM DASH} {question.answers[0]}",
                note=note,
            )
            yield name, figure

    def _names(self, items: QuestionItems) -> list[str]:
        return [question.name for question in items.questions]

    # One question about each image.
    def _candidates(self, items: QuestionItems) -> list[int]:
        return [image.questions[0] for image in group_by_image(items.questions)]

    def _uncertainty(self, items: QuestionItems) -> list[float]:
        return mean_entropies(weights.posterior.unsqueeze(0) for weights in region_weights(self, items))

    def _right(self, items: QuestionItems) -> list[tuple[str, ...]]:
        return [question.answers for question in items.questions]

    def _error(self, said: str, right: Sequence[str]) -> float:
        return 1 - vqa_accuracy(said, right)

    # A question may be asked for by its text, too.
    def chosen(self, items: QuestionItems, names: Sequence[str], count: int, order: str) -> list[int]:
        by_text = {
            text: question.name
            for question in reversed(items.questions)
            for text in (
                question.text,
                f"{question.name} {question.text}",
            )  # as `decode` says it
        }
        return super().chosen(items, [by_text.get(name, name) for name in names], count, order)


# As `decode` says them; `plot` and others call a question by the first of these words.
def _in_words(items: QuestionItems) -> list[str]:
    return [f"{question.name} {question.text}" for question in items.questions]
