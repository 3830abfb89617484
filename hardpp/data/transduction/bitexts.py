"""Bitexts of real language by name: which sources each needs, and how they are read."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hardpp.data.fetch.sources import fetch
from hardpp.data.transduction import bible, ding, libreoffice, union
from hardpp.data.transduction.pairs import Bitext


class NamedBitext(NamedTuple):
    """How a bitext with a name is read."""

    sources: tuple[str, ...]  # keys of `hardpp.data.fetch.sources.SOURCES`
    read: Callable[..., Bitext]  # takes their folders in this order


def _union_de(dictionary: Path, manual: Path, verses: Path) -> Bitext:
    parts = [ding.bitext(dictionary), libreoffice.bitext(manual, "de"), bible.bitext(verses, "de")]
    return union.bitext("union-de-en", parts)


def _union_fr(manual: Path, verses: Path) -> Bitext:
    return union.bitext("union-fr-en", [libreoffice.bitext(manual, "fr"), bible.bitext(verses, "fr")])


BITEXTS: dict[str, NamedBitext] = {
    "ding": NamedBitext(("ding",), ding.bitext),
    "libreoffice-de-en": NamedBitext(("libreoffice-help",), lambda folder: libreoffice.bitext(folder, "de")),
    "libreoffice-fr-en": NamedBitext(("libreoffice-help",), lambda folder: libreoffice.bitext(folder, "fr")),
    "bible-de-en": NamedBitext(("bible",), lambda folder: bible.bitext(folder, "de")),
    "bible-fr-en": NamedBitext(("bible",), lambda folder: bible.bitext(folder, "fr")),
    "union-de-en": NamedBitext(("ding", "libreoffice-help", "bible"), _union_de),
    "union-fr-en": NamedBitext(("libreoffice-help", "bible"), _union_fr),
}


def bitext(name: str, report: Callable[[str], None] = lambda text: None) -> Bitext:
    """Read a bitext by name; its sources are fetched when the cache lacks them.

    Args:
        name: A key of `BITEXTS`.
        report: Told in a few words what is going on.

    Raises:
        DataError: A source cannot be fetched or read.
        ResourceError: The disk is full.
    """
    named = BITEXTS[name]
    return named.read(*(fetch(source, report) for source in named.sources))
