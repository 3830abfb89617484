"""Bitexts of real language by name: which sources each needs, and how they are read.

A union has the train parts of several bitexts, and a slice of every dev and test part: at most 1,000 pairs,
those whose source has the smallest CRC-32, so that no bitext drowns the others and searching translations of
it stays affordable. Pairs beyond the slice are left out rather than trained on, as they share files with it.
"""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from hardpp.data.fetch.sources import fetch
from hardpp.data.lines import Report
from hardpp.data.transduction import bible, ding, libreoffice
from hardpp.data.transduction.pairs import Bitext
from hardpp.data.transduction.selection import without_leaks
from hardpp.data.transduction.text_pairs import TextPair

SLICE = 1000  # pairs of dev, and of test, from every bitext of a union


class NamedBitext(NamedTuple):
    """How a bitext with a name is read."""

    sources: tuple[str, ...]  # keys of `hardpp.data.fetch.sources.SOURCES`
    read: Callable[..., Bitext]  # takes their folders in this order


def _union_de(dictionary: Path, manual: Path, verses: Path) -> Bitext:
    parts = [ding.bitext(dictionary), libreoffice.bitext(manual, "de"), bible.bitext(verses, "de")]
    return unite("union-de-en", parts)


def _union_fr(manual: Path, verses: Path) -> Bitext:
    return unite("union-fr-en", [libreoffice.bitext(manual, "fr"), bible.bitext(verses, "fr")])


BITEXTS: dict[str, NamedBitext] = {
    "ding": NamedBitext(("ding",), ding.bitext),
    "libreoffice-de-en": NamedBitext(("libreoffice-help",), lambda folder: libreoffice.bitext(folder, "de")),
    "libreoffice-fr-en": NamedBitext(("libreoffice-help",), lambda folder: libreoffice.bitext(folder, "fr")),
    "bible-de-en": NamedBitext(("bible",), lambda folder: bible.bitext(folder, "de")),
    "bible-fr-en": NamedBitext(("bible",), lambda folder: bible.bitext(folder, "fr")),
    "union-de-en": NamedBitext(("ding", "libreoffice-help", "bible"), _union_de),
    "union-fr-en": NamedBitext(("libreoffice-help", "bible"), _union_fr),
}


def bitext(name: str, report: Report = lambda text: None) -> Bitext:
    """Read a bitext of `BITEXTS`; its sources are fetched when the cache lacks them."""
    named = BITEXTS[name]
    return named.read(*(fetch(source, report) for source in named.sources))


def unite(name: str, bitexts: Sequence[Bitext]) -> Bitext:
    """Unite bitexts in their order, without duplicates and without leaks between the parts (`selection`)."""
    train = [pair for bitext in bitexts for pair in bitext.train]
    dev = [pair for bitext in bitexts for pair in _slice(bitext.dev)]
    test = [pair for bitext in bitexts for pair in _slice(bitext.test)]
    train, dev, test = (list(dict.fromkeys(part)) for part in (train, dev, test))
    return without_leaks(Bitext(name, train, dev, test))


def _slice(pairs: Sequence[TextPair]) -> list[TextPair]:
    order = sorted(range(len(pairs)), key=lambda place: zlib.crc32(pairs[place].source.encode()))
    return [pairs[place] for place in sorted(order[:SLICE])]
