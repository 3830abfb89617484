"""Which pairs train an alignment model: the data sets by name, the user's files by their layout.

A reader gives texts (`Bitext`), which are cut into symbols here, or a corpus that is cut already. Another
data set is one line in `CORPORA`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

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
from hardpp.tasks.alignment.presets import FEW_SENTENCES, SENTENCES, TRANSLATION, WORDS
from hardpp.tasks.family import Recommended

Tokens = Literal["auto", "characters", "words", "bpe", "pieces"]
Report = Callable[[str], None]
Cut = tuple[Tokenizer, Tokenizer]  # of sources and of targets


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


class DataSet(NamedTuple):
    """A data set that has a name."""

    read: Callable[[PairData, Report], Bitext | Corpus]
    recommended: Recommended


def _cmudict(config: PairData, report: Report) -> Corpus:
    return cmudict.corpus(fetch("cmudict", report), train_words=config.train_limit or 10_000)


# What Greek endings say is read, but not written: as targets lemmas are few enough to be learnt.
def _bible_alignments(config: PairData, report: Report) -> Corpus:
    greek: Any = "lemmas" if config.reverse else "analysed"
    return bible_alignments.corpus(fetch("bible-alignments", report), greek=greek)


def _bitext(config: PairData, report: Report) -> Bitext:
    return bitexts.bitext(config.name, report)


CORPORA: dict[str, DataSet] = {
    "cmudict": DataSet(_cmudict, Recommended()),
    "bible-alignments": DataSet(_bible_alignments, WORDS),
    **{name: DataSet(_bitext, SENTENCES) for name in bitexts.BITEXTS},
    "ding": DataSet(_bitext, FEW_SENTENCES),
}


def recommended(name: str) -> Recommended:
    """What is recommended for a data set, or for a user's files by their layout."""
    if name in CORPORA:
        return CORPORA[name].recommended
    return Recommended() if _is_tsv(Path(name)) else TRANSLATION


def load(config: PairData, report: Report, cut: Cut | None = None) -> Corpus:
    """The pairs: a named data set, fetched if need be, or the user's own file or folder.

    Args:
        config: which, and how they are cut.
        report: told in a few words what is going on.
        cut: how a run cuts its sources and targets, for texts that must be cut the same way.

    Raises:
        DataError: they cannot be fetched or read.
    """
    corpus = _read(config, report)
    if isinstance(corpus, Bitext):
        corpus = _cut(config, corpus, report, cut)
    if config.reverse:
        corpus = reverse_corpus(corpus)
    return corpus._replace(train=corpus.train[: config.train_limit])


def is_single(name: str) -> bool:
    """Is this one file of pairs (a pipe, too), or one pair of files, neither of which is parted?"""
    return name not in CORPORA and not Path(name).is_dir()


def single(config: PairData, cut: Cut, report: Report) -> list[Pair]:
    """Every line of one file or pair of files, in order, cut as a run cuts its sources and targets.

    Raises:
        UsageError: it is not clear which file is the source.
        DataError: a file cannot be read.
    """
    sides, path = cut[::-1] if config.reverse else cut, Path(config.name)
    how = _bad_lines(config, report)
    lines = tsv.lines(path, **how) if _is_tsv(path) else parallel.lines(path, **_languages(config), **how)
    cutting = _cutting(config, sides, report)
    if config.on_bad == "stop":  # as in `_cut`
        cutting["max_length"] = None
    pairs = tokenize_lines(lines, *sides, **cutting)
    return [reverse_pair(pair) for pair in pairs] if config.reverse else pairs


def _read(config: PairData, report: Report) -> Bitext | Corpus:
    if config.name in CORPORA:
        return CORPORA[config.name].read(config, report)
    path = Path(config.name)
    how = _bad_lines(config, report)
    if _is_tsv(path):
        return tsv.bitext(path, **how)
    raw = path.is_dir() and iwslt.is_raw(path)
    return (iwslt if raw else parallel).bitext(path, **_languages(config), **how)


def _cut(config: PairData, bitext: Bitext, report: Report, cut: Cut | None) -> Corpus:
    if cut is None:
        sides = tokenizers(bitext, config.source_tokens, config.target_tokens, config.pieces, report)
    else:
        sides = cut[::-1] if config.reverse else cut
        # Training settles what is too long; a run may still be asked about it, unless it was to skip it.
        kept = ("dev", "test") if config.on_bad == "skip" else ()
        bitext = bitext._replace(places={part: at for part, at in bitext.places.items() if part in kept})
    return tokenize_bitext(bitext, *sides, **_cutting(config, sides, report))


def _cutting(config: PairData, sides: Cut, report: Report) -> dict[str, Any]:
    options = {"pooled": not sides[1].sentences, "max_length": config.max_length}
    return options | _bad_lines(config, report)


def _bad_lines(config: PairData, report: Report) -> dict[str, Any]:
    return {"on_bad": config.on_bad, "report": report}


def _languages(config: PairData) -> dict[str, Any]:
    return {"source": config.source_language, "target": config.target_language}


# A TSV file or pipe, or a folder of three files; whatever else is there is parallel text, and so is a name
# that two files begin with.
def _is_tsv(path: Path) -> bool:
    if path.is_dir():
        return any(path.glob("*.tsv"))
    return path.suffix in (".tsv", ".txt", "") and not parallel.is_beginning(path)
