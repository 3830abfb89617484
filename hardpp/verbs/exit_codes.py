"""How the command line ends: an error becomes one sentence, a hint and an exit code."""

import io
import os
import sys
import time
import traceback
import warnings
from typing import Any

import click

from hardpp.errors import Interrupted, ResourceError, mendable
from hardpp.runs.processes.process_rank import rank
from hardpp.verbs.interrupts import Stoppable
from hardpp.verbs.terminal import LegibleStream, legible

_ANYWHERE = ("--quiet", "--verbose", "--debug")  # options of the group, wherever they stand
_WARNINGS = ("warning: ", "left out: ")  # how messages begin that nothing silences


class OrderedGroup(click.Group):
    """Lists commands in the order in which one needs them, and ends every failure in its exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Takes `--quiet`, `--verbose` and `--debug` after a verb as before it."""
        end = args.index("--") if "--" in args else len(args)
        ours = [word for word in args[:end] if word in _ANYWHERE]
        return super().parse_args(
            ctx, [*ours, *(word for word in args[:end] if word not in ours), *args[end:]]
        )

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands as they were added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command; what the user can mend is one sentence, with a traceback only under --debug."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # Tokens and paths may hold what a terminal or pipe in another encoding cannot show.
                stream.reconfigure(errors="backslashreplace")
        ctx.color = True  # else click takes what looks like colours out of data on a pipe
        stdout: Any = sys.stdout
        if stdout is not None and stdout.isatty():  # None: it is closed
            sys.stdout = LegibleStream(stdout)
        formatted = warnings.formatwarning  # those of libraries may hold data
        warnings.formatwarning = lambda *what: legible(formatted(*what))
        began = time.monotonic()
        signals = Stoppable()
        try:
            with signals:
                _check_working_folder()
                result = super().invoke(ctx)
            report_detail(f"{ctx.invoked_subcommand}: {time.monotonic() - began:.1f} s")
            return result
        except (click.exceptions.Exit, SystemExit):
            raise
        except BaseException as error:
            failure = mendable(error)
            if failure is None and signals.number:
                failure = Interrupted(signals.number)
            if failure is None:
                raise
            if ctx.params.get("debug"):
                traceback.print_exc()
            if failure.everywhere and rank():
                ctx.exit(failure.exit_code)
            click.echo(f"hardpp: {legible(str(failure))}", err=True)
            if failure.hint:
                click.echo(f"  hint: {legible(failure.hint)}", err=True)
            ctx.exit(failure.exit_code)
        finally:
            sys.stdout, warnings.formatwarning = stdout, formatted


# Without one not even libraries can be loaded, and nobody knows what a relative path means.
def _check_working_folder() -> None:
    try:
        os.getcwd()
    except OSError as error:
        what = f"the working folder cannot be had ({error.strerror})"
        raise ResourceError(what, "it may have been removed: go to another one (cd)") from error


def report(text: str) -> None:
    """A message for people, on standard error; under `--quiet` only if it is a warning.

    Of several processes only the first has some.
    """
    if rank():
        return
    if not asked_for("quiet") or text.startswith(_WARNINGS):
        click.echo(legible(text), err=True)


def report_detail(text: str) -> None:
    """The same of what only `--verbose` shows."""
    if not rank() and asked_for("verbose"):
        click.echo(legible(text), err=True)


def warn(text: str) -> None:
    """A warning, which is always shown."""
    report(text if text.startswith(_WARNINGS) else f"warning: {text}")


def asked_for(option: str) -> bool:
    """Was a flag of the whole command line given, such as `quiet`?"""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.find_root().params.get(option))
