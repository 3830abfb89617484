"""How the command line ends: an error becomes one sentence, a hint and an exit code."""

import errno
import io
import sys
import traceback
from typing import Any

import click

from hardpp.errors import HardppError, Interrupted, ResourceError, out_of_memory

_CLOSED = (errno.EPIPE, errno.ESHUTDOWN)  # the reader of our output went away: click ends in silence


class OrderedGroup(click.Group):
    """Lists commands in the order in which one needs them, and ends every failure in its exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands as they were added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command; what the user can mend is one sentence, with a traceback only under --debug."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # Tokens and paths may hold what a terminal or pipe in another encoding cannot show.
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except (HardppError, OSError, MemoryError, RuntimeError, KeyboardInterrupt) as error:
            failure = mendable(error)
            if failure is None:
                raise
            if ctx.params.get("debug"):
                traceback.print_exc()
            report(f"hardpp: {failure}")
            if failure.hint:
                report(f"  hint: {failure.hint}")
            ctx.exit(failure.exit_code)


def mendable(error: BaseException) -> HardppError | None:
    """An error as one of ours; None if it is a fault of the program, whose traceback should be seen."""
    if isinstance(error, HardppError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(2)
    if isinstance(error, OSError):
        what = error.strerror or str(error) or type(error).__name__
        place = f"{error.filename}: " if error.filename else ""
        return None if error.errno in _CLOSED else ResourceError(f"{place}{what}")
    if out_of_memory(error):
        what = (str(error) or "MemoryError").splitlines()[0]
        return ResourceError(
            f"out of memory ({what})", "try a smaller training.batch_size, fewer --particles, or --limit"
        )
    return None


def report(text: str) -> None:
    """A message for people, on standard error."""
    click.echo(text, err=True)
