"""Split texts that come in one piece into train, dev and test."""

from pathlib import Path

from hardpp.data.parts import PARTS, part_of
from hardpp.data.transduction.pairs import Line
from hardpp.errors import DataError


def split_by_checksum(lines: list[Line], path: Path, own_split: str) -> dict[str, list[Line]]:
    """Split lines into parts by `bucket` of the source; each part is in the order of `lines`.

    Args:
        lines: What is split.
        path: Where they come from, for the message.
        own_split: How the parts can be chosen instead, for the hint.

    Raises:
        DataError: A part is empty.
    """
    parts: dict[str, list[Line]] = {name: [] for name in PARTS}
    for line in lines:
        # Doubled blanks must not put one source into two parts.
        single = " ".join(token for token in line.pair.source.split(" ") if token)
        parts[part_of(single)].append(line)
    empty = [name for name in PARTS if not parts[name]]
    if empty:
        raise DataError(
            f"{path}: the {' and '.join(empty)} {'part is' if len(empty) == 1 else 'parts are'} empty after "
            f"splitting {len(lines)} {'line' if len(lines) == 1 else 'lines'} by checksum of the source",
            own_split,
        )
    return parts
