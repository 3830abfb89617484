from collections import Counter
from itertools import chain

import pytest

from hardpp.data.images.shares import share_out
from hardpp.data.parts import bucket


def shared(items: list[str], *missing: str) -> dict[str, list[str]]:
    return share_out(items, missing, lambda item: item, lambda item: item[0])


def test_the_split_by_checksum_stays_where_every_class_is_in_every_part() -> None:
    items = [f"{name}/{number}.png" for name in "abc" for number in range(200)]
    parts = shared(items, "dev", "test")
    assert parts["dev"] == [item for item in items if bucket(item) < 2]
    assert parts["test"] == [item for item in items if 2 <= bucket(item) < 4]
    assert sorted(chain(*parts.values())) == sorted(items)


@pytest.mark.parametrize("count", range(1, 60))
def test_every_part_gets_every_class_that_has_enough(count: int) -> None:
    items = [f"{name}/{number}.png" for name in "abcdefgh" for number in range(count)]
    parts = shared(items, "dev", "test")
    assert sorted(chain(*parts.values())) == sorted(items)
    for place, part in enumerate(("train", "dev", "test")):
        counts = Counter(item[0] for item in parts[part])
        if count != 2 or part == "train":  # of two images, one is for dev or test
            assert set(counts) == (set("abcdefgh") if count > place else set())
    assert parts["dev"] == sorted(parts["dev"], key=items.index)


def test_one_missing_part() -> None:
    items = [f"a/{number}" for number in range(40)] + ["b/1", "b/2"]
    parts = shared(items, "test")
    assert len([item for item in parts["test"] if item[0] == "b"]) == 1
    assert set(parts) == {"train", "test"}
