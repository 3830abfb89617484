"""Selection of the pairs of a bitext that are worth training on, and their split without leaks.

Found text is noisy, so a pair is kept when both sides have 3 to 50 words and marks, neither side has 2.5
times as many as the other, the sides differ, and the pair is new. Parts are made of whole groups (a file, a
chapter), and no text of test occurs in dev or train, none of dev in train, on either side and
whatever its case: what was seen in training is not a test.
"""

import re
from collections.abc import Iterable

from hardpp.data.parts import part_of, split
from hardpp.data.transduction.pairs import Bitext
from hardpp.data.transduction.text_pairs import TextPair

SHORTEST, LONGEST = 3, 50  # words and marks a side
STEEPEST = 2.5  # more words and marks on one side than so many times those of the other

_WORD = re.compile(r"\w+|[^\w\s]")
_SENTENCE_END = re.compile(r'(?<=[.!?])\s+(?=[A-ZÄÖÜÀÉÈÊÔ0-9"„«(])')


def words(text: str) -> list[str]:
    """Split a text into words and single marks, the units in which lengths are counted."""
    return _WORD.findall(text)


def split_into_sentences(pair: TextPair) -> list[TextPair]:
    """Split a pair of paragraphs into pairs of sentences, if both have equally many."""
    sides = [_SENTENCE_END.split(side) for side in pair]
    if len(sides[0]) != len(sides[1]):
        return [pair]
    return [TextPair(source, target) for source, target in zip(*sides, strict=True)]


def select_pairs(pairs: Iterable[tuple[str, TextPair]]) -> list[tuple[str, TextPair]]:
    """Select good pairs out of (group, pair), in order; a pair of several groups stays with the first.

    Runs of white space become one blank, so that every text is one line.
    """
    group_of: dict[TextPair, str] = {}
    for group, pair in pairs:
        single = TextPair(" ".join(pair.source.split()), " ".join(pair.target.split()))
        if single not in group_of and _good(single):
            group_of[single] = group
    return [(group, pair) for pair, group in group_of.items()]


def split_by_group(name: str, pairs: Iterable[tuple[str, TextPair]]) -> Bitext:
    """Split pairs into parts by `bucket` of their group, without leaks."""
    parts = split(pairs, lambda of_group: part_of(of_group[0]))
    train, dev, test = ([pair for _, pair in part] for part in parts.values())
    return without_leaks(Bitext(name, train, dev, test))


def without_leaks(bitext: Bitext) -> Bitext:
    """Drop pairs of dev that share a text with test, and pairs of train that share one with either."""
    held_out = _texts(bitext.test)
    dev = [pair for pair in bitext.dev if not _texts([pair]) & held_out]
    held_out |= _texts(dev)
    return bitext._replace(dev=dev, train=[pair for pair in bitext.train if not _texts([pair]) & held_out])


def _good(pair: TextPair) -> bool:
    source, target = len(words(pair.source)), len(words(pair.target))
    if not (SHORTEST <= source <= LONGEST and SHORTEST <= target <= LONGEST):
        return False
    return pair.source != pair.target and 1 / STEEPEST < source / target < STEEPEST


def _texts(pairs: Iterable[TextPair]) -> set[str]:
    return {side.casefold() for pair in pairs for side in pair}
