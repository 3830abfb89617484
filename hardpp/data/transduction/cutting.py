"""What is said of how texts are cut into symbols, with examples, as a wrong cut is seen by nobody else."""

from collections.abc import Iterator, Sequence
from operator import attrgetter

from hardpp.data.lazily import Mapped
from hardpp.data.transduction.overlap import seen_in_training
from hardpp.data.transduction.pairs import Bitext, Corpus
from hardpp.data.transduction.side_counts import side_counts
from hardpp.data.transduction.tokenizers import Characters, Tokenizer, Words, has_blank

_EXAMPLES = 3
_LONGEST = 12  # symbols of an example that are shown


def how_cut(corpus: Corpus, bitext: Bitext | None, *, reverse: bool = False) -> Iterator[str]:
    """A sentence a side: what it was cut into, how many texts have blanks, and three examples.

    Of a user's own files it is said, too, when training sees much of dev or test.

    Args:
        corpus: Cut, and not yet reversed.
        bitext: The texts; None where they came as symbols.
        reverse: Are sources what the run calls targets? Settings are of the files.
    """
    for side, other in (("source", "target"), ("target", "source")):
        tokenizer: Tokenizer = getattr(corpus, side)
        symbols: Sequence[tuple[str, ...]] = Mapped(corpus.train, attrgetter(side))
        count = len(side_counts(corpus.train, side).symbols)
        texts = () if bitext is None else bitext.texts(side)
        examples = "; ".join(_example(tokenizer, each) for each in _distinct(symbols))
        called = other if reverse else side
        yield f"{called}: {tokenizer.kind}, {count} symbols{_blanks(tokenizer, texts, side)}: {examples}"
    if bitext is not None and bitext.places:
        yield from seen_in_training(corpus)


# How many texts have blanks, where some but not all do.
def _blanks(tokenizer: Tokenizer, texts: Sequence[str], side: str) -> str:
    found = sum(has_blank(text.partition("\t")[0]) for text in texts)
    if tokenizer.kind == Characters.kind and found:
        what, other = "a blank is a character", Words.kind
    elif tokenizer.kind == Words.kind and found < len(texts):
        what, other = "others are one word", Characters.kind
    else:
        return ""
    return f" ({found} of {len(texts)} texts have blanks: {what}; data.{side}_tokens={other} cuts otherwise)"


def _distinct(symbols: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(symbols[: 100 * _EXAMPLES]))[:_EXAMPLES]


def _example(tokenizer: Tokenizer, symbols: tuple[str, ...]) -> str:
    shown = [symbol if symbol.split() == [symbol] else repr(symbol) for symbol in symbols[:_LONGEST]]
    more = " ..." if len(symbols) > _LONGEST else ""
    return f"{tokenizer.detokenize(symbols)!r} = {' | '.join(shown)}{more}"
