"""Pairs of texts from two files in two languages: which is translated into which, and what stands where."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path

from hardpp.data.lines import BadLine, Blank, OnBad, Place, Report, decode_line, report_bad
from hardpp.data.parts import part_of, split_by_checksum
from hardpp.data.transduction.pairs import Line
from hardpp.data.transduction.text_pairs import TextPair
from hardpp.errors import DataError, UsageError

_HINT = "every line is a text in UTF-8, and none is empty; a run with --on-bad skip leaves such pairs out"
_TARGETS = ("en", "tgt")  # what is translated into when nothing else was said


def translation_direction(
    place: str, languages: Collection[str], source: str | None = None, target: str | None = None
) -> tuple[str, str]:
    """Decide the source and the target language.

    What was not said is the other one of two languages, or English (or "tgt") as the target.

    Args:
        place: Where the text lies, for messages.
        languages: Of which there is text.
        source: The source language, if it was said.
        target: The target language, if it was said.

    Raises:
        UsageError: What was said is not there, or is not enough; the message lists the languages.
    """
    names = sorted(languages)
    present = f"{place}: there is text in {' and '.join(names) or 'no language'}"
    for name in (source, target):
        if name is not None and name not in names:
            raise UsageError(f"{present}, but not in {name!r}")
    if source is not None and source == target:
        raise UsageError(f"{place}: {source!r} cannot be both source and target")
    if len(names) < 2:
        raise UsageError(f"{present}, and two languages are needed")
    if target is None:
        candidates = [name for name in names if name != source]
        usual = [name for name in _TARGETS if name in candidates]
        if not usual and len(candidates) > 1:
            raise UsageError(f"{present}: which is translated into?", "--set data.target_language says it")
        target = usual[0] if usual else candidates[0]
    if source is None:
        candidates = [name for name in names if name != target]
        if len(candidates) > 1:
            raise UsageError(
                f"{present}: which is translated into {target!r}?", "--set data.source_language says it"
            )
        source = candidates[0]
    return source, target


def pair_texts(
    paths: tuple[Path, Path], numbered: Sequence[Iterable[tuple[int, bytes]]], on_bad: OnBad, report: Report
) -> Iterator[Line]:
    """Pair the texts at the same place in two files, one by one; what is wrong is said after the last.

    The files must have equally many.

    Args:
        paths: The files, for messages.
        numbered: For each file its texts and the lines where they stand.
        on_bad: What happens to a pair with a text that is empty or cannot be read.
        report: Told what was left out.
    """
    bad: list[BadLine] = []
    sizes, found = [0, 0], 0
    for first, second in zip_longest(*numbered):
        sizes = [size + (one is not None) for size, one in zip(sizes, (first, second), strict=True)]
        if first is None or second is None:
            continue
        sides: list[str] = []
        for path, (number, line) in zip(paths, (first, second), strict=True):
            try:
                sides.append(_text(line))
            except ValueError as reason:
                bad.append(BadLine(path, number, str(reason), blank=isinstance(reason, Blank)))
                break
        else:
            found += 1
            yield Line(TextPair(*sides), (Place(paths[0], first[0]), Place(paths[1], second[0])))
    if sizes[0] != sizes[1]:
        raise DataError(
            f"{paths[0]} has {sizes[0]} lines of text but {paths[1]} has {sizes[1]}",
            "line i of one file must be the translation of line i of the other",
        )
    report_bad(bad, on_bad, report, _HINT)
    if not found:
        raise DataError(f"{paths[0]}: no pair of texts is left", _HINT)


def split_lines(
    lines: list[Line], path: Path, hint: str, fold: Callable[[str], str] = str
) -> dict[str, list[Line]]:
    """Split lines into parts by checksum of the source (`split_by_checksum`), folded by `fold`."""
    return split_by_checksum(lines, partial(_key, fold=fold), path, "line", "source", hint)


def part_of_line(line: Line, fold: Callable[[str], str] = str) -> str:
    """The part into which a line is split."""
    return part_of(_key(line, fold))


# Doubled blanks must not put one source into two parts, nor a lemma the TAB and features after it.
def _key(line: Line, fold: Callable[[str], str]) -> str:
    return " ".join(fold(line.pair.source.partition("\t")[0]).split())


# A ValueError says what is wrong with the line; the caller knows its number.
def _text(line: bytes) -> str:
    text = decode_line(line).strip(" \t")
    if not text.strip():
        raise Blank("holds only blanks")
    return text
