"""Options that several verbs have."""

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click

from hardpp.verbs.exit_codes import report

_DECODING = ("beam", "keep", "length_penalty", "threshold", "sample", "draws")


def style_option(*styles: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--format`; the first style is the default."""
    return click.option(
        "--format", "style", type=click.Choice(styles), default=styles[0], show_default=True, help="Style."
    )


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every verb that reads a run: which data, how many, on which device.

    The command is given the opened `run`, and `select`, which reads the data that was asked for.
    """

    @click.argument("run", type=click.Path(path_type=Path))
    @click.option("--data", help="Other data than the run's own: a name, file or folder.")
    @click.option(
        "--part",
        type=click.Choice(["train", "dev", "test", "all"]),
        help="Part of the data [test; all of a file, or pair of files, given by --data].",
    )
    @click.option("--limit", type=click.IntRange(1), help="Only the first so many.")
    @click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where to compute.",
    )
    @wraps(command)
    def wrapped(
        run: Path, data: str | None, part: str | None, limit: int | None, device: str, **options: Any
    ) -> Any:
        from hardpp.runs.folder import open_run

        opened = open_run(run, device, report)
        return command(
            run=opened, select=partial(opened.task.select, opened, data, part, limit, report), **options
        )

    return wrapped


def read_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same of a verb that always reads data: the command is given `items` instead of `select`."""

    @run_options
    @wraps(command)
    def wrapped(select: Callable[[], Any], **options: Any) -> Any:
        return command(items=select(), **options)

    return wrapped


def decoding_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How a run finds what it says; the command is given `decoding`, those options that were asked for."""

    @click.option("--beam", type=click.IntRange(1), help="Width of the beam; 1 is greedy [the run's].")
    @click.option("--keep", type=click.IntRange(1), help="Read out only the K best source positions (K-max).")
    @click.option("--length-penalty", type=click.FloatRange(0), help="GNMT length penalty [the run's].")
    @click.option(
        "--threshold",
        type=click.FloatRange(0, 1),
        help="Speech: emit once it is this probable that a token came.",
    )
    @click.option("--sample", is_flag=True, default=None, help="Speech: draw instead of searching.")
    @click.option(
        "--draws", type=click.IntRange(1), help="Glimpses: looks an image, whose answers are averaged."
    )
    @wraps(command)
    def wrapped(**options: Any) -> Any:
        given = {name: options.pop(name) for name in _DECODING}
        return command(
            decoding={name: value for name, value in given.items() if value is not None}, **options
        )

    return wrapped


def linking(run: Any, backward: Path | None) -> Any:
    """The run of `--both-ways`, opened; None if there is none.

    Raises:
        click.UsageError: one of the two runs has no links of words.
    """
    from hardpp.runs.folder import open_run

    other = None if backward is None else open_run(backward, str(run.device.type), report)
    for one in (run, other):
        if one is not None and not hasattr(one.task, "symmetrised"):
            raise click.UsageError(f"{one.path}: model {one.task.name} has no links of words")
    return other
