"""Pairs written as JSON by tables are what `json.dumps` writes of each."""

import json
from itertools import accumulate, chain

import numpy as np
import pytest

from hardpp.data.transduction.packed_json import Answers, PairsInJSON
from hardpp.data.transduction.pairs import Pair

SYMBOLS = (["a", '"', "\\", "é", "\0", "\udcff", "]], []]\n"], ["AH", ", ", "長い記号", ""])


@pytest.mark.parametrize("seed", range(20))
def test_pairs_are_written_as_one_by_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    sequences = [
        [random.integers(0, len(symbols), random.integers(0, 5)).tolist() for _ in range(6)]
        for symbols in SYMBOLS
    ]
    ids = [np.array([*chain.from_iterable(of_side)], np.int32) for of_side in sequences]
    starts = [np.array([0, *accumulate(map(len, of_side))]) for of_side in sequences]
    rows = random.permutation(6)[:4]
    answers = [random.integers(0, 6, random.integers(1, 4)).tolist() for _ in rows]

    def said(side: int, row: int) -> tuple[str, ...]:
        return tuple(SYMBOLS[side][id] for id in sequences[side][row])

    pairs = [
        Pair(said(0, row), said(1, row), tuple(said(1, answer) for answer in of_row))
        for row, of_row in zip(rows, answers, strict=True)
    ]
    of_all = Answers(np.array([*chain.from_iterable(answers)]), np.array(list(map(len, answers))))
    assert PairsInJSON(SYMBOLS, starts, ids)(rows, of_all) == "\n".join(map(json.dumps, pairs))
