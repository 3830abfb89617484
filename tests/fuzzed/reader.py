"""A reader of files and a valid file for it, of which damaged copies are read.

Whatever stands in a file, a reader gives a value, or refuses it by an error of ours whose message is one
sentence that names the file. It ends, needs little memory, runs nothing and writes nothing.
"""

import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fuzzed.mutations import mutated

from hardpp.errors import HardppError

SECONDS = 5.0  # the longest that reading may take, of the processor, as machines are busy
LONGEST = 1000  # characters of a message: a path, and a sentence


class Reader(NamedTuple):
    """What is read, and how."""

    write: Callable[[Path], Sequence[Path]]  # lays out a valid case in a folder; the files to be damaged
    read: Callable[[Path], Any]  # reads the folder, as commands do
    codes: tuple[int, ...] = (2, 3)  # with which a command may end: 2 where data of another kind are wanted
    seal: Callable[[Path], None] = lambda folder: None  # makes sums right again in the folder
    extra: str = ""  # a package that it takes
    named: bool = True  # does a message name the file?


class Outcome(NamedTuple):
    """What came of one damaged copy."""

    kind: str  # "read", "refused" or "fault"
    told: str  # the message, or what is wrong
    number: int
    seconds: float


class Case:
    """A reader with its valid files in a folder, which must be readable."""

    def __init__(self, reader: Reader, folder: Path):
        self.reader, self.folder, self.cache = reader, folder / "files", folder / "cache"
        self.folder.mkdir()
        self.files = {path: path.read_bytes() for path in reader.write(self.folder)}
        reader.seal(self.folder)
        with self._own_cache():
            reader.read(self.folder)

    def outcome(self, number: int) -> Outcome:
        """Reads the copy with the damage of a number; the files are as they were afterwards."""
        path = list(self.files)[number % len(self.files)]
        path.write_bytes(mutated(self.files[path], number))
        self.reader.seal(self.folder)
        began = time.process_time()
        with self._own_cache(), _deeds(self.cache) as deeds:
            kind, told = self._read(path)
        seconds = time.process_time() - began
        path.write_bytes(self.files[path])
        if seconds > SECONDS:
            kind, told = "fault", f"took {seconds:.1f} s"
        if deeds:
            kind, told = "fault", f"did {deeds[0]}"
        return Outcome(kind, told, number, seconds)

    # Features of sounds are kept there, and nothing else is written.
    @contextmanager
    def _own_cache(self) -> Iterator[None]:
        before = os.environ.get("HARDPP_DATA")
        os.environ["HARDPP_DATA"] = str(self.cache)
        try:
            yield
        finally:
            os.environ.pop("HARDPP_DATA") if before is None else os.environ.update(HARDPP_DATA=before)

    def _read(self, path: Path) -> tuple[str, str]:
        try:
            self.reader.read(self.folder)
        except KeyboardInterrupt:
            raise
        except HardppError as error:
            fault = self._fault(error, path)
            return ("fault", f"{fault}: {error}") if fault else ("refused", str(error))
        except BaseException as error:  # a panic of Rust is no Exception
            place = traceback.extract_tb(error.__traceback__)
            ours = [frame for frame in place if "hardpp" in frame.filename and "fuzzed" not in frame.filename]
            where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
            return "fault", f"{type(error).__name__} at {where}: {str(error)[:200]}"
        return "read", ""

    # What is wrong with a refusal, if anything is.
    def _fault(self, error: HardppError, path: Path) -> str:
        if error.exit_code not in self.reader.codes:
            return f"exit code {error.exit_code}"
        for text in (str(error), error.hint):
            if "\n" in text or "Traceback" in text:
                return "several lines"
            if len(text) > LONGEST:
                return f"{len(text)} characters"
        if not str(error).strip():
            return "no message"
        return "" if re.search(r"(^|[\s'])/[^\s]", str(error)) or not self.reader.named else "names no file"


_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_RUNNING = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "pickle.find_class",
    "socket.connect",
)
_CHANGING = (
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.symlink",
    "os.link",
    "os.truncate",
    "os.chmod",
)
_watched: list[tuple[str, list[str]]] = []  # what may be written, and where deeds are put down
_hooked: list[bool] = []


# What is written elsewhere, or run, while the block runs.
@contextmanager
def _deeds(cache: Path) -> Iterator[list[str]]:
    if not _hooked:  # hooks stay for good
        sys.addaudithook(_put_down)
        _hooked.append(True)
    deeds: list[str] = []
    _watched.append((str(cache), deeds))
    try:
        yield deeds
    finally:
        _watched.pop()


def _put_down(event: str, given: tuple[Any, ...]) -> None:
    if not _watched:
        return
    allowed, deeds = _watched[-1]
    writes = event in _CHANGING or (event == "open" and isinstance(given[2], int) and given[2] & _WRITING)
    elsewhere = (
        not str(given[0]).startswith(allowed) and "__pycache__" not in str(given[0]) if given else True
    )
    if (writes and elsewhere) or event in _RUNNING:
        deeds.append(f"{event} {given[0]!r}"[:200])
