"""Unpacking what gzip has packed, as long as that is no more than such a file can be meant to hold.

A few megabytes may unpack to more than memory holds. Texts and images become up to a dozen times as large,
lists that say the same again and again a few dozen times.
"""

import gzip
import io
import zlib
from pathlib import Path

from hardpp.errors import DataError

GZIP = b"\x1f\x8b"

_LARGE = 2**26  # bytes that anything may unpack to
_RATIO = 64  # how many times as large as it was all else may become
_CHUNK = 2**24  # bytes


def unpacked(content: bytes, path: Path) -> bytes:
    """What gzip has packed, as it was; anything else as it is.

    Args:
        content: Of the file.
        path: The file, for messages.

    Raises:
        DataError: It is damaged, or unpacks to more than it may.
    """
    if not content.startswith(GZIP):
        return content
    chunks, total = [], 0
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            while chunk := stream.read(_CHUNK):
                chunks.append(chunk)
                total += len(chunk)
                check_unpacked(path, total, len(content))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be unpacked: truncated or damaged gzip ({error})") from error
    return b"".join(chunks)


def most_unpacked(size: int) -> int:
    """The most bytes that a file of `size` bytes may unpack to."""
    return max(_LARGE, _RATIO * size)


def check_unpacked(path: Path, plain: int, size: int) -> None:
    """Refuse a file of `size` bytes that unpacks to `plain` bytes, or to more, if that is far too much."""
    if plain > most_unpacked(size):
        what = f"{path}: has {size:,} bytes, and unpacks to {plain:,} or more"
        raise DataError(what, "unpack it yourself, if that is what it should hold")
