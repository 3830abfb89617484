"""Pairs of a user's own that are too many for memory: read one by one and packed into the cache.

They are the pairs that `hardpp.tasks.alignment.data` would read at once, in the same order, with the same
fingerprint, and the same is said of them. A pack is found by what the files hold and by how they are read.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from hardpp import __version__
from hardpp.data.digests import FileContents, sha256_of_json
from hardpp.data.parts import PARTS
from hardpp.data.streamed_lines import text_size
from hardpp.data.transduction.cutting import how_cut
from hardpp.data.transduction.own_files import OwnFiles
from hardpp.data.transduction.packed_pairs import PackedCorpus, PackedPairs, open_pack
from hardpp.data.transduction.packing import pack
from hardpp.data.transduction.packs import built, kept
from hardpp.data.transduction.pairs import Bitext, Corpus
from hardpp.data.transduction.spooled_texts import SpooledTexts
from hardpp.data.transduction.streamed_pairs import Unstreamable
from hardpp.data.transduction.tokenizers import Tokenizer
from hardpp.tasks.opened_run import Report

LARGE = 8 * 2**20  # bytes of text; some 300,000 words and their sounds, which take 400 MB in memory
_VERSION = 2  # of packs
_BASE = "\0"  # stands for the path of the data in what is kept

Sides = tuple[Tokenizer, Tokenizer]


class Cut(NamedTuple):
    """How the texts of a bitext are cut."""

    sides: Sides
    how: dict[str, Any]  # further arguments of `pack`


class LargeData(NamedTuple):
    """Files of a user's own, and how they are read.

    Args:
        base: a file, a folder, or the beginning of the names of files.
        files: makes what reads them, of what is told.
        settings: all that decides what the pairs are, beside the files.
        cut: decides how texts are cut, once they are known, and tells.
        sides: what a run cuts its texts by; None where it is not trained yet.
        reverse: are sources what the files call targets?
    """

    base: Path
    files: Callable[[Report], OwnFiles]
    settings: dict[str, Any]
    cut: Callable[[Bitext, Report], Cut]
    sides: Sides | None
    reverse: bool

    def corpus(self, report: Report) -> Corpus | None:
        """The pairs, turned round if they are to be; None where they are few, or can only be read at once.

        Raises:
            DataError, UsageError: as for pairs that are read at once.
        """
        paths = self.files(_nothing).paths(self.base)
        if not paths or text_size(paths) < LARGE:
            return None
        for described in dict.fromkeys((None, self._described)):
            name = self._name(paths, described)
            folder = kept(name)
            if folder is None and described != self._described:
                continue
            try:
                folder = folder or built(name, lambda made: self._build(made, report), report)
            except Unstreamable:
                return None
            corpus, about = open_pack(folder, self.base)
            if self.sides is not None and about["tokenizers"] != [side.describe() for side in self.sides]:
                continue
            for sentence, of_training in about["told"]:
                if self.sides is None or not of_training:
                    report(sentence.replace(_BASE, str(self.base)))
            return _turned(corpus) if self.reverse else corpus
        return None

    @property
    def _described(self) -> str | None:
        return None if self.sides is None else sha256_of_json([side.describe() for side in self.sides])

    def _name(self, paths: list[Path], described: str | None) -> str:
        names = [self._relative(path) for path in paths]
        content = FileContents(paths).sha256
        known = [_VERSION, __version__, content, names, self.settings, self.reverse, described]
        return f"pairs-{sha256_of_json(known)[:24]}"

    def _relative(self, path: Path) -> str:
        if path == self.base:
            return ""
        return str(path.relative_to(self.base if self.base.is_dir() else self.base.parent))

    def _build(self, folder: Path, report: Report) -> None:
        report(f"{self.base}: pairs are packed into the cache, for this command and later ones")
        told: list[tuple[str, bool]] = []  # what is said, and is it only when a run is trained?

        def tell(sentence: str, of_training: bool = False) -> None:
            told.append((sentence.replace(str(self.base), _BASE), of_training))

        spool = SpooledTexts(folder)
        bitext = spool.read(self.files(tell).streamed(self.base))
        cut = self.cut(bitext, partial(tell, of_training=True))
        if self.reverse and not all(side.sentences for side in cut.sides):
            raise Unstreamable("right answers to what are now sources may be in any part")
        symbols = pack(bitext, spool, folder, *cut.sides, **cut.how, report=tell)
        about = {
            "name": bitext.name,
            "symbols": symbols,
            "tokenizers": [side.describe() for side in cut.sides],
            "files": [[self._relative(path) for path in pair] for pair in spool.files],
            "told": told,
        }
        path = folder / "pack.json"
        path.write_text(json.dumps(about), encoding="utf-8")
        corpus, _ = open_pack(folder, self.base)
        for sentence in how_cut(corpus, bitext, reverse=self.reverse):
            tell(sentence, of_training=True)
        path.write_text(json.dumps(about), encoding="utf-8")
        spool.remove()


def _turned(corpus: PackedCorpus) -> PackedCorpus:
    parts = [getattr(corpus, part) for part in PARTS]
    train, dev, test = (part.turned() for part in parts if isinstance(part, PackedPairs))
    return PackedCorpus(corpus.name, train, dev, test, corpus.target, corpus.source)


def _nothing(text: str) -> None:
    return
