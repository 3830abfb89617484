"""Global heaps of an HDF5 file: damaged ones are found here, as the library would walk through them for ever.

A heap holds texts of any length, such as attributes. It begins with `GCOL`, the version 1, three zeros and
its size; then objects follow one after the other, each with its number (2 bytes), a count (2), zeros (4) and
its size (8), and as many bytes, padded to a multiple of 8. Number 0 is what is free, and its size is that of
all of it. Where that size is 0, libhdf5 stays at the place, and cannot be interrupted.

Source: HDF5 File Format Specification 3.0, III.E "Disk Format: Level 1E - Global Heap".
"""

from mmap import ACCESS_READ, mmap
from pathlib import Path

_BEGIN = b"GCOL\x01\x00\x00\x00"
_HEAD, _OBJECT, _PAD = 16, 16, 8  # bytes


def damaged_heap(path: Path) -> int | None:
    """The place (byte, from 0) of the first object of a file's heaps without an end; None if all have one."""
    if not path.stat().st_size:
        return None
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        at = data.find(_BEGIN)
        while at >= 0:
            size = int.from_bytes(data[at + 8 : at + _HEAD], "little")
            if at + size <= len(data) and (place := _without_end(data[at : at + size])) is not None:
                return at + place
            at = data.find(_BEGIN, at + 1)
    return None


def _without_end(heap: bytes) -> int | None:
    at = _HEAD
    while at + _OBJECT <= len(heap):
        number = int.from_bytes(heap[at : at + 2], "little")
        size = int.from_bytes(heap[at + 8 : at + _OBJECT], "little")
        if number == 0 and size < _OBJECT:
            return at
        at += size if number == 0 else _OBJECT + -(-size // _PAD) * _PAD
    return None
