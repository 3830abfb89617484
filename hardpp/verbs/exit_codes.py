"""How the command line ends: an error becomes one sentence, a hint and an exit code."""

import io
import sys
import traceback
from typing import Any

import click

from hardpp.errors import HardppError, mendable


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


def report(text: str) -> None:
    """A message for people, on standard error."""
    click.echo(text, err=True)
