"""Files of glimpse sequences, as they are kept."""

from pathlib import Path

from hardpp.data.images.glimpse_sequence_header import SequenceHeader

HEADER = SequenceHeader(
    size=12,
    patch=4,
    cells=3,
    last=8,
    glimpses=2,
    fewest=2,
    data="blots, drawn",
    part="train",
    fingerprint="0123abcd",
    configuration="9f",
)


def write_lines(path: Path, *lines: str, header: SequenceHeader = HEADER) -> Path:
    """A file of a header and lines."""
    path.write_text("".join(f"{line}\n" for line in [*header.lines, *lines]), encoding="utf-8")
    return path
