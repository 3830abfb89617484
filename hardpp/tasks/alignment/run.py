"""What can be asked of a trained run on sequence pairs: figures, posteriors, alignments, pictures.

Shapes: B data, T output steps (the end mark included), S source positions.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardpp import sites
from hardpp.data.transduction.batches import collate, encode
from hardpp.data.transduction.pairing import sources
from hardpp.data.transduction.pairs import Pair
from hardpp.data.vocabulary import BOUNDARY
from hardpp.decoding.symmetrisation import Method
from hardpp.errors import DataError, UsageError
from hardpp.tasks.alignment import corpora
from hardpp.tasks.alignment.attention import position_weights
from hardpp.tasks.alignment.batching import END, batches, positions, tokenizers, vocabularies
from hardpp.tasks.alignment.decoding import decode
from hardpp.tasks.alignment.evaluation import figures
from hardpp.tasks.alignment.word_links import both_ways, links, symmetrised
from hardpp.tasks.family import Run
from hardpp.tasks.file_names import distinct, file_names
from hardpp.tasks.formats.pharaoh import pharaoh
from hardpp.types import SequenceBatch

if TYPE_CHECKING:  # slow to import, and most verbs never need them
    import xarray as xr
    from matplotlib.figure import Figure


class SequencePairs:
    """The verbs of runs on sequence pairs; families of such models inherit them."""

    def select(
        self, run: Run, data: str | None, part: str | None, limit: int | None, report: Callable[[str], None]
    ) -> list[Pair]:
        """A part of the run's data, or of other data cut the same way.

        Args:
            run: the trained run.
            data: other data than the run's own.
            part: "train", "dev", "test" or "all"; left out, the test part, or all of one other
                file or pair of files.
            limit: only the first so many.
            report: told in a few words what is going on.

        Raises:
            DataError: the data cannot be read, or the part is empty.
        """
        config, cut = run.reading(data), tokenizers(run.description)
        if data is not None and part in (None, "all") and corpora.is_single(data):
            return corpora.single(config, cut, report)[:limit]
        corpus = corpora.load(config, report, cut)
        if part == "all":
            return [*corpus.train, *corpus.dev, *corpus.test][:limit]
        return getattr(corpus, part or "test")[:limit]

    def label(self, description: Mapping[str, Any], batch: SequenceBatch, row: int) -> str:
        """The pair as text, without its end marks."""
        texts = []
        cut, known = tokenizers(description), vocabularies(description)
        for side, tokenizer, vocabulary in zip(("source", "target"), cut, known, strict=True):
            symbols = takewhile(lambda symbol: symbol != BOUNDARY, getattr(batch, side)[row].tolist())
            texts.append(tokenizer.detokenize(vocabulary.decode(symbols)))
        return f"the pair {texts[0]!r} -> {texts[1]!r}"

    def batch(self, run: Run, pairs: Sequence[Pair]) -> SequenceBatch:
        """The pairs as one batch on the run's device.

        Raises:
            DataError: there are no pairs.
        """
        if not pairs:
            raise DataError("there are no pairs in this part of the data")
        return collate(encode(pairs, *vocabularies(run.description))).to(run.device)

    def evaluate(self, run: Run, pairs: Sequence[Pair], decoding: Mapping[str, Any]) -> dict[str, Any]:
        """Figures of what is decoded, and of what the programs make of the right targets.

        Returns:
            see `hardpp.tasks.alignment.evaluation`.

        Raises:
            UsageError: an option of decoding that is unknown, or has a wrong value.
        """
        return figures(run, pairs, run.decoding(decoding))

    def decode(
        self, run: Run, pairs: Sequence[Pair], decoding: Mapping[str, Any]
    ) -> Iterator[tuple[str, str]]:
        """Every source and the target that is found for it, as text.

        Raises:
            UsageError: an option of decoding that is unknown, or has a wrong value.
        """
        source, target = tokenizers(run.description)
        found = decode(run, pairs, run.decoding(decoding))
        for pair, symbols in zip(pairs, found, strict=True):
            yield source.detokenize(pair.source), target.detokenize(symbols)

    def sources(self, run: Run, path: Path) -> list[Pair]:
        """Every line of a file as a source, cut as the run cuts its own; targets are empty.

        Raises:
            DataError: the file cannot be read, or a line of it is empty; the message names file and line.
        """
        tokenizer, _ = tokenizers(run.description)
        return [Pair(tokenizer.tokenize(text), (), ()) for text in sources(path)]

    def posterior(
        self, run: Run, pairs: Sequence[Pair], *, draws: int, exact: bool, seed: int
    ) -> "xr.DataTree":
        """Draws and marginals of the alignments, labelled with the pairs' tokens."""
        from hardpp.diagnostics.alignment_posterior import Sentences
        from hardpp.diagnostics.draws import draw_alignments
        from hardpp.diagnostics.posterior import sample_posterior

        tokenizer, _ = tokenizers(run.description)
        names = distinct([tokenizer.detokenize(pair.source) for pair in pairs])
        sentences = Sentences(names, [positions(p) for p in pairs], [p.target for p in pairs], END)
        draw = partial(draw_alignments, *run.programs, site=sites.ALIGNMENT, draws=draws, exact=exact)
        return sample_posterior(draw, batches(run, pairs), sentences, seed=seed, attributes=run.provenance())

    def alignments(self, run: Run, pairs: Sequence[Pair], which: str, style: str) -> Iterator[str]:
        """Lines of the best positions, in the order of the pairs.

        Args:
            run: the trained run.
            pairs: what to align.
            which: whose alignment: "posterior" (exact), "guide", or "prior" (before the symbol is seen).
            style: "tsv" (of symbols, with a header, probabilities and the end mark), "pharaoh" or
                "pharaoh-probabilities" (of words).

        Raises:
            UsageError: a style of times.
        """
        if style not in ("tsv", "pharaoh", "pharaoh-probabilities"):
            raise UsageError(f"pairs of sequences have no times, which {style} is for", "give --format tsv")
        if style != "tsv":
            for found in links(run, pairs, which):
                yield pharaoh(found, probabilities=style != "pharaoh")
            return
        yield "\t".join(("pair", "step", "symbol", "position", "source", "probability"))
        for number, (pair, weight) in enumerate(zip(pairs, position_weights(run, pairs, which), strict=True)):
            probability, position = (part.tolist() for part in weight.max(-1))
            for step, symbol in enumerate((*pair.target, END)):
                source = positions(pair)[position[step]]
                cells = (number, step, symbol, position[step], source, f"{probability[step]:.4f}")
                yield "\t".join(map(str, cells))

    def symmetrised(
        self, run: Run, backward: Run, pairs: Sequence[Pair], which: str, method: Method, style: str
    ) -> Iterator[str]:
        """Lines of links of words by this run and one of the other direction, made one.

        Raises:
            UsageError: the second run does not go back where the first one came from.
        """
        for found in symmetrised(*both_ways(run, backward, pairs, which), method):
            yield pharaoh(found, probabilities=style != "pharaoh")

    def pictures(
        self, run: Run, pairs: Sequence[Pair], count: int, sources: Sequence[str]
    ) -> Iterator[tuple[str, "Figure"]]:
        """Heat maps of prior, guide and exact posterior, each with a name for its file.

        Args:
            run: the trained run.
            pairs: where to look for sources, and what is drawn if none are named.
            count: how many pairs, if none are named.
            sources: the texts of the sources to draw.

        Raises:
            UsageError: a named source is not among the pairs.
        """
        from hardpp.diagnostics.alignment_plot import alignment_figure

        tokenizer, _ = tokenizers(run.description)
        named = {tokenizer.detokenize(pair.source): pair for pair in reversed(pairs)}
        for source in sources:
            if source not in named:
                raise UsageError(f"{source!r} is not among these {len(pairs)} pairs")
        chosen = [named[source] for source in sources] or list(pairs[:count])
        panels = {which: position_weights(run, chosen, which) for which in ("prior", "guide", "posterior")}
        titles = [tokenizer.detokenize(pair.source) for pair in chosen]
        names = file_names(titles, 40)
        for index, (pair, title) in enumerate(zip(chosen, titles, strict=True)):
            rows = [(which, weights[index].numpy()) for which, weights in panels.items()]
            yield names[index], alignment_figure(rows, positions(pair), (*pair.target, END), title=title)
