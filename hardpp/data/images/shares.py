"""Shares of pictures to train on, kept for parts that a folder lacks: a tenth of them, of every class.

Which they are is decided by the checksum of each picture's path, the same on every machine and whatever
other pictures there are. Where that leaves a part without a class, the first tenth of the class by checksum
follows, one picture at least; a class keeps one to train on before any is given away.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from hardpp.data.parts import bucket, by_crc32

TENTH = 2  # of the 20 buckets

T = TypeVar("T")


def share_out(
    items: Sequence[T], missing: Sequence[str], name_of: Callable[[T], str], class_of: Callable[[T], str]
) -> dict[str, list[T]]:
    """Keep a tenth of the items for each missing part; the rest is `train`. Each part is in their order.

    Args:
        items: All that may be trained on.
        missing: Parts, other than train.
        name_of: The text whose checksum decides.
        class_of: The class of an item.
    """
    parts = [
        missing[number // TENTH] if (number := bucket(name_of(item))) < len(missing) * TENTH else "train"
        for item in items
    ]
    of_class: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        of_class.setdefault(class_of(item), []).append(place)
    for places in of_class.values():
        places.sort(key=lambda place: by_crc32(name_of(items[place])))
        for part in ("train", *missing):
            if any(parts[place] == part for place in places):
                continue
            for place in _spare(places, parts, part):
                parts[place] = part
    return {
        wanted: [item for item, part in zip(items, parts, strict=True) if part == wanted]
        for wanted in ("train", *missing)
    }


# Places that a part without any of a class is given: of train, or of another part that has two.
def _spare(places: Sequence[int], parts: Sequence[str], part: str) -> list[int]:
    if part == "train":
        return list(places[:1])
    for other in dict.fromkeys(("train", *(parts[place] for place in places))):
        if spare := [place for place in places if parts[place] == other][:-1]:  # one stays
            return spare[: max(1, len(places) // 10)]
    return []
