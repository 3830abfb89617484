"""Which pairs train an alignment model, and how they are read.

Readers give texts (`Bitext`), which are cut into symbols here, or a corpus that is cut already. Another data
set is one line in `CORPORA` or in `hardpp.data.transduction.bitexts`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from hardpp.config import DataConfig
from hardpp.data.fetch.sources import fetch
from hardpp.data.lines import OnBad
from hardpp.data.parts import PARTS
from hardpp.data.transduction import bible_alignments, bitexts, cmudict, reversal, tokenization
from hardpp.data.transduction.cutting import how_cut
from hardpp.data.transduction.dialects import Format
from hardpp.data.transduction.folded import folded, folded_like, foldings_for
from hardpp.data.transduction.folding import Folding, Form
from hardpp.data.transduction.own_files import OwnFiles, in_parts, is_beginning
from hardpp.data.transduction.pairs import Bitext, Corpus, Line, Pair
from hardpp.data.transduction.tokenizers import Inflected, Tokenizer, folding_of
from hardpp.errors import DataError, UsageError
from hardpp.tasks.alignment.large_data import Cut, LargeData
from hardpp.tasks.opened_run import Report

Tokens = Literal["auto", "characters", "words", "bpe", "pieces"]
Sides = tuple[Tokenizer, Tokenizer]  # what sources are cut by, and what targets are


class PairData(DataConfig):
    """Which pairs, and how they are cut into symbols."""

    format: Format = Field(
        "auto",
        description="what a file of pairs is: tsv (source TAB target, to the letter), csv, lexicon (word and "
        "phones, as CMUdict or MFA have it), inflection (lemma, features, form), bars (source ||| target), "
        "parallel; auto: as most of its lines say",
    )
    columns: str | None = Field(
        None, description="source and target, or lemma, features, form of a table: names or numbers, as 1,3"
    )
    normalise: Form = Field(
        "NFC", description="form of Unicode in which texts are compared; none: as they are written"
    )
    lowercase: Literal["none", "source", "target", "both"] = Field(
        "none", description="sides whose letters are made small"
    )
    source_tokens: Tokens = Field(
        "auto",
        description="how sources are cut: characters, words (at blanks), bpe (words with @@ marks), pieces "
        "(learnt); auto: as most of them say",
    )
    target_tokens: Tokens = Field("auto", description="how targets are cut, likewise")
    pieces: int = Field(4000, ge=1, le=10**6, description="vocabulary of pieces, both sides together")
    max_length: int = Field(
        100, ge=1, le=10**6, description="symbols a side; longer pairs of yours are bad lines"
    )
    source_language: str | None = Field(None, description="ending of the source files: train.de is de")
    target_language: str | None = Field(None, description="ending of the target files")
    reverse: bool = Field(False, description="swap source and target")
    on_bad: OnBad = Field(
        "stop", description="a line that cannot be used: refuse the data, or leave the pair out and say so"
    )

    @classmethod
    def is_there(cls, name: str) -> bool:
        """Is there a file or folder, or are there files whose names begin so?"""
        return super().is_there(name) or is_beginning(Path(name))

    def foldings(self) -> tuple[Folding, Folding]:
        """How sources and targets are folded."""
        source, target = (self.lowercase in ("both", side) for side in ("source", "target"))
        return Folding(self.normalise, source), Folding(self.normalise, target)


def _cmudict(config: PairData, report: Report) -> Corpus:
    return cmudict.corpus(fetch("cmudict", report), train_words=config.train_limit or 10_000)


# Every word, with the dev and test words that nobody has looked at while settings were chosen.
def _whole_cmudict(config: PairData, report: Report) -> Corpus:
    path = fetch("cmudict", report)
    return cmudict.corpus(path, train_words=None, dev_words=None, test_words=None)


# What Greek endings say is read, but not written: as targets lemmas are few enough to be learnt.
def _bible_alignments(config: PairData, report: Report) -> Corpus:
    return bible_alignments.corpus(fetch("bible-alignments", report), analysed=not config.reverse)


CORPORA: dict[str, Callable[[PairData, Report], Corpus]] = {
    "cmudict": _cmudict,
    "cmudict-whole": _whole_cmudict,
    "bible-alignments": _bible_alignments,
}
NAMES = (*CORPORA, *bitexts.BITEXTS)


def load(config: PairData, report: Report, sides: Sides | None = None) -> Corpus:
    """The pairs: a named data set, fetched if need be, or the user's own file or folder.

    Args:
        config: which, and how they are cut.
        report: told in a few words what is going on.
        sides: what a run cuts its texts by, before they are reversed.

    Raises:
        DataError: they cannot be fetched or read.
    """
    corpus: Corpus | Bitext
    if config.name not in NAMES and (large := _large(config, sides).corpus(report)) is not None:
        return large._replace(train=large.train[: config.train_limit])
    if config.name in CORPORA:
        if config.lowercase != "none":
            raise UsageError(f"{config.name} is cut into symbols as it is", "leave out data.lowercase")
        corpus = folded_like(CORPORA[config.name](config, report), config.foldings())
    elif config.name in bitexts.BITEXTS:
        corpus = bitexts.bitext(config.name, report)
    else:
        corpus = _files(config, sides, report).bitext(Path(config.name))
    bitext = corpus if isinstance(corpus, Bitext) else None
    if isinstance(corpus, Bitext):
        corpus = _tokenized(config, corpus, report, sides)
    if sides is None:
        for sentence in how_cut(corpus, bitext, reverse=config.reverse):
            report(sentence)
    if config.reverse:
        corpus = reversal.reverse_corpus(corpus)
    return corpus._replace(train=corpus.train[: config.train_limit])


# The user's own pairs, where there are too many for memory.
def _large(config: PairData, sides: Sides | None) -> LargeData:
    def cut(bitext: Bitext, report: Report) -> Cut:
        chosen, checked = _sides(config, bitext, report, sides)
        return Cut(chosen, {"pooled": not chosen[1].sentences, **_limits(config), "checked": checked})

    settings = config.model_dump(mode="json", exclude={"name", "train_limit", "reverse"})
    files = partial(_files, config, sides)
    return LargeData(Path(config.name), files, settings, cut, sides, config.reverse)


def is_single(name: str) -> bool:
    """Is this one file of pairs (a pipe, too), or one pair of files, neither of which is parted?"""
    return name not in NAMES and not in_parts(Path(name))


def single(config: PairData, sides: Sides, report: Report) -> list[Pair]:
    """Every line of one file or pair of files, in order; for the arguments and errors see `load`."""
    lines = own_lines(config, sides, report)
    _check_features(config, lines[0].pair.source, sides)
    max_length = config.max_length if config.on_bad == "skip" else None  # as in `_tokenized`
    pairs = tokenization.tokenize_lines(lines, **_cutting(config, sides, report), max_length=max_length)
    if config.reverse:
        source, _ = sides
        pairs = reversal.reverse_pairs(pairs, pooled=not source.sentences)
    return pairs


def own_lines(config: PairData, sides: Sides, report: Report) -> list[Line]:
    """Every line of one file or pair of files as texts, in order; errors as for `load`."""
    return _files(config, sides, report).lines(Path(config.name))


# What reads the user's own files.
def _files(config: PairData, sides: Sides | None, report: Report) -> OwnFiles:
    fold = folding_of(sides[0]) if sides else config.foldings()[0]
    languages = {"source": config.source_language, "target": config.target_language}
    how = {"format": config.format, "columns": config.columns, "on_bad": config.on_bad}
    return OwnFiles(fold=fold, report=report, asked=sides is not None, **languages, **how)  # type: ignore[arg-type]


def _tokenized(config: PairData, bitext: Bitext, report: Report, sides: Sides | None) -> Corpus:
    sides, checked = _sides(config, bitext, report, sides)
    cutting = _cutting(config, sides, report)
    return tokenization.tokenize_bitext(bitext, **cutting, max_length=config.max_length, checked=checked)


# What cuts texts, and of which parts pairs that are too long are bad lines.
def _sides(
    config: PairData, bitext: Bitext, report: Report, sides: Sides | None
) -> tuple[Sides, Sequence[str]]:
    checked: Sequence[str] = PARTS
    if sides is None:
        named = config.name in NAMES and config.normalise == "NFC"  # theirs are as they were before
        source, target = foldings_for(bitext, config.foldings(), report, keep=named)
        tokens = config.source_tokens, config.target_tokens
        cut = tokenization.tokenizers(bitext.folded(source, target), *tokens, config.pieces, report)
        sides = folded(cut[0], source), folded(cut[1], target)
    else:
        _check_features(config, bitext.train[0].source, sides)
        # Training settles what is too long; a run may still be asked about it, unless it was to skip it.
        checked = ("dev", "test") if config.on_bad == "skip" else ()
    return sides, checked


def _limits(config: PairData) -> dict[str, Any]:
    return {"max_length": config.max_length, "on_bad": config.on_bad}


def _cutting(config: PairData, sides: Sides, report: Report) -> dict[str, Any]:
    source, target = sides
    pooled = not target.sentences
    return {"source": source, "target": target, "pooled": pooled, "on_bad": config.on_bad, "report": report}


# Refuses pairs for a run on inflections, and the other way round.
def _check_features(config: PairData, source: str, sides: Sides) -> None:
    inflected, wanted = "\t" in source, sides[0].kind == Inflected.kind
    if inflected != wanted and config.source_tokens == "auto":
        held, of_run = ("inflections", "pairs")[:: 1 if inflected else -1]
        what = f"{config.name} was read as {held}, and the run was trained on {of_run}"
        raise DataError(
            what, "lemma, TAB, features, TAB, form are inflections; source, TAB, target are pairs"
        )
