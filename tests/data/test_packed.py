import gzip
from pathlib import Path

import pytest

from hardpp.data import packed
from hardpp.data.packed import unpacked
from hardpp.errors import DataError

PATH = Path("words.tsv.gz")


def test_what_is_not_packed_stays() -> None:
    assert unpacked(b"a\tb", PATH) == b"a\tb"


def test_what_is_packed_is_unpacked_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_CHUNK", 3)
    assert unpacked(gzip.compress(b"abc") + gzip.compress(b"defg"), PATH) == b"abcdefg"


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b[:12] + b"\xff" * 9, lambda b: b"\x1f\x8b no"]
)
def test_damage_is_told(damage: object) -> None:
    with pytest.raises(DataError, match=r"words\.tsv\.gz: cannot be unpacked: truncated or damaged gzip"):
        unpacked(damage(gzip.compress(b"a\tb\n" * 9)), PATH)  # type: ignore[operator]


def test_far_more_than_was_packed_is_refused_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_CHUNK", 2**20)
    content = gzip.compress(bytes(2**27))
    with pytest.raises(
        DataError, match=r"words\.tsv\.gz: has \d+,\d+ bytes, and unpacks to 68,157,440 or more"
    ):
        unpacked(content, PATH)
