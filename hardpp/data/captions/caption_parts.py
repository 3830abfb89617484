"""Which pictures are for which part, of data that say so for some parts, or for none.

Without parts they are split by checksum of their names, a tenth for test and a tenth for dev, one at least
(`hardpp.data.images.shares`). Of two parts alone, those for validation are cut in two by checksum, half for
dev and half for test; a dev part that is missing beside a test part is a tenth of train.
"""

import zlib
from collections.abc import Mapping, Sequence

from hardpp.data.images.shares import share_out
from hardpp.data.lines import Report
from hardpp.data.parts import PARTS, split
from hardpp.data.undecoded import utf8


def by_checksum(names: Sequence[str], report: Report) -> dict[str, list[str]]:
    """Split pictures without parts."""
    report("keeping a tenth of the pictures for dev and a tenth for test")
    return _shares(names, "test", "dev")


def completed(parts: Mapping[str, Sequence[str]], report: Report) -> dict[str, list[str]]:
    """The three parts, of the names in those that there are, train among them."""
    found = {part: list(parts.get(part, ())) for part in PARTS}
    if set(parts) == {"train"}:
        return by_checksum(found["train"], report)
    if set(parts) == {"train", "dev"}:
        report("half of the pictures to validate on are kept for test")
        halves = split(found["dev"], lambda name: "dev" if zlib.crc32(utf8(name)) % 2 == 0 else "test")
        return {"train": found["train"], "dev": halves["dev"], "test": halves["test"]}
    if set(parts) == {"train", "test"}:
        report("keeping a tenth of the pictures for dev")
        return {**_shares(found["train"], "dev"), "test": found["test"]}
    return found


def _shares(names: Sequence[str], *missing: str) -> dict[str, list[str]]:
    return share_out(names, missing, lambda name: name, lambda name: "")
