"""Sources of dev and test that training sees, too: what is measured on them is no measure of others."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hardpp.data.transduction.packed_pairs import PackedPairs
from hardpp.data.transduction.pairs import Corpus, Pair

_MANY = 0.1  # of a part


def seen_in_training(corpus: Corpus) -> Iterator[str]:
    """A warning for each part of which many pairs have a source of the train part.

    Sentences that are said again and again are no matter: only where the target is the same, too.
    """
    whole = corpus.source.sentences
    known = _hashes(corpus.train, whole)
    for part in ("dev", "test"):
        pairs: Sequence[Pair] = getattr(corpus, part)
        count = int(np.isin(_hashes(pairs, whole), known).sum())
        if count > _MANY * len(pairs):
            what = f"{count} of {len(pairs)} {part} pairs stand in train, too"
            yield f"warning: {corpus.name}: {what}: figures of {part} are better than those of others"


# Of sources, or of whole pairs.
def _hashes(pairs: Sequence[Pair], whole: bool) -> NDArray[Any]:
    if isinstance(pairs, PackedPairs):
        return pairs.hashes(whole=whole)
    return np.array([hash(pair[: 1 + whole]) for pair in pairs], np.int64)
