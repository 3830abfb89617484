"""Train, dev and test out of texts that come in one piece."""

from pathlib import Path

from hardpp.data.parts import PARTS, bucket
from hardpp.data.transduction.pairs import TextPair
from hardpp.errors import DataError


def by_checksum(texts: list[TextPair], path: Path, own_split: str) -> dict[str, list[TextPair]]:
    """Parts by `bucket` of the source, each in the order of `texts`.

    Args:
        texts: The lines.
        path: Where they come from, for the message.
        own_split: How the parts can be chosen instead, for the hint.

    Raises:
        DataError: A part is empty.
    """
    parts: dict[str, list[TextPair]] = {name: [] for name in PARTS}
    for line in texts:
        # Doubled blanks must not put one source into two parts.
        single = " ".join(token for token in line.source.split(" ") if token)
        parts[{0: "test", 1: "dev"}.get(bucket(single), "train")].append(line)
    empty = [name for name in PARTS if not parts[name]]
    if empty:
        raise DataError(
            f"{path}: the {' and '.join(empty)} {'part is' if len(empty) == 1 else 'parts are'} empty after "
            f"splitting {len(texts)} {'line' if len(texts) == 1 else 'lines'} by checksum of the source",
            own_split,
        )
    return parts
