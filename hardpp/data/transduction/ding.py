"""Ding: example sentences of a German-English dictionary, short and natural.

A line of the file is `German | German ... :: English | English ...` with equally many fields on both sides.
Brackets {...}, [...], <...> hold grammar and are dropped. A field is an example when both sides end as a
sentence does. Of renderings divided by ";", and of several sentences that face one, the first is taken; a
field that offers a choice by "/" or "(...)" is passed over. Version 1.9 gives 16,606 examples, which are
split by `bucket` of the German text.

Source: the Ding word list of Frank Richter, TU Chemnitz, GPL 2 or later, as packed in Debian `trans-de-en`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from hardpp.data.lines import read_text
from hardpp.data.transduction.pairs import Bitext
from hardpp.data.transduction.selection import split_by_group
from hardpp.data.transduction.text_pairs import TextPair
from hardpp.errors import DataError

MEMBER = "usr/share/trans/de-en"  # where the dictionary lies in the fetched folder

_GRAMMAR = re.compile(r"\{[^}]*\}|\[[^\]]*\]|<[^>]*>")
_ENDS = re.compile(r'[.!?][”"“\u2019»]?$')
_END = re.compile(r'[.!?]["”“]?\s')
_FIRST = re.compile(r'.*?[.!?]["”“]?(?=\s)')


def bitext(path: Path | str) -> Bitext:
    """Read German to English examples, in order, from the dictionary file or the fetched folder."""
    path = Path(path)
    path = path / MEMBER if path.is_dir() else path
    target_of: dict[str, str] = {}
    for line in read_text(path, "hardpp data fetch ding").split("\n"):
        for pair in _examples(line):
            target_of.setdefault(pair.source, pair.target)
    if not target_of:
        raise DataError(f"{path}: holds no example sentence", "it needs lines of German :: English")
    return split_by_group("ding", [(source, TextPair(source, target_of[source])) for source in target_of])


def _examples(line: str) -> Iterator[TextPair]:
    german, divider, english = line.partition(" :: ")
    if not divider or line.startswith("#"):
        return
    sides = [side.split("|") for side in (german, english)]
    if len(sides[0]) != len(sides[1]):
        return
    for fields in zip(*sides, strict=True):
        source, target = (" ".join(_GRAMMAR.sub("", field).split()) for field in fields)
        if _ENDS.search(source) and _ENDS.search(target) and len(source.split()) >= 3:
            yield from _example(source, target)


def _example(source: str, target: str) -> Iterator[TextPair]:
    source, target = (re.split(r";\s+", side)[0] for side in (source, target))
    if re.search(r"[/(]", source + target) or not (_ENDS.search(source) and _ENDS.search(target)):
        return
    # Further sentences on one side are other renderings of the same.
    ends = [len(_END.findall(f"{side} ")) for side in (source, target)]
    if ends[0] == ends[1]:
        yield TextPair(source, target)
    elif ends[0] == 1 < ends[1] and (first := _FIRST.match(target)):
        yield TextPair(source, first[0])
    elif ends[1] == 1 < ends[0] and (first := _FIRST.match(source)):
        yield TextPair(first[0], target)
