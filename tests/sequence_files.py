"""Files of glimpse sequences of images made up here."""

from collections.abc import Mapping
from pathlib import Path

from hardpp.data.images.glimpse_sequence_files import open_to_continue
from hardpp.data.images.glimpse_sequence_header import Corner, SequenceHeader
from hardpp.data.images.labelled import ImagePart
from hardpp.data.images.recorded_glimpses import still

PATCH, CELLS = 4, 5


def header_of(part: ImagePart, glimpses: int = 3) -> SequenceHeader:
    """Patches of 4 pixels, at 5 places a side from border to border."""
    size = part.size[-1]
    return SequenceHeader(
        size=size,
        patch=PATCH,
        cells=CELLS,
        last=size - PATCH,
        glimpses=glimpses,
        fewest=glimpses,
        data="blots",
        part="train",
        fingerprint=still(part).fingerprint(),
        configuration="ab12",
    )


def corners(header: SequenceHeader, image: int) -> list[Corner]:
    """A sequence of an image: other ones have others, and no place comes twice."""
    starts = header.starts
    cells = [(7 * image + 3 * g) % CELLS**2 for g in range(header.glimpses)]
    return [(starts[cell // CELLS], starts[cell % CELLS]) for cell in cells]


def write_sequences(path: Path, part: ImagePart, images: Mapping[str, int], glimpses: int = 3) -> Path:
    """A file of sequences of these images, by name -> index."""
    header = header_of(part, glimpses)
    with open_to_continue(path, header) as writer:
        for name, image in images.items():
            writer.add(name, corners(header, image))
    return path
