"""Sequence pairs and corpora: what every transduction reader returns.

A pair has one target that trains and a set of references that are all right; scoring uses the nearest
reference.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from hardpp.data.digests import sha256_of_parts
from hardpp.data.lazily import Joined
from hardpp.data.lines import Place
from hardpp.data.parts import PARTS
from hardpp.data.transduction.folding import Folding
from hardpp.data.transduction.text_pairs import FoldedPairs, TextPair, side_of
from hardpp.data.transduction.tokenizers import FOLDING, Tokenizer


class Pair(NamedTuple):
    """A source sequence and its targets."""

    source: tuple[str, ...]
    target: tuple[str, ...]  # the one that trains
    references: tuple[tuple[str, ...], ...]  # every right answer, `target` among them, no duplicates
    links: tuple[tuple[int, int], ...] = ()  # known (source word, target word), from 0, sorted


class PlacedPair(Pair):
    """A pair of a user's own which knows where it stands; it is equal to the pair that does not."""

    place: Place | None = None  # of its source
    text: str | None = None  # its source as it is written there, if symbols do not say that
    possible: tuple[tuple[int, int], ...] = ()  # known links beside `links`, which are the sure ones
    repeated: bool = False  # has a pair before it in its file the same source, whose answers they share?

    @classmethod
    def at(cls, place: Place | None, pair: Pair, text: str | None = None) -> "PlacedPair":
        """A pair that stands there."""
        placed = cls(*pair)
        placed.place, placed.text = place, text
        return placed


class Line(NamedTuple):
    """A pair of texts in a user's own files."""

    pair: TextPair
    places: tuple[Place, Place]  # of the source and of the target


class Bitext(NamedTuple):
    """Three lists of texts, not yet cut into tokens."""

    name: str
    train: Sequence[TextPair]
    dev: Sequence[TextPair]
    test: Sequence[TextPair]
    places: Mapping[str, Sequence[tuple[Place, Place]]] = MappingProxyType({})  # of a user's pairs, by part
    sentences: bool = True  # translations; else there may be several right answers to a source, a line each
    features: str = ""  # what stands between features, where sources are lemma, TAB, features

    @classmethod
    def of_lines(
        cls, name: str, parts: Mapping[str, list[Line]], *, sentences: bool = True, features: str = ""
    ) -> "Bitext":
        """Make a bitext of a user's own lines, whose places are known."""
        texts = {part: [line.pair for line in lines] for part, lines in parts.items()}
        places = {part: [line.places for line in lines] for part, lines in parts.items()}
        return cls(name, **texts, places=places, sentences=sentences, features=features)

    def folded(self, source: Folding, target: Folding) -> "Bitext":
        """The same with every text folded."""
        parts = (self.train, self.dev, self.test)
        train, dev, test = (FoldedPairs(part, source, target) for part in parts)
        return self._replace(train=train, dev=dev, test=test)

    def texts(self, side: str, parts: Sequence[str] = PARTS) -> Sequence[str]:
        """All texts of a side, "source" or "target", of some parts."""
        return Joined(*(side_of(getattr(self, part), side) for part in parts))


class Corpus(NamedTuple):
    """Three lists of pairs, and the tokenizers that cut them and can cut more."""

    name: str
    train: Sequence[Pair]
    dev: Sequence[Pair]
    test: Sequence[Pair]
    source: Tokenizer
    target: Tokenizer

    def fingerprint(self) -> str:
        """SHA-256 of all pairs in order and of the tokenizers."""
        # Pairs are folded already: which folding did nothing to them makes no difference.
        sides = (self.source.describe(), self.target.describe())
        head = json.dumps([{key: side[key] for key in side if key != FOLDING} for side in sides])
        return sha256_of_parts(head, map(self._json, (self.train, self.dev, self.test)))

    # Each pair as JSON; a corpus that keeps its pairs in another form writes them from that.
    def _json(self, pairs: Sequence[Pair]) -> Iterator[str]:
        return map(json.dumps, pairs)
