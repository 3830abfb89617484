"""Pairs with links made by hand, which a run's own links are held against."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hardpp.data.transduction.gold_links import GoldLink, linked, read_links
from hardpp.data.transduction.pairs import Pair, PlacedPair
from hardpp.data.transduction.tokenizers import Characters
from hardpp.tasks.alignment.data import Sides
from hardpp.tasks.metrics.alignment_error import Links
from hardpp.tasks.opened_run import Report

NO_LINKS = "these pairs have no known links"
LINKS_HINT = "give --links FILE with links of their words, made by hand; bible-alignments has some"


class GoldFiles(NamedTuple):
    """Where links made by hand are, and how they are counted."""

    links: Path
    possible: Path | None = None  # those that are not sure, if they have a file of their own
    first: int | None = None  # what the first word is counted as; None: as is usual in files of the form
    swapped: bool = False  # are they TARGET-SOURCE?

    def read(self, count: int, report: Report) -> tuple[list[list[GoldLink]], list[list[GoldLink]]]:
        """The links of so many pairs, from source to target, and those that a second file calls possible."""
        links = read_links(self.links, count, self.first, report)
        more: list[list[GoldLink]] = [[] for _ in range(count)]
        if self.possible is not None:
            more = read_links(self.possible, count, self.first, report)
        if self.swapped:
            links, more = ([[link.turned for link in of_pair] for of_pair in part] for part in (links, more))
        return links, more


def with_gold(items: Sequence[Pair | None], files: GoldFiles, sides: Sides, report: Report) -> list[Pair]:
    """The pairs among the items, line by line, with their links.

    Args:
        items: pairs, and None where a line was left out.
        files: of links, from the run's source to its target, as `align` writes them.
        sides: what cuts sources and targets.
        report: told what was read, and what may be wrong.

    Raises:
        DataError: links that are not of these pairs.
    """
    links, more = files.read(len(items), report)
    pairs: list[Pair] = []
    for index, pair in enumerate(items):
        if pair is None:
            continue
        source, target = (
            1 + max(tokenizer.word_of(tokens), default=-1)
            for tokenizer, tokens in zip(sides, pair[:2], strict=True)
        )
        pairs.append(linked(pair, links[index], (source, target), more[index]))
    if unjudged := sum(bool(links[index]) for index, pair in enumerate(items) if pair is None):
        left = "a pair that was" if unjudged == 1 else f"{unjudged} pairs that were"
        report(f"warning: {files.links}: links of {left} left out are not judged")
    for place, (name, tokenizer) in enumerate(zip(("source", "target"), sides, strict=True)):
        if tokenizer.kind == Characters.kind and any(" " in pair[place] for pair in pairs):
            report(f"warning: {name}s are cut into characters: links are of characters, blanks among them")
    return pairs


def right_links(pair: Pair) -> Links:
    """The known links of a pair, sure and possible: none of them is wrong."""
    possible = pair.possible if isinstance(pair, PlacedPair) else ()
    return {*pair.links, *possible}
