"""Links of words made by hand, in the forms in which test sets of word alignment bring them.

    Pharaoh   line i has the links of pair i: `0-0 1-2 3?5`, source first; `?` or `p` in place of `-`, or a
              `P` behind, makes a link a possible one, others are sure
    NAACL     a link a line: `sentence source target [S|P] [confidence]`, all three counted from 1

What a file is shows in its first link. Words of Pharaoh count from 0 unless it is said otherwise. Possible
links may also come in a file of their own. Confidences and probabilities are passed over.

Sources: Mihalcea and Pedersen (2003), An Evaluation Exercise for Word Alignment; Och and Ney (2003), A
Systematic Comparison of Various Statistical Alignment Models, section 5.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import NamedTuple

from hardpp.data.lines import Place, Report, decode_line, read_lines
from hardpp.data.transduction.pairs import Pair, PlacedPair
from hardpp.errors import DataError

_NUMBER = r"[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?"
_WORD = "[0-9]{1,9}"
_PHARAOH = re.compile(rf"({_WORD})([-?pP])({_WORD})(?:-?([SsPp]))?(?::{_NUMBER})?")
_NAACL = re.compile(rf"\s*({_WORD})\s+({_WORD})\s+({_WORD})(?:\s+([SsPp]))?(?:\s+{_NUMBER})?\s*")
_HINT = "links are 0-0 1-2 3?5 (a line a pair), or SENTENCE SOURCE TARGET [S|P] (a link a line)"


class GoldLink(NamedTuple):
    """A link that somebody made, words counted from 0."""

    source: int
    target: int
    sure: bool
    place: Place
    first: int  # what the first word is counted as at that place

    @property
    def turned(self) -> "GoldLink":
        """The same from target to source."""
        return self._replace(source=self.target, target=self.source)


def read_links(
    path: Path, count: int, first: int | None = None, report: Report = lambda text: None
) -> list[list[GoldLink]]:
    """Read the links of every pair.

    Args:
        path: A file of either form.
        count: How many pairs there are.
        first: What the first word is counted as, 0 or 1; None: 0 in Pharaoh, 1 in NAACL files.
        report: Told what was read.

    Raises:
        DataError: Not as many pairs, a link before the first word, or what is no link.
    """
    texts = [_text(path, number, line) for number, line in enumerate(read_lines(path, "links"), start=1)]
    naacl = _NAACL.fullmatch(next((text for text in texts if text.strip()), "")) is not None
    if first is None:
        first = 1 if naacl else 0
        guessed = not naacl
    else:
        guessed = False
    links = (_naacl if naacl else _pharaoh)(path, texts, count, first)
    each = [link for of_pair in links for link in of_pair]
    sure, form = sum(link.sure for link in each), "NAACL" if naacl else "Pharaoh"
    linked = sum(map(bool, links))
    report(
        f"{path}: read as {form}, words from {first}: {sure} sure and {len(each) - sure} possible links of "
        f"{linked} of {count} pairs"
    )
    if guessed and each and all(link.source and link.target for link in each):
        report(f"warning: {path}: no link has a word 0: if words count from 1, give --links-from 1")
    return links


def linked(
    pair: Pair, links: Sequence[GoldLink], words: tuple[int, int], more: Sequence[GoldLink] = ()
) -> PlacedPair:
    """The pair with its sure and possible links.

    Args:
        pair: As the run reads it.
        links: Of the pair, from its source to its target.
        words: How many it has, source and target.
        more: Links that are possible ones, whatever they are marked as.

    Raises:
        DataError: A link of a word that is not there.
    """
    for link in (*links, *more):
        for side, index, length in zip(("source", "target"), link[:2], words, strict=True):
            if index >= length:
                raise _out_of_range(link, side, index, length, " ".join(getattr(pair, side)))
    sure = sorted({link[:2] for link in links if link.sure})
    possible = {link[:2] for link in (*links, *more)} - set(sure)
    gold = PlacedPair.at(
        pair.place if isinstance(pair, PlacedPair) else None, pair._replace(links=tuple(sure))
    )
    gold.possible = tuple(sorted(possible))
    return gold


def _out_of_range(link: GoldLink, side: str, index: int, length: int, text: str) -> DataError:
    first, other = link.first, 1 - link.first
    what = f"a link of word {index + first} of the {side}, which has words {first} to {length - 1 + first}"
    return DataError(
        f"{link.place.path}:{link.place.number}: {what}: {shorten(text, 60, placeholder=' ...')!r}",
        f"links are SOURCE-TARGET (--links-swapped: TARGET-SOURCE) of words from {first} (--links-from "
        f"{other}: from {other}), as they stand between blanks in the texts",
    )


def _text(path: Path, number: int, line: bytes) -> str:
    try:
        return decode_line(line) if line else ""
    except ValueError as reason:
        raise DataError(f"{path}:{number}: {reason}", _HINT) from reason


def _pharaoh(path: Path, texts: Sequence[str], count: int, first: int) -> list[list[GoldLink]]:
    if len(texts) != count:
        lines = f"{len(texts)} line{'s' * (len(texts) != 1)} of links"
        raise DataError(
            f"{path}: {lines} for {count} pair{'s' * (count != 1)}",
            "line i has the links of pair i, and is empty where there are none",
        )
    links = []
    for number, text in enumerate(texts, start=1):
        of_pair = []
        for word in text.split():
            match = _PHARAOH.fullmatch(word)
            if match is None or (match[2] != "-" and (match[4] or "P") in "Ss"):
                raise DataError(f"{path}:{number}: {word[:60]!r} is no link", _HINT)
            sure = match[2] == "-" and (match[4] or "S") in "Ss"
            of_pair.append(_link(int(match[1]), int(match[3]), sure, Place(path, number), first))
        links.append(of_pair)
    return links


def _naacl(path: Path, texts: Sequence[str], count: int, first: int) -> list[list[GoldLink]]:
    links: list[list[GoldLink]] = [[] for _ in range(count)]
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            continue
        match = _NAACL.fullmatch(text)
        if match is None:
            raise DataError(f"{path}:{number}: {text[:60]!r} is no link", _HINT)
        sentence = int(match[1])
        if not 1 <= sentence <= count:
            what = f"a link of pair {sentence}, and there are {count}, which count from 1"
            raise DataError(
                f"{path}:{number}: {what}", "the first pair of the data is 1, a pair left out counts"
            )
        sure = (match[4] or "S") in "Ss"
        links[sentence - 1].append(
            _link(int(match[2]), int(match[3]), sure, Place(path, number), first, naacl=True)
        )
    return links


def _link(source: int, target: int, sure: bool, place: Place, first: int, *, naacl: bool = False) -> GoldLink:
    if min(source, target) < first:
        what = f"a link of word 0 ({source} and {target}), and words count from {first}"
        hint = "a 0 for no word (NULL) is not a link: leave such lines out" if naacl else ""
        raise DataError(
            f"{place.path}:{place.number}: {what}", f"{hint}{'; ' * naacl}--links-from 0 is for words from 0"
        )
    return GoldLink(source - first, target - first, sure, place, first)
