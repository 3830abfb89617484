"""The lines of a text file one by one, for files that are too large to be held in memory.

They are those of `hardpp.data.lines.read_lines`. Of what cannot be read so, UTF-16 and lines that end at
`\\r` alone, it is said beforehand.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hardpp.data.binary_files import refuse_binary
from hardpp.data.lines import BOM, BOMS_UTF16
from hardpp.data.packed import GZIP, check_unpacked, most_unpacked
from hardpp.errors import DataError

_HEAD = 2**16  # bytes that are looked at
_LONGEST = 2**26  # bytes of a line
_AT_ONCE = 2**18  # bytes


def can_be_streamed(path: Path) -> bool:
    """Is it an ordinary file whose lines end at `\\n`, in UTF-8 as far as is seen?"""
    if not path.is_file():
        return False
    with _opened(path) as file:
        head = file.read(_HEAD)
    return b"\n" in head and not head.startswith(BOMS_UTF16)


def stream_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, without their ends.

    Raises:
        DataError: it cannot be read, is no text, or unpacks to more than can be meant.
    """
    with _opened(path) as file:
        size, on_disk = 0, path.stat().st_size
        most = most_unpacked(on_disk)
        while block := file.read(_AT_ONCE):
            if not block.endswith(b"\n"):
                rest = file.readline(_LONGEST)
                if len(rest) == _LONGEST:
                    raise DataError(f"{path}: a line of {_LONGEST:,} bytes", "is it text, a pair a line?")
                block += rest
            if not size:
                refuse_binary(block, str(path))
                block = block.removeprefix(BOM)
            size += len(block)
            if size > most:
                check_unpacked(path, size, on_disk)
            lines = block.removesuffix(b"\n").split(b"\n")
            yield from [line.removesuffix(b"\r") for line in lines] if b"\r" in block else lines


def text_size(paths: Sequence[Path]) -> int:
    """About how many bytes of text files hold: of packed ones three times their size."""
    return sum(path.stat().st_size * (3 if _is_packed(path) else 1) for path in paths)


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with gzip.open(path) if _is_packed(path) else path.open("rb") as file:
            yield file  # type: ignore[misc]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: cannot be unpacked: truncated or damaged gzip ({error})") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
