"""Named pipes in place of files: they are read once, and not waited for if nobody writes to them."""

import os
import select
import stat
from pathlib import Path

from hardpp.errors import DataError

PATIENCE = 5  # seconds in which somebody must have opened a pipe to write to it


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, or of a pipe until its writers close it.

    Raises:
        DataError: nobody writes to the pipe.
        OSError: the file cannot be read.
    """
    if not stat.S_ISFIFO(path.stat().st_mode):
        return path.read_bytes()
    # To open it as files are opened would wait for a writer, and to open it twice would cut a writer off.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as pipe:
        first = b""
        if not select.select([handle], [], [], PATIENCE)[0]:
            try:
                first = os.read(handle, 1)
            except BlockingIOError:  # there is a writer, who takes time
                pass
            else:
                if not first:
                    hint = "write what it was to give to a file"
                    raise DataError(f"{path} is a pipe that nobody writes to", hint)
        os.set_blocking(handle, True)
        return first + pipe.read()
