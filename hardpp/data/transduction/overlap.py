"""Sources of dev and test that training sees, too: what is measured on them is no measure of others."""

from collections.abc import Iterator, Sequence

from hardpp.data.transduction.pairs import Corpus, Pair

_MANY = 0.1  # of a part


def seen_in_training(corpus: Corpus) -> Iterator[str]:
    """A warning for each part of which many pairs have a source of the train part.

    Sentences that are said again and again are no matter: only where the target is the same, too.
    """
    known = {_key(pair, corpus) for pair in corpus.train}
    for part in ("dev", "test"):
        pairs: Sequence[Pair] = getattr(corpus, part)
        count = sum(_key(pair, corpus) in known for pair in pairs)
        if count > _MANY * len(pairs):
            what = f"{count} of {len(pairs)} {part} pairs stand in train, too"
            yield f"warning: {corpus.name}: {what}: figures of {part} are better than those of others"


def _key(pair: Pair, corpus: Corpus) -> tuple[tuple[str, ...], ...]:
    return (pair.source, pair.target) if corpus.source.sentences else (pair.source,)
