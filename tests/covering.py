"""Few pairs instead of a whole product, for tests of what does not depend on the pair.

Where a cheaper test asks all pairs of two axes what could differ from pair to pair, an expensive one that
follows the same road for each of them needs every value of both axes and no more. Which pairs these are is a
function of the axes alone, the same on every machine and in every order of tests.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

Row = TypeVar("Row")
Column = TypeVar("Column")


def spread(
    rows: Iterable[Row], columns: Iterable[Column], fits: Callable[[Row, Column], bool]
) -> list[tuple[Row, Column]]:
    """One row for each column, the one that was taken least so far, and one column for each row left over.

    Args:
        rows, columns: the two axes; what fits nowhere is left out.
        fits: whether a pair is possible at all.
    """
    rows, columns = list(rows), list(columns)
    taken: Counter[Row] = Counter()
    pairs = []
    for column in columns:
        possible = [row for row in rows if fits(row, column)]
        if possible:
            row = min(possible, key=lambda row: taken[row])  # of several the first
            taken[row] += 1
            pairs.append((row, column))
    for row in rows:
        column_of_row = next((column for column in columns if fits(row, column)), None)
        if taken[row] == 0 and column_of_row is not None:
            pairs.append((row, column_of_row))
    return pairs
