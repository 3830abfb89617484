from pathlib import Path

import pytest

from hardpp.data.transduction.gold_links import linked, read_links
from hardpp.data.transduction.pairs import Pair
from hardpp.errors import DataError

PAIR = Pair(("a", "b", "c"), ("x", "y"), (("x", "y"),))


def read(
    tmp_path: Path, text: str, count: int = 2, first: int | None = None
) -> list[list[tuple[int, int, bool]]]:
    (tmp_path / "gold").write_text(text)
    return [[link[:3] for link in of_pair] for of_pair in read_links(tmp_path / "gold", count, first)]


@pytest.mark.parametrize(
    ("line", "links"),
    [
        ("0-0 1-2", [(0, 0, True), (1, 2, True)]),
        ("3?5 3p5 3P5", [(3, 5, False)] * 3),
        ("3-5P 3-5p 3-5-P 3?5P", [(3, 5, False)] * 4),
        ("3-5S 3-5-s 3-5", [(3, 5, True)] * 3),
        ("0-0:0.9731 1?2:1e-05", [(0, 0, True), (1, 2, False)]),
        ("  0-0\t1-1 \r", [(0, 0, True), (1, 1, True)]),
    ],
)
def test_pharaoh(tmp_path: Path, line: str, links: list[tuple[int, int, bool]]) -> None:
    assert read(tmp_path, f"\n{line}\n") == [[], links]


def test_pharaoh_that_counts_from_one(tmp_path: Path) -> None:
    assert read(tmp_path, "1-1 2?3\n\n", first=1) == [[(0, 0, True), (1, 2, False)], []]
    told: list[str] = []
    (tmp_path / "gold").write_text("1-1\n2-1\n")
    read_links(tmp_path / "gold", 2, report=told.append)
    assert "give --links-from 1" in told[1]
    (tmp_path / "gold").write_text("0-1\n2-1\n")
    told.clear()
    read_links(tmp_path / "gold", 2, report=told.append)
    assert told == [
        f"{tmp_path / 'gold'}: read as Pharaoh, words from 0: 2 sure and 0 possible links of 2 of 2 pairs"
    ]


def test_naacl(tmp_path: Path) -> None:
    text = "0001 1 1\n1 2 1 P\n\n0002 3 2 S 0.5\n2 1 2 0.25\n"
    assert read(tmp_path, text) == [[(0, 0, True), (1, 0, False)], [(2, 1, True), (0, 1, True)]]
    assert read(tmp_path, "1 0 0 P\n", first=0) == [[(0, 0, False)], []]


@pytest.mark.parametrize(
    ("text", "first", "message", "hint"),
    [
        ("0-0\n", None, "gold: 1 line of links for 2 pairs", "empty where there are none"),
        ("0-0\n\n\n", None, "gold: 3 lines of links for 2 pairs", "empty where there are none"),
        ("0-0\n1:2\n", None, "gold:2: '1:2' is no link", "0-0 1-2 3?5"),
        ("0-0\n1?2S\n", None, r"gold:2: '1\?2S' is no link", "0-0 1-2 3?5"),
        ("0-0\n-1-2\n", None, "gold:2: '-1-2' is no link", "0-0 1-2 3?5"),
        ("1-1\n1-0\n", 1, r"gold:2: a link of word 0 \(1 and 0\), and words count from 1", "--links-from 0"),
        ("1 1 1\n2 0 3\n", None, r"gold:2: a link of word 0 \(0 and 3\)", "NULL"),
        ("1 1 1\n3 1 1\n", None, "gold:2: a link of pair 3, and there are 2", "first pair of the data is 1"),
        ("0 1 1\n", None, "gold:1: a link of pair 0", "first pair of the data is 1"),
        ("1 1 1\n1-1\n", None, "gold:2: '1-1' is no link", "SENTENCE SOURCE TARGET"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, text: str, first: int | None, message: str, hint: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, text, first=first)
    assert hint in caught.value.hint


def test_what_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "gold").write_bytes(b"0-0\n\xff\n")
    with pytest.raises(DataError, match="gold:2: not UTF-8"):
        read_links(tmp_path / "gold", 2)


def test_a_pair_has_its_sure_and_its_possible_links(tmp_path: Path) -> None:
    (tmp_path / "gold").write_text("2-1 0-0 0?0 1?1\n")
    (tmp_path / "more").write_text("0-0 0-1\n")
    (links,), (more,) = (read_links(tmp_path / name, 1) for name in ("gold", "more"))
    pair = linked(PAIR, links, (3, 2))
    assert (pair.links, pair.possible) == (((0, 0), (2, 1)), ((1, 1),))
    pair = linked(PAIR, links, (3, 2), more)
    assert (pair.links, pair.possible) == (((0, 0), (2, 1)), ((0, 1), (1, 1)))
    turned = [link.turned for link in links]
    assert linked(PAIR, turned, (2, 3)).links == ((0, 0), (1, 2))


@pytest.mark.parametrize(
    ("text", "first", "message"),
    [
        ("3-0", None, "gold:1: a link of word 3 of the source, which has words 0 to 2: 'a b c'"),
        ("0-0 1-2", None, "gold:1: a link of word 2 of the target, which has words 0 to 1: 'x y'"),
        ("4-1", 1, "gold:1: a link of word 4 of the source, which has words 1 to 3: 'a b c'"),
        ("1 1 1\n1 3 3", None, "gold:2: a link of word 3 of the target, which has words 1 to 2: 'x y'"),
    ],
)
def test_words_that_are_not_there_are_named(
    tmp_path: Path, text: str, first: int | None, message: str
) -> None:
    (tmp_path / "gold").write_text(f"{text}\n")
    (links,) = read_links(tmp_path / "gold", 1, first)
    with pytest.raises(DataError, match=message) as caught:
        linked(PAIR, links, (3, 2))
    assert "--links-swapped" in caught.value.hint


def test_numbers_of_thousands_of_digits_are_no_links(tmp_path: Path) -> None:
    for text in (f"0-{'9' * 5000}\n", f"0-0\n1 1 {'9' * 5000}\n"):
        (tmp_path / "links").write_text(text)
        with pytest.raises(DataError, match=r"links:\d: .{1,70} is no link"):
            read_links(tmp_path / "links", text.count("\n"))
