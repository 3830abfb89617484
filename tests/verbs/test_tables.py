import csv
import io
import json
from typing import Any

import pytest

from hardpp.verbs.tables import finite, table

ROWS = [{"name": "Ä b", "rate": 0.123456, "count": 3}, {"name": 'c,"d"', "rate": 12.0, "count": 40}]


def test_people_see_aligned_columns_and_four_digits() -> None:
    lines = table(ROWS, "table").split("\n")
    assert lines[0].split() == ["name", "rate", "count"]
    assert "0.1235" in lines[1]
    assert (
        len({line.index(mark) for line, mark in zip(lines, ("rate", "0.1235", "12.0000"), strict=True)}) == 1
    )
    assert all(line == line.rstrip() for line in lines)


def test_programs_see_every_digit() -> None:
    assert json.loads(table(ROWS, "json")) == ROWS
    read = list(csv.DictReader(io.StringIO(table(ROWS, "csv"))))
    assert [row["name"] for row in read] == ["Ä b", 'c,"d"']
    assert [float(row["rate"]) for row in read] == [0.123456, 12.0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_stays_json_without_finite_numbers(value: float) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    text = table([{"kl": value, "n": 1}], "json")
    assert json.loads(text, parse_constant=refuse) == [{"kl": None, "n": 1}]
    assert finite({"kl": value, "n": 1, "s": "nan"}) == {"kl": None, "n": 1, "s": "nan"}


@pytest.mark.parametrize(("style", "text"), [("table", ""), ("csv", ""), ("json", "[]")])
def test_no_rows_are_no_failure(style: str, text: str) -> None:
    assert table([], style) == text


def test_columns_that_do_not_fit_a_terminal_follow_below(monkeypatch: pytest.MonkeyPatch) -> None:
    row: dict[str, Any] = {"run": "a", "first": "long", "second": 1.5, "third": "x"}
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    wide = table([row, {**row, "run": "b"}], "table").split("\n")
    assert [line.split() for line in wide] == [
        *(["run", "first", "second"], ["a", "long", "1.5000"], ["b", "long", "1.5000"], []),
        *(["run", "third"], ["a", "x"], ["b", "x"]),
    ]
    assert max(map(len, wide)) <= 20
    monkeypatch.setenv("COLUMNS", "40")
    assert len(table([row], "table").split("\n")) == 2
