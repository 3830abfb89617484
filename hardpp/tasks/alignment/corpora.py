"""Which pairs train an alignment model: data sets by name, the user's files by their layout.

Readers give texts (`Bitext`), which are cut into symbols here, or a corpus that is cut already. Another
data set is one line in `CORPORA` or in `hardpp.data.transduction.bitexts`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from hardpp.config import DataConfig
from hardpp.data.fetch.sources import fetch
from hardpp.data.lines import OnBad
from hardpp.data.transduction import bible_alignments, bitexts, cmudict, iwslt, parallel, tsv
from hardpp.data.transduction.pairs import Bitext, Corpus, Pair
from hardpp.data.transduction.tokenization import (
    reverse_corpus,
    reverse_pair,
    tokenize_bitext,
    tokenize_lines,
    tokenizers,
)
from hardpp.data.transduction.tokenizers import Tokenizer
from hardpp.tasks.opened_run import Report

Tokens = Literal["auto", "characters", "words", "bpe", "pieces"]
Sides = tuple[Tokenizer, Tokenizer]  # what sources are cut by, and what targets are


class PairData(DataConfig):
    """Which pairs, and how they are cut into symbols."""

    source_tokens: Tokens = Field("auto", description="how sources are cut; auto: as their layout says")
    target_tokens: Tokens = Field("auto", description="how targets are cut")
    pieces: int = Field(4000, ge=1, description="vocabulary of pieces, both sides together")
    max_length: int = Field(100, ge=1, description="symbols a side; longer pairs of yours are bad lines")
    source_language: str | None = Field(None, description="ending of the source files: train.de is de")
    target_language: str | None = Field(None, description="ending of the target files")
    reverse: bool = Field(False, description="swap source and target")
    on_bad: OnBad = Field(
        "stop", description="a line that cannot be used: refuse the data, or leave the pair out and say so"
    )

    @classmethod
    def is_there(cls, name: str) -> bool:
        """Is there a file or folder, or two files whose names begin so?"""
        return super().is_there(name) or parallel.is_beginning(name)


def _cmudict(config: PairData, report: Report) -> Corpus:
    return cmudict.corpus(fetch("cmudict", report), train_words=config.train_limit or 10_000)


# What Greek endings say is read, but not written: as targets lemmas are few enough to be learnt.
def _bible_alignments(config: PairData, report: Report) -> Corpus:
    greek: Any = "lemmas" if config.reverse else "analysed"
    return bible_alignments.corpus(fetch("bible-alignments", report), greek=greek)


CORPORA: dict[str, Callable[[PairData, Report], Corpus]] = {
    "cmudict": _cmudict,
    "bible-alignments": _bible_alignments,
}
NAMES = (*CORPORA, *bitexts.BITEXTS)


def load(config: PairData, report: Report, sides: Sides | None = None) -> Corpus:
    """The pairs: a named data set, fetched if need be, or the user's own file or folder.

    Args:
        config: which, and how they are cut.
        report: told in a few words what is going on.
        sides: how a run cuts its sources and targets, for texts that must be cut the same way.

    Raises:
        DataError: they cannot be fetched or read.
    """
    read: Corpus | Bitext
    if config.name in CORPORA:
        read = CORPORA[config.name](config, report)
    elif config.name in bitexts.BITEXTS:
        read = bitexts.bitext(config.name, report)
    else:
        reader, options = _reader(config, report)
        read = reader.bitext(Path(config.name), **options)
    corpus = _tokenized(config, read, report, sides) if isinstance(read, Bitext) else read
    if config.reverse:
        corpus = reverse_corpus(corpus)
    return corpus._replace(train=corpus.train[: config.train_limit])


def is_single(name: str) -> bool:
    """Is this one file of pairs (a pipe, too), or one pair of files, neither of which is parted?"""
    return name not in NAMES and not Path(name).is_dir()


def single(config: PairData, sides: Sides, report: Report) -> list[Pair]:
    """Every line of one file or pair of files, in order, cut as a run cuts its sources and targets.

    Raises:
        UsageError: it is not clear which file is the source.
        DataError: a file cannot be read.
    """
    reader, options = _reader(config, report)
    lines = reader.lines(Path(config.name), **options)
    cut = _cutting(config, sides[::-1] if config.reverse else sides, report)
    if config.on_bad == "stop":  # as in `_tokenized`
        cut["max_length"] = None
    pairs = tokenize_lines(lines, **cut)
    return [reverse_pair(pair) for pair in pairs] if config.reverse else pairs


def is_tsv(path: Path) -> bool:
    """Is this a TSV file or pipe, or a folder of three, and no parallel text?"""
    if path.is_dir():
        return any(path.glob("*.tsv"))
    return path.suffix in (".tsv", ".txt", "") and not parallel.is_beginning(path)


# What reads the user's own files by their layout, and its options.
def _reader(config: PairData, report: Report) -> tuple[Any, dict[str, Any]]:
    path = Path(config.name)
    options: dict[str, Any] = {"on_bad": config.on_bad, "report": report}
    if is_tsv(path):
        return tsv, options
    options |= {"source": config.source_language, "target": config.target_language}
    return iwslt if path.is_dir() and iwslt.is_raw(path) else parallel, options


def _tokenized(config: PairData, bitext: Bitext, report: Report, sides: Sides | None) -> Corpus:
    if sides is None:
        sides = tokenizers(bitext, config.source_tokens, config.target_tokens, config.pieces, report)
    else:
        sides = sides[::-1] if config.reverse else sides
        # Training settles what is too long; a run may still be asked about it, unless it was to skip it.
        checked = ("dev", "test") if config.on_bad == "skip" else ()
        bitext = bitext._replace(places={part: at for part, at in bitext.places.items() if part in checked})
    return tokenize_bitext(bitext, **_cutting(config, sides, report))


def _cutting(config: PairData, sides: Sides, report: Report) -> dict[str, Any]:
    source, target = sides
    options = {"max_length": config.max_length, "on_bad": config.on_bad, "report": report}
    return {"source": source, "target": target, "pooled": not target.sentences, **options}
