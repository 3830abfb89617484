"""IDX files, in which MNIST and its kin are published: arrays of bytes behind a short header.

    byte 0, 1    0
    byte 2       kind of number; 8 is uint8, the only one read here
    byte 3       how many dimensions
    4 bytes each their sizes, the most significant byte first
    the rest     the numbers, the last dimension first

A file may be compressed with gzip, whatever its name says. The header is not trusted: the file has to hold as
many bytes as it promises, no fewer and no more.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hardpp.errors import DataError

_UINT8 = 8
_KINDS = {9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}
_GZIP = b"\x1f\x8b"


def read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read the array in a file.

    Args:
        path: Of the file, compressed or not.
        dimensions: How many the array has to have.

    Raises:
        DataError: The file is missing, truncated, not IDX, or holds something else; the message names it.
    """
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP):
            content = gzip.decompress(content)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: truncated or damaged gzip ({error})") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in (_UINT8, *_KINDS):
        raise DataError(f"{path}: not an IDX file")
    if content[2] != _UINT8:
        raise DataError(f"{path}: holds numbers of kind {_KINDS[content[2]]}, and uint8 are wanted")
    if content[3] != dimensions:
        raise DataError(f"{path}: an array of {dimensions} dimensions is wanted, and it has {content[3]}")
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"{path}: truncated in the header, after {len(content)} bytes")
    sizes = struct.unpack(f">{dimensions}I", content[4:start])
    promised, actual = math.prod(sizes), len(content) - start
    if actual != promised:
        fault = "truncated" if actual < promised else "too long"
        shape = " x ".join(str(size) for size in sizes)
        raise DataError(f"{path}: {fault}, {shape} bytes are promised and {actual} are there")
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes)
