"""Cells of lines that may be no table."""

import pytest

from hardpp.data.csv_cells import cells_of, rows_of

LONG = "x" * 140_000  # more than Python's reader takes


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ('"a, b",c', ["a, b", "c"]),
        ("a,b\rc", ["a", "b\rc"]),
        (f"a,{LONG}", ["a", LONG]),
        ("", [""]),
    ],
)
def test_cells_of_a_line(text: str, cells: list[str]) -> None:
    assert cells_of(text, ",") == cells


def test_rows_of_lines() -> None:
    assert rows_of(['"a', 'b",c'], ",") == [["ab", "c"]]
    assert rows_of(["a,b", "c\rd,e"], ",") == [["a", "b"], ["c\rd", "e"]]
