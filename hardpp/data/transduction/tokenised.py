"""From texts to tokens: a bitext becomes the corpus that trains."""

from collections.abc import Callable, Sequence

from hardpp.data.transduction.pairs import Bitext, Corpus, Pair, TextPair
from hardpp.data.transduction.pieces import Pieces
from hardpp.data.transduction.tokens import SIMPLE, Tokenizer, guessed
from hardpp.errors import DataError


def tokenised(
    bitext: Bitext,
    source: Tokenizer,
    target: Tokenizer,
    *,
    pooled: bool,
    max_length: int | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> Corpus:
    """Cuts every text.

    Args:
        bitext: texts in three parts.
        source, target: how each side is cut.
        pooled: see `pairs`; in dev and test there is then one pair a distinct source.
        max_length: pairs with more symbols than this on a side are left out of train, and `report` is told.
        report: told in a few words what is going on.

    Raises:
        DataError: no pair is left to train on.
    """
    train, dev, test = (pairs(part, source, target, pooled=pooled) for part in bitext[1:])
    if pooled:
        dev, test = _distinct(dev), _distinct(test)
    short = [pair for pair in train if max_length is None or _length(pair) <= max_length]
    if len(short) < len(train):
        report(f"{len(train) - len(short)} training pairs of more than {max_length} symbols left out")
    if not short:
        raise DataError(f"{bitext.name}: no training pair has at most {max_length} symbols")
    return Corpus(bitext.name, short, dev, test, source, target)


def tokenizers(
    bitext: Bitext, source_tokens: str, target_tokens: str, size: int
) -> tuple[Tokenizer, Tokenizer]:
    """How the two sides are cut: each by name, or, for "auto", as its texts look.

    Args:
        bitext: the texts; pieces are learnt from the train part, from both sides together if both have them.
        source_tokens, target_tokens: "auto", "characters", "words", "bpe" or "pieces".
        size: how many pieces are learnt.
    """
    wanted = {"source": source_tokens, "target": target_tokens}
    learning = [side for side, kind in wanted.items() if kind == Pieces.kind]
    learnt = [getattr(line, side) for side in learning for line in bitext.train]
    pieces = Pieces.learn(learnt, size) if learning else None

    def chosen(side: str, kind: str) -> Tokenizer:
        if pieces is not None and kind == Pieces.kind:
            return pieces
        if kind in SIMPLE:
            return SIMPLE[kind]()
        return guessed([getattr(line, side) for part in bitext[1:] for line in part])

    return chosen("source", source_tokens), chosen("target", target_tokens)


def pairs(texts: Sequence[TextPair], source: Tokenizer, target: Tokenizer, *, pooled: bool) -> list[Pair]:
    """Every line as a pair, in order.

    Args:
        texts: the lines.
        source, target: how each side is cut.
        pooled: are all targets of a source right answers to it (pronunciations), or only a line's own one
            (translations)?
    """
    cut = [(source.cut(line.source), target.cut(line.target)) for line in texts]
    if not pooled:
        return [Pair(x, y, (y,)) for x, y in cut]
    references: dict[tuple[str, ...], dict[tuple[str, ...], None]] = {}
    for x, y in cut:
        references.setdefault(x, {})[y] = None
    return [Pair(x, y, tuple(references[x])) for x, y in cut]


def reversed_corpus(corpus: Corpus) -> Corpus:
    """The same pairs the other way round, links too."""
    train, dev, test = ([reversed_pair(pair) for pair in part] for part in corpus[1:4])
    return Corpus(corpus.name, train, dev, test, corpus.target, corpus.source)


def reversed_pair(pair: Pair) -> Pair:
    """The target as source; its one right answer is the source."""
    links = tuple(sorted((t, s) for s, t in pair.links))
    return Pair(pair.target, pair.source, (pair.source,), links)


# The first pair of every source: it holds the right answers of them all.
def _distinct(part: list[Pair]) -> list[Pair]:
    first: dict[tuple[str, ...], Pair] = {}
    for pair in part:
        first.setdefault(pair.source, pair)
    return list(first.values())


def _length(pair: Pair) -> int:
    return max(len(pair.source), len(pair.target))
