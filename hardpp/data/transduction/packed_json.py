"""Packed pairs as JSON, many at once: fingerprints are made of it.

A pair is `[[source], [target], [[answer], [answer]], []]`, so a row of marks and symbols. A table has what
is written for each, all of one width: shorter texts are filled up with NUL, which JSON never holds, and
which is taken out in the end.

Shapes: P pairs, N sequences in them (a source, a target and its answers), I symbols of all sequences.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_BEGIN, _NEXT, _ANSWERS, _END = range(4)
_MARKS = (b"[[", b"], [", b"], [[", b"]], []]\n")

Numbers = NDArray[np.int64]
Array = NDArray[Any]


class Answers(NamedTuple):
    """Rows whose targets are the answers of pairs, those of one pair after those of another."""

    rows: Numbers
    counts: Numbers  # (P,)


class PairsInJSON:
    """Writes pairs.

    Args:
        symbols: of sources and of targets.
        starts: where the ids of each row begin, and where the last ends.
        ids: of all rows, one after the other.
    """

    def __init__(self, symbols: Sequence[Sequence[str]], starts: Sequence[Array], ids: Sequence[Array]):
        written = [json.dumps(symbol).encode() for of_side in symbols for symbol in of_side]
        self._table = np.array([*_MARKS, *(symbol + b", " for symbol in written), *written])
        self._first = len(_MARKS), len(_MARKS) + len(symbols[0])
        self._alone = len(written)  # from a symbol that another follows to the same that none follows
        self._starts, self._ids = starts, ids

    def __call__(self, rows: Numbers, answers: Answers) -> str:
        """The pairs of some rows, each on a line as `json.dumps` writes it."""
        counts = 2 + answers.counts
        ends = np.cumsum(counts)
        begins = ends - counts
        row, mark = np.empty(ends[-1], np.int64), np.full(ends[-1], _NEXT)
        row[begins] = row[begins + 1] = rows
        is_answer = np.ones(len(row), np.bool_)
        is_answer[begins] = is_answer[begins + 1] = False
        row[is_answer] = answers.rows
        mark[begins], mark[begins + 2] = _BEGIN, _ANSWERS
        is_source = mark == _BEGIN
        start, stop = (
            np.where(is_source, *(of_side[row + more] for of_side in self._starts)) for more in (0, 1)
        )
        length = stop - start
        sizes = 1 + length
        sizes[ends - 1] += 1  # the mark at the end
        at = np.cumsum(sizes) - sizes
        codes = np.empty(at[-1] + sizes[-1], np.int64)
        codes[at], codes[at[ends - 1] + length[ends - 1] + 1] = mark, _END
        within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        place, index = (np.repeat(first, length) + within for first in (at + 1, start))
        of_source = np.repeat(is_source, length)
        for some, first, ids in zip((of_source, ~of_source), self._first, self._ids, strict=True):
            codes[place[some]] = first + ids[index[some]]
        codes[(at + length)[length > 0]] += self._alone
        return bytes(self._table[codes]).translate(None, b"\0").decode().removesuffix("\n")
