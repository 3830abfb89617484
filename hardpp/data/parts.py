"""The parts of a corpus, and the frozen rule by which data without parts are split.

The same text falls into the same part on every machine and in every version.
"""

import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hardpp.data.undecoded import utf8
from hardpp.errors import DataError

PARTS = ("train", "dev", "test")
ALL = "all"  # of all that a folder without parts has, and of the parts together

_NAMED = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("dev", "devel", "development", "val", "valid", "validation", "validate"), "dev"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
_OF_BUCKET = {0: "test", 1: "dev"}
_ENDS = ("set", "data", "dataset", "images", "imgs", "pictures", "split", "part")

T = TypeVar("T")


def part_called(name: str) -> str | None:
    """The part that a name says, in any case: "Training_Set", "val2014", "TEST"; None if it says none."""
    words = re.findall("[a-z]+", name.lower())
    words = [word for word in words if word not in _ENDS] or words
    if len(words) != 1:
        return None
    (word,) = words
    stems = [word, *(word.removesuffix(end) for end in _ENDS if word.endswith(end))]
    return next((_NAMED[stem] for stem in stems if stem in _NAMED), None)


def bucket(text: str) -> int:
    """CRC-32 of the UTF-8 text modulo 20: 0 is test, 1 is dev, 2 to 19 are train."""
    return zlib.crc32(utf8(text)) % 20


def part_of(text: str) -> str:
    """The part of a text, by its `bucket`."""
    return _OF_BUCKET.get(bucket(text), "train")


def by_crc32(text: str) -> tuple[int, str]:
    """A key that sorts texts in a frozen order which has nothing to do with what they say."""
    return zlib.crc32(utf8(text)), text


def split(items: Iterable[T], part_of_item: Callable[[T], str]) -> dict[str, list[T]]:
    """Split items into the three parts; each part is in the order of the items."""
    parts: dict[str, list[T]] = {part: [] for part in PARTS}
    for item in items:
        parts[part_of_item(item)].append(item)
    return parts


def split_by_checksum(
    items: Sequence[T], text_of: Callable[[T], str], path: Path, noun: str, key: str, hint: str
) -> dict[str, list[T]]:
    """Split the items of one file by `part_of`, and refuse those that leave a part empty.

    Args:
        items: All of them.
        text_of: The text of an item that decides its part.
        path: Where they come from, for the message.
        noun: What one item is called, for the message.
        key: What `text_of` gives, for the message.
        hint: How the parts can be chosen instead.
    """
    parts = split(items, lambda item: part_of(text_of(item)))
    refuse_empty({part: len(parts[part]) for part in PARTS}, path, noun, key, hint)
    return parts


def refuse_empty(sizes: Mapping[str, int], path: Path, noun: str, key: str, hint: str) -> None:
    """Refuse parts of which one is empty, made as in `split_by_checksum`, by their sizes."""
    if empty := [part for part in PARTS if not sizes[part]]:
        parts_are = f"{' and '.join(empty)} {'part is' if len(empty) == 1 else 'parts are'}"
        total = sum(sizes.values())
        count = f"{total} {noun}{'' if total == 1 else 's'}"
        message = f"{path}: the {parts_are} empty after splitting {count} by checksum of the {key}"
        few = f"a twentieth goes to each of dev and test, so bring 100 {noun}s or more"
        raise DataError(message, f"{few}; or {hint}")


def items_of_part(corpus: Any, part: str | None, limit: int | None) -> list[Any]:
    """The first so many items of a part (the test part if none is named), or of all parts in a row."""
    items = [*corpus.train, *corpus.dev, *corpus.test] if part == "all" else getattr(corpus, part or "test")
    return list(items[:limit])
