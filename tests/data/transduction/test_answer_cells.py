"""Several right answers in one cell, as in ipa-dict."""

from pathlib import Path

import pytest

from hardpp.data.transduction.answer_cells import answers, are_slashed
from hardpp.data.transduction.pair_lists import ListOfPairs


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("/ab/", ["ab"]),
        ("/ab/, /cd/", ["ab", "cd"]),
        ("/ab/,/c d/ ; /e/", ["ab", "c d", "e"]),
        ("ab", ["ab"]),
        ("a/b", ["a/b"]),
        ("/ab/ or /cd/", ["/ab/ or /cd/"]),
    ],
)
def test_answers_of_a_cell(cell: str, expected: list[str]) -> None:
    assert answers(cell) == expected


def test_cells_are_slashed_where_nearly_all_are() -> None:
    assert are_slashed(["/a/"] * 9 + ["b"])
    assert not are_slashed(["/a/"] * 8 + ["b"] * 2)
    assert not are_slashed([])


def test_each_answer_is_a_pair_of_its_line(tmp_path: Path) -> None:
    path, told = tmp_path / "en_US.txt", list[str]()
    path.write_text("two\t/tu/\na\t/ej/, /ə/\n", encoding="utf-8")
    lines = ListOfPairs(report=told.append).lines(path)
    assert [(*line.pair, line.places[0].number) for line in lines] == [
        ("two", "tu", 1),
        ("a", "ej", 2),
        ("a", "ə", 2),
    ]
    assert "right answers between slashes" in told[0]
    as_it_is = ListOfPairs(format="tsv").lines(path)
    assert [line.pair.target for line in as_it_is] == ["/tu/", "/ej/, /ə/"]
