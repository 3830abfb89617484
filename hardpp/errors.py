"""What can go wrong through no fault of the program; each kind carries its exit code.

Every message is one sentence that names the file and line, or the site, plate, expected and
given shape; the optional hint says what to do about it.
"""

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

# What others call it, where neither initials nor spelling lead there.
_SYNONYMS = {
    **{"bsz": "batch_size", "l2": "weight_decay", "ema": "average", "early_stopping": "patience"},
    **{"grad_clip": "clip_norm", "gradient_clip": "clip_norm", "iterations": "max_steps", "gpu": "device"},
    **{"samples": "particles", "num_samples": "particles", "k": "particles"},
}
_LONGEST_WORD, _LONGEST = 600, 1000  # characters of a message; a path may be long
# What torch says when memory ran out, and what is said when a library finds no room for itself.
_TORCHS = ("DefaultCPUAllocator", "Storage size calculation overflowed")
_LOADERS = ("failed to map segment", "cannot allocate memory", "Cannot allocate memory")
_CLOSED = (errno.EPIPE, errno.ESHUTDOWN)  # the reader of our output went away: click ends in silence


class HardppError(Exception):
    """A failure the user can mend; shown as one sentence, without a traceback."""

    exit_code = 1
    everywhere = False  # do all processes that answer of a run raise it? Then the first tells

    def __init__(self, message: str, hint: str = ""):
        super().__init__(_readable(message))
        self.hint = _readable(hint)


class UsageError(HardppError):
    """An unknown name, an impossible pair, a bad configuration key or value."""

    exit_code = 2


class DataError(HardppError):
    """Data that cannot be read, fetched or verified; the message names file and line."""

    exit_code = 3


class CheckpointError(HardppError):
    """A checkpoint or run folder that is missing, truncated, altered or not ours."""

    exit_code = 4


class NumericalError(HardppError):
    """A bound or gradient that stopped being finite."""

    exit_code = 5


class ResourceError(HardppError):
    """Memory or disk space that ran out."""

    exit_code = 6


class Stopped(KeyboardInterrupt):
    """A signal that came, raised wherever the program was then; `number` is the signal's."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


class Interrupted(HardppError):
    """A signal that ended a command in order."""

    def __init__(self, number: int, hint: str = ""):
        super().__init__(f"stopped by signal {number}", hint)
        self.exit_code = 128 + number


# What was given may be long beyond all reading: of a word, and of the whole, the middle is left out.
def _readable(text: str) -> str:
    words = (_cut(word, _LONGEST_WORD) for word in text.split(" "))
    return _cut(" ".join(words), _LONGEST)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: 2 * most // 3]} ... {text[-most // 4 :]}"


def out_of_memory(error: BaseException) -> bool:
    """Is it a failure to get memory, of Python or of torch on any device?"""
    # By name, since torch need not be imported; its CPU allocator raises a plain RuntimeError.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    words = _TORCHS if isinstance(error, RuntimeError) else _LOADERS if isinstance(error, ImportError) else ()
    return any(each in str(error) for each in words)


def mendable(error: BaseException) -> HardppError | None:
    """An error as one of ours; None if it is a fault of the program, whose traceback should be seen."""
    if isinstance(error, HardppError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(error.number if isinstance(error, Stopped) else 2)
    if isinstance(error, OSError):
        what = error.strerror or str(error) or type(error).__name__
        place = f"{error.filename}: " if error.filename else ""
        return None if error.errno in _CLOSED else ResourceError(f"{place}{what}")
    if out_of_memory(error):
        return ResourceError(f"out of memory ({first_line(error)})", "free some, or give less to do")
    return None


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its kind where it has none."""
    return (str(error).splitlines() or [""])[0] or type(error).__name__


@contextmanager
def memory_advice(doing: str, hint: str) -> Iterator[None]:
    """Says what was being done when memory ran out in the block, and what would take less of it."""
    try:
        yield
    except (MemoryError, RuntimeError, ImportError) as error:
        if not out_of_memory(error):
            raise
        raise ResourceError(f"out of memory {doing} ({first_line(error)})", hint) from error


@contextmanager
def mended() -> Iterator[None]:
    """Raises as one of ours what the block raises and the user can mend."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        if (failure := mendable(error)) is None:
            raise
        raise failure from error


def closest(name: str, names: Iterable[str], likeness: float = 0.5) -> list[str]:
    """The one of the names that was probably meant, by initials, habit or spelling; or nothing.

    `likeness` is that of spelling, at least, from 0 to 1.
    """
    names = list(names)
    by_initials = [each for each in names if _initials(each) == name.lower()]
    habit = [each for each in names if each == _SYNONYMS.get(name.lower())]
    import difflib  # of all commands, only those that fail need it

    return [*by_initials, *habit, *difflib.get_close_matches(name, names, n=1, cutoff=likeness)][:1]


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the most similar of names, or nothing if none is."""
    return "".join(f"; did you mean {close!r}?" for close in closest(name, names))


def unknown(kind: str, name: str, names: Iterable[str]) -> str:
    """The sentence that there is no such thing, with the nearest name, or all names if none is near."""
    others = f" (there are: {', '.join(names)})"
    return f"there is no {kind} {name!r}{nearest(name, names) or others}"


# Of names of several words: lr of learning_rate.
def _initials(name: str) -> str:
    words = name.replace("-", "_").split("_")
    return "".join(word[:1] for word in words) if len(words) > 1 else ""
