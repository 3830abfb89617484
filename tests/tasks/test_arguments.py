from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from hardpp.errors import UsageError
from hardpp.tasks.arguments import are_texts, check_items, check_number, check_word, data_name, named_items


class Item(NamedTuple):
    text: str


def test_words() -> None:
    check_word("part", None, (None, "a", "b"))
    for word in ("c", 3, []):
        with pytest.raises(UsageError, match="part is one of a, b, not "):
            check_word("part", word, (None, "a", "b"))


@pytest.mark.parametrize("number", [0, 4, 1.0, "1", None, True, []])
def test_what_is_no_number_in_the_range(number: Any) -> None:
    with pytest.raises(UsageError, match="limit is a whole number from 1 to 3, not "):
        check_number("limit", number, 1, 3)


def test_numbers() -> None:
    for number in (1, 3, np.int64(2)):
        check_number("limit", number, 1, 3)
    check_number("limit", None, 1, optional=True)
    with pytest.raises(UsageError, match="limit is a whole number from 1, not 9223372036854775808"):
        check_number("limit", 2**63, 1)


def test_names_of_data() -> None:
    assert [data_name(data) for data in (None, "a", Path("b"))] == [None, "a", "b"]
    for data in ("", 3, b"a"):
        with pytest.raises(UsageError, match="data is a name, file or folder"):
            data_name(data)


def test_texts() -> None:
    assert are_texts(["a"])
    assert are_texts(("a", ""))
    for items in ("ab", [], ["a", 1], None, 3, [Item("a")]):
        assert not are_texts(items)


def test_items() -> None:
    for items in ([], [Item("a")], (Item("a"),)):
        check_items(items, list, Item)
    check_items(Item("a"), Item, object)
    for items, selection in (
        ("ab", list),
        ([1], list),
        (Item("a"), list),
        (3, list),
        (None, list),
        ([], Item),
    ):
        with pytest.raises(UsageError, match=r"items are what select\(\) gives, not "):
            check_items(items, selection, Item)


def test_items_by_name() -> None:
    assert named_items(["baxo", "kaxo"], ["kaxo", "kaxo"], "pairs") == [1]
    with pytest.raises(UsageError, match=r"^'bax' is not among these 2 pairs; did you mean 'baxo'\?$"):
        named_items(["baxo", "zzzz"], ["bax"], "pairs")
