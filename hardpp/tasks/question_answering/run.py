"""What can be asked of a trained run on questions about images: figures, posteriors, regions, pictures.

Shapes: B images, T questions of an image, S regions.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hardpp import sites
from hardpp.data.questions.questions import Question
from hardpp.errors import DataError, UsageError
from hardpp.tasks.family import Run
from hardpp.tasks.file_names import file_names
from hardpp.tasks.image_regions import regions
from hardpp.tasks.question_answering import data as question_data
from hardpp.tasks.question_answering.data import Chosen, Numbers, asked_batches, placed, region_boxes
from hardpp.tasks.question_answering.evaluation import Looks, answer_log_probs, figures, looks
from hardpp.types import QuestionBatch

if TYPE_CHECKING:  # slow to import, and most verbs never need them
    import xarray as xr
    from matplotlib.figure import Figure


class QuestionVerbs:
    """The verbs of runs on questions; families of such models inherit them."""

    def label(self, description: Mapping[str, Any], batch: QuestionBatch, row: int) -> str:
        """The questions that are asked of an image."""
        words = ["", "<unk>", *description["words"]]
        asked = [
            " ".join(words[word] for word in question if word) for question in batch.question[row].tolist()
        ]
        return f"the image of {', '.join(repr(question) for question in asked if question)}"

    def select(
        self, run: Run, data: str | None, part: str | None, limit: int | None, report: Callable[[str], None]
    ) -> Chosen:
        """A part of the run's data, or of other data; left out, the test part.

        Raises:
            DataError: the data cannot be read, or their images are of another kind than the run's.
        """
        found = question_data.load(run.reading(data), report)
        if found.pictures.kind != run.description["images"]:
            raise DataError(
                f"{found.name}: images are {found.pictures.kind}, and this run was trained on "
                f"{run.description['images']}"
            )
        if found.pictures.channels != run.description["channels"]:
            raise DataError(
                f"{found.name}: regions have {found.pictures.channels} features, and this run was trained on "
                f"{run.description['channels']}"
            )
        if part == "all":
            return Chosen([*found.train, *found.dev, *found.test][:limit], found.pictures)
        return Chosen(getattr(found, part or "test")[:limit], found.pictures)

    def batch(self, run: Run, items: Chosen) -> QuestionBatch:
        """The questions as one batch on the run's device.

        Raises:
            DataError: there are no questions.
        """
        if not items.questions:
            raise DataError("there are no questions in this part of the data")
        found = asked_batches(items, Numbers.of(run.description), regions(run.config), len(items.questions))
        return next(found)[1].to(run.device)

    def evaluate(self, run: Run, items: Chosen, decoding: Mapping[str, Any]) -> dict[str, Any]:
        """Accuracy, likelihoods and where the run looks; see `hardpp.tasks.question_figures.figures`.

        Raises:
            UsageError: an option of decoding that is unknown, or has a wrong value.
        """
        return figures(run, items, run.decoding(decoding))

    def decode(self, run: Run, items: Chosen, decoding: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The name and text of every question, and the answer that is found for it.

        Raises:
            UsageError: an option of decoding that is unknown, or has a wrong value.
        """
        how, found = run.decoding(decoding), [""] * len(items.questions)
        for rows, batch in question_data.batches(run, items):
            best = answer_log_probs(run, batch, how.keep).argmax(-1).tolist()
            for row, column, place in placed(rows):
                found[place] = run.description["answers"][best[row][column]]
        for question, answer in zip(items.questions, found, strict=True):
            yield f"{question.name} {question.text}", answer

    def posterior(self, run: Run, items: Chosen, *, draws: int, exact: bool, seed: int) -> "xr.DataTree":
        """Draws and marginals of the regions, labelled with the questions."""
        from hardpp.diagnostics.draws import draw_alignments
        from hardpp.diagnostics.posterior import sample_posterior
        from hardpp.diagnostics.region_posterior import Questions

        batches = (([*placed(rows)], batch) for rows, batch in question_data.batches(run, items))
        labels = Questions(
            [question.name for question in items.questions],
            [question.text for question in items.questions],
            [question.image for question in items.questions],
            ["|".join(dict.fromkeys(question.answers)) for question in items.questions],
            [region_boxes(run, items.pictures, question.image) for question in items.questions],
        )
        draw = partial(draw_alignments, *run.programs, site=sites.REGION, draws=draws, exact=exact)
        return sample_posterior(draw, batches, labels, seed=seed, attributes=run.provenance())

    def alignments(self, run: Run, items: Chosen, which: str, style: str) -> Iterator[str]:
        """Lines of the region that every question looks at most: question, answer, region, box, probability.

        Raises:
            UsageError: another style than tsv, as there are no words to link.
        """
        if style != "tsv":
            raise UsageError(f"questions look at regions, which {style} has no form for", "use --format tsv")
        yield "\t".join(("name", "question", "answer", "region", "box", "probability"))
        for question, weights in zip(items.questions, region_weights(run, items, which), strict=True):
            probability, region = weights.max(-1)
            box = region_boxes(run, items.pictures, question.image)[int(region)]
            cells = (question.name, question.text, question.answers[0], int(region))
            yield "\t".join(map(str, (*cells, " ".join(f"{side:g}" for side in box), f"{probability:.4f}")))

    def pictures(
        self, run: Run, items: Chosen, count: int, sources: Sequence[str]
    ) -> Iterator[tuple[str, "Figure"]]:
        """Images with prior, guide and exact posterior laid over them, each with a name for its file.

        Args:
            run: the trained run.
            items: where to look for questions, and what is drawn if none are named.
            count: how many questions, if none are named; each of another image.
            sources: names of the questions to draw, or their texts.

        Raises:
            UsageError: a named question is not among the items.
        """
        from hardpp.diagnostics.region_plot import region_figure

        chosen = [_named(items, source) for source in dict.fromkeys(sources)]
        if not chosen:
            chosen = list({question.image: question for question in reversed(items.questions)}.values())
            chosen = chosen[::-1][:count]
        asked = Chosen(chosen, items.pictures)
        weights = {which: region_weights(run, asked, which) for which in Looks._fields}
        names = file_names([f"{question.name} {question.text}" for question in chosen])
        for place, question in enumerate(chosen):
            boxes = region_boxes(run, items.pictures, question.image)
            figure = region_figure(
                [(which, found[place].numpy()) for which, found in weights.items()],
                boxes,
                pixels=items.pictures.shown(question.image),
                gold=items.pictures.gold(question.image),
                title=f"{question.text} \N{EM DASH} {question.answers[0]}",
            )
            yield names[place], figure


def region_weights(run: Run, items: Chosen, which: str) -> list[Tensor]:
    """p(region) of every question under the prior, guide or posterior, (S) each, on the host."""
    out = [torch.empty(0)] * len(items.questions)
    for rows, batch in question_data.batches(run, items):
        weights = getattr(looks(run, batch), which).cpu()
        for row, column, place in placed(rows):
            out[place] = weights[row, column, : int(batch.source_mask[row].sum())]
    return out


def _named(items: Chosen, source: str) -> Question:
    for question in items.questions:
        if source in (question.name, question.text):
            return question
    raise UsageError(f"{source!r} is not among these {len(items.questions)} questions")
