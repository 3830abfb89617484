"""Pairs the other way round: what was the target is the source."""

from collections.abc import Sequence

from hardpp.data.transduction.long_pairs import TokenPair
from hardpp.data.transduction.pairs import Corpus, Pair, PlacedPair
from hardpp.data.transduction.tokenization import distinct_sources, with_references


def reverse_corpus(corpus: Corpus) -> Corpus:
    """Reverse every pair and its links.

    A target with several sources, as a sound with several spellings, is then a source with as many right
    answers, in whatever part they stand, unless what are now targets are sentences.
    """
    pooled = not corpus.source.sentences
    # Pairs of dev and test may stand for several, one for each right answer.
    parts = [corpus.train, *([one for pair in part for one in _each(pair)] for part in corpus[2:4])]
    turned = iter(reverse_pairs([pair for part in parts for pair in part], pooled=pooled))
    train, dev, test = ([next(turned) for _ in part] for part in parts)
    if pooled:
        dev, test = distinct_sources(dev), distinct_sources(test)
    return Corpus(corpus.name, train, dev, test, corpus.target, corpus.source)


def reverse_pairs(pairs: Sequence[Pair], *, pooled: bool) -> list[Pair]:
    """Reverse pairs, in order; where `pooled`, all sources of a target are right answers to it.

    Where links are known, pairs are of sentences, and none has answers but its own.
    """
    turned = [reverse_pair(pair) for pair in pairs]
    if not pooled or any(pair.links for pair in pairs):
        return turned
    answers = with_references([TokenPair(pair.source, pair.target) for pair in turned], pooled=True)
    return [_where(pair, before) for pair, before in zip(answers, pairs, strict=True)]


def reverse_pair(pair: Pair) -> Pair:
    """Reverse a pair; its one right answer is then the source."""
    links = tuple(sorted((t, s) for s, t in pair.links))
    return _where(Pair(pair.target, pair.source, (pair.source,), links), pair)


# A pair where the one that it was made of stands, if that is known.
def _where(pair: Pair, before: Pair) -> Pair:
    if not isinstance(before, PlacedPair):
        return pair
    placed = PlacedPair.at(before.place, pair)
    placed.possible = tuple(sorted((t, s) for s, t in before.possible))
    return placed


# A pair for every right answer.
def _each(pair: Pair) -> list[Pair]:
    if pair.links:
        return [pair]
    place = pair.place if isinstance(pair, PlacedPair) else None
    return [PlacedPair.at(place, pair._replace(target=right)) for right in pair.references]
