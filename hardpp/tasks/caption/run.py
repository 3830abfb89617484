"""What can be asked of a trained run on captions: figures, posteriors, regions of words, pictures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from hardpp import sites
from hardpp.data.captions.batches import collate, sentences
from hardpp.data.vocabulary import BOUNDARY
from hardpp.errors import DataError, UsageError
from hardpp.tasks.caption import data as caption_data
from hardpp.tasks.caption.data import Chosen
from hardpp.tasks.caption.evaluation import describe_images, figures, word_weights
from hardpp.tasks.family import Run
from hardpp.tasks.file_names import file_names
from hardpp.tasks.image_regions import regions
from hardpp.types import SequenceBatch

if TYPE_CHECKING:  # slow to import, and most verbs never need them
    import xarray as xr
    from matplotlib.figure import Figure

END = "</s>"


class CaptionVerbs:
    """The verbs of runs on captions; families of such models inherit them."""

    def label(self, description: Mapping[str, Any], batch: SequenceBatch, row: int) -> str:
        """The image by what is said of it."""
        ids = takewhile(lambda symbol: symbol != BOUNDARY, batch.target[row].tolist())
        return f"the image of {' '.join(caption_data.vocabulary(description).decode(ids))!r}"

    def select(
        self, run: Run, data: str | None, part: str | None, limit: int | None, report: Callable[[str], None]
    ) -> Chosen:
        """The first sentences of the images of a part, of the run's data or of others; by default of test.

        Raises:
            DataError: the data cannot be read, or their images are of another size than the run's.
            UsageError: all parts at once.
        """
        found = caption_data.load(run.reading(data), report)
        if list(found.test.images.size) != run.description["size"]:
            raise DataError(
                f"{found.name}: images of {list(found.test.images.size)} (channels, height, width), and this "
                f"run was trained on {run.description['size']}"
            )
        if part == "all":
            raise UsageError("parts of captioned images are asked about one by one", "give --part test")
        mine = getattr(found, part or "test")
        return Chosen(sentences(mine, 1)[:limit], mine)

    def batch(self, run: Run, items: Chosen) -> SequenceBatch:
        """The sentences as one batch on the run's device.

        Raises:
            DataError: there are no sentences.
        """
        if not items.sentences:
            raise DataError("there are no captions in this part of the data")
        known, cut = caption_data.vocabulary(run.description), regions(run.config)
        return collate(items.sentences, items.part, known, cut).to(run.device)

    def evaluate(self, run: Run, items: Chosen, decoding: Mapping[str, Any]) -> dict[str, Any]:
        """BLEU, likelihoods and where the run looks; see `hardpp.tasks.caption_figures.figures`.

        Raises:
            UsageError: an option of decoding that is unknown, or has a wrong value.
        """
        return figures(run, items, run.decoding(decoding))

    def decode(self, run: Run, items: Chosen, decoding: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The name of every image and the sentence that is found for it.

        Raises:
            UsageError: an option of decoding that is unknown, or has a wrong value.
        """
        found = describe_images(run, items, run.decoding(decoding))
        for name, words in zip(items.names, found, strict=True):
            yield name, " ".join(words)

    def posterior(self, run: Run, items: Chosen, *, draws: int, exact: bool, seed: int) -> "xr.DataTree":
        """Draws and marginals of the regions of words, labelled with the words and the regions' boxes."""
        from hardpp.diagnostics.alignment_posterior import Sentences
        from hardpp.diagnostics.draws import draw_alignments
        from hardpp.diagnostics.posterior import sample_posterior

        regions = [",".join(f"{side:g}" for side in box) for box in self._boxes(run)]
        words = [one.caption.words for one in items.sentences]
        labels = Sentences(items.names, [regions] * len(words), words, END)
        draw = partial(draw_alignments, *run.programs, site=sites.REGION, draws=draws, exact=exact)
        batches = caption_data.batches(run, items)
        return sample_posterior(draw, batches, labels, seed=seed, attributes=run.provenance())

    def alignments(self, run: Run, items: Chosen, which: str, style: str) -> Iterator[str]:
        """Lines of the region that every word looks at most: image, word, region, box, probability.

        Raises:
            UsageError: another style than tsv, as there are no words to link.
        """
        if style != "tsv":
            raise UsageError(f"words look at regions, which {style} has no form for", "use --format tsv")
        yield "\t".join(("image", "word", "region", "box", "probability"))
        found, names = self._boxes(run), items.names
        weights = word_weights(run, items, which)
        for name, sentence, weight in zip(names, items.sentences, weights, strict=True):
            probability, region = (part.tolist() for part in weight.max(-1))
            for place, word in enumerate((*sentence.caption.words, END)):
                box = " ".join(f"{side:g}" for side in found[region[place]])
                yield "\t".join((name, word, str(region[place]), box, f"{probability[place]:.4f}"))

    def pictures(
        self, run: Run, items: Chosen, count: int, sources: Sequence[str]
    ) -> Iterator[tuple[str, "Figure"]]:
        """Images with the exact posterior of every word laid over them, each with a name for its file.

        Args:
            run: the trained run.
            items: where to look for images, and what is drawn if none are named.
            count: how many images, if none are named.
            sources: names of the images to draw.

        Raises:
            UsageError: a named image is not among the items.
        """
        from hardpp.diagnostics.region_plot import region_figure

        names = items.names
        for source in sources:
            if source not in names:
                raise UsageError(f"{source!r} is not among these {len(names)} images")
        wanted = [names.index(source) for source in dict.fromkeys(sources)] or list(range(len(names)))[:count]
        files = file_names(names)  # of all, so that an image has the same whichever are drawn with it
        asked = Chosen([items.sentences[place] for place in wanted], items.part)
        found = self._boxes(run)
        drawn = zip(wanted, asked.sentences, word_weights(run, asked, "posterior"), strict=True)
        for place, one, weights in drawn:
            pixels = items.part.images.read([one.image])[0].movedim(0, -1).numpy()
            words = one.caption.words
            gold = one.caption.gold or {}
            figure = region_figure(
                [(word, weights[step].numpy()) for step, word in enumerate(words)],
                found,
                pixels=np.repeat(pixels, 3, -1) if pixels.shape[-1] == 1 else pixels,
                gold=[gold.get(step) for step in range(len(words))],
                title=" ".join(words),
            )
            yield files[place], figure

    def _boxes(self, run: Run) -> list[tuple[float, float, float, float]]:
        return caption_data.boxes(run.config, run.description)
