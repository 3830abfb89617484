"""Arrays of numbers in NumPy's archives (.npz), of which no more is believed than what is there.

An archive is a ZIP file of arrays, each with a header that says what it is. Sizes are compared before memory
is taken, and pickled objects are refused, as reading them runs whatever code is in them.
"""

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from hardpp.data.packed import check_unpacked
from hardpp.errors import DataError

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_KINDS = "biuf"  # of numbers
# What zipfile and NumPy raise at files that are none of theirs, or damaged.
_FAULTS = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,  # of what is encrypted, or packed in a way that is not known
    OverflowError,
    MemoryError,  # Python's own reader, at nested headers
    SyntaxError,
    TypeError,
    RecursionError,
    tokenize.TokenError,
    zlib.error,
    zipfile.BadZipFile,
)


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Read the arrays of some names, those of them that an archive has.

    Raises:
        DataError: It is no such archive, or damaged, or unpacks to far more than it can be meant to hold.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            wanted = {name: members[name] for name in names if name in members}
            size, plain = path.stat().st_size, sum(info.file_size for info in wanted.values())
            check_unpacked(path, plain, size)
            arrays = {}
            for name, info in wanted.items():
                with archive.open(info) as member:
                    arrays[name] = _array(member, info.file_size)
            return arrays
    except _FAULTS as error:
        raise DataError(f"{path}: not an archive of plain numbers ({_said(error)})") from error


def _array(member: IO[bytes], size: int) -> NDArray[Any]:
    read_header = _HEADERS.get(npy.read_magic(member))
    if read_header is None:
        raise ValueError("an array in a version of the format that is not read")
    shape, by_columns, kind = read_header(member)
    if kind.kind not in _KINDS:
        raise ValueError(f"an array of {kind}")
    has = size - member.tell()
    if min(shape, default=0) < 0 or has != math.prod(shape) * kind.itemsize:
        raise ValueError(f"an array of shape {shape} has {has} bytes")
    content = member.read()
    if len(content) != has:
        raise ValueError("it is cut short")
    return np.frombuffer(content, kind).reshape(shape, order="F" if by_columns else "C")


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
