"""What can go wrong through no fault of the program; each kind carries its exit code.

Every message is one sentence that names the file and line, or the site, plate, expected and
given shape; the optional hint says what to do about it.
"""


class HardppError(Exception):
    """A failure the user can mend; shown as one sentence, without a traceback."""

    exit_code = 1

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.hint = hint


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


class Interrupted(HardppError):
    """A signal that ended a command in order."""

    def __init__(self, number: int, hint: str = ""):
        super().__init__(f"stopped by signal {number}", hint)
        self.exit_code = 128 + number


def out_of_memory(error: BaseException) -> bool:
    """Is it a failure to get memory, of Python or of torch on any device?"""
    # By name, since torch need not be imported; its CPU allocator raises a plain RuntimeError.
    torchs = ("DefaultCPUAllocator", "Storage size calculation overflowed")
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in torchs)
