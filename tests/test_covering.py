"""Every value of both axes is in a pair, and no more pairs are taken than that needs."""

from covering import spread


def test_every_column_has_a_row_and_rows_are_taken_in_turn() -> None:
    pairs = spread("abc", range(7), lambda row, column: True)
    assert pairs == [(row, column) for column, row in enumerate("abcabca")]


def test_what_does_not_fit_is_not_taken() -> None:
    allowed = {("a", 0), ("a", 1), ("a", 2), ("b", 2), ("c", 0)}
    pairs = spread("abcd", range(4), lambda row, column: (row, column) in allowed)
    assert pairs == [("a", 0), ("a", 1), ("b", 2), ("c", 0)]  # d and 3 fit nowhere
