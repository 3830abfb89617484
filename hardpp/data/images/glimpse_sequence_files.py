"""Files of glimpse sequences written image by image, so that designing them can stop anywhere and go on.

Whole lines are added at the end. What a killed process has left there, a line without its line break, is
dropped by the next one (`open_to_continue`). One process at a time writes to a file; the kernel frees its
lock when it dies. On Windows, and on file systems without such locks, nothing is locked.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from hardpp.data.atomic_files import check_writable, open_to_append, write_errors, write_file
from hardpp.data.images.glimpse_sequence_header import KEYS, Corner, SequenceHeader, check_name
from hardpp.data.images.glimpse_sequences import GlimpseSequences, parse
from hardpp.data.undecoded import utf8
from hardpp.errors import DataError, UsageError

if sys.platform != "win32":
    import fcntl


class SequenceWriter:
    """Adds sequences to a file.

    Args:
        path: The file, for messages.
        file: It, opened to append.
        header: What the file begins with.
        names: Of the images whose sequences it has.
    """

    def __init__(self, path: Path, file: TextIO, header: SequenceHeader, names: set[str]):
        self.path, self.header, self.names = path, header, names
        self._file = file

    def add(self, name: str, places: Sequence[Corner]) -> None:
        """Write the sequence of an image, as a whole line.

        Raises:
            DataError: the name or a place cannot be written, or the file has a sequence of that name.
            ResourceError: the disk is full.
        """
        if name in self.names:
            raise DataError(f"{self.path}: {name} has a sequence already")
        try:
            line = line_of(self.header, name, places)
        except ValueError as reason:
            raise DataError(f"{self.path}: the sequence of {name!r}: {reason}") from reason
        with write_errors(self.path):
            self._file.write(f"{line}\n")
            self._file.flush()
        self.names.add(name)


@contextmanager
def open_to_continue(path: Path, header: SequenceHeader) -> Iterator[SequenceWriter]:
    """Open a file of glimpse sequences to add some; a new one gets the header, and its folder if need be.

    A last line that was not written to its end is dropped.

    Raises:
        UsageError: the file has another header, or another process writes to it.
        DataError: it is something else, or has a wrong line.
        ResourceError: it cannot be written.
    """
    check_writable(path)
    with write_errors(path):
        file = open_to_append(path)
    with file:
        _lock(file, path)
        names = _continued(file, path, header)
        yield SequenceWriter(path, file, header, names)


def write(path: Path, sequences: GlimpseSequences, *, force: bool = False) -> None:
    """Write all sequences to a new file; `force` replaces one that exists."""
    header = sequences.header
    lines = [line_of(header, name, places) for name, places in sequences.places.items()]
    write_file(path, utf8("".join(f"{line}\n" for line in [*header.lines, *lines])), force=force)


def line_of(header: SequenceHeader, name: str, places: Sequence[Corner]) -> str:
    """The line of an image, without its line break; a ValueError says what cannot be written."""
    check_name(name)
    header.check_count(len(places))
    for corner in places:
        header.check_corner(corner)
    return f"{name}\t{' '.join(f'{row},{column}' for row, column in places)}"


def _lock(file: TextIO, path: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        what = f"{path}: another process adds sequences to it"
        raise UsageError(what, "wait for its end, or give another file") from error
    except OSError:  # a file system without locks
        pass


# The names of images that the file has; the file ends with a whole line afterwards.
def _continued(file: TextIO, path: Path, header: SequenceHeader) -> set[str]:
    beginning = "".join(f"{line}\n" for line in header.lines)
    content = path.read_bytes()
    with write_errors(path):
        if beginning.encode().startswith(content) and len(content) < len(beginning.encode()):
            os.ftruncate(file.fileno(), 0)  # new, or stopped in the header
            file.write(beginning)
            file.flush()
            return set()
    whole = content[: content.rfind(b"\n") + 1]
    found = parse(path, whole or content)
    if found.header != header:
        _refuse(path, whole, found.header, header)
    with write_errors(path):
        os.ftruncate(file.fileno(), len(whole))
    return set(found.places)


def _refuse(path: Path, content: bytes, got: SequenceHeader, wanted: SequenceHeader) -> None:
    key = next(key for key in KEYS if getattr(got, key) != getattr(wanted, key))
    before, _, _ = content.partition(f"# {key}: ".encode())
    number = before.count(b"\n") + 1
    raise UsageError(
        f"{path}:{number}: {key} is {getattr(got, key)}, and {getattr(wanted, key)} is wanted",
        "give another file, or the settings that this one was made with",
    )
