"""Word alignment links from attention: the best source position of every target word.

A link is (source, target), both counted from 0. A target word is linked to its source position of largest
weight; the position after the last word, the end mark, means no link. Models of pieces of words link pieces,
and a word is linked if any of its pieces is.

Shapes: T steps and S source positions, the end mark last in both.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from torch import Tensor


class Link(NamedTuple):
    """A source word and a target word that belong together."""

    source: int
    target: int
    probability: float = 1.0


def best_links(weights: Tensor, sources: int, targets: int, *, always: bool = False) -> list[Link]:
    """The best source position of every target word, in the order of the target.

    Args:
        weights: (T, S), p(position) of every step; end marks and padding after the words may be included.
        sources, targets: the numbers of words; later positions mean no link, later steps are ignored.
        always: link every target word to its best word, even where the end mark is likelier.

    Raises:
        ValueError: the weights are of fewer steps or positions than that.
    """
    if weights.dim() != 2 or weights.shape[0] < targets or weights.shape[1] < max(sources, 1):
        sizes = f"at least {targets} steps and {sources} positions"
        raise ValueError(f"expected weights of {sizes}, got {tuple(weights.shape)}")
    weights = weights[:targets, :sources] if always else weights[:targets]
    if not weights.numel():
        return []
    probability, position = (part.tolist() for part in weights.max(-1))
    return [
        Link(source, target, p)
        for target, (source, p) in enumerate(zip(position, probability, strict=True))
        if source < sources
    ]


def word_links(
    links: Iterable[Link], source_word_of: Sequence[int], target_word_of: Sequence[int]
) -> list[Link]:
    """Links of words from links of their pieces, sorted; if several pieces link the likeliest counts.

    `source_word_of` and `target_word_of` say which word each piece is in.
    """
    best: dict[tuple[int, int], float] = {}
    for source, target, probability in links:
        words = source_word_of[source], target_word_of[target]
        best[words] = max(best.get(words, probability), probability)
    return [Link(*words, probability) for words, probability in sorted(best.items())]


def reversed_links(links: Iterable[Link]) -> list[Link]:
    """The links with source and target exchanged, sorted."""
    return sorted(Link(link.target, link.source, link.probability) for link in links)
