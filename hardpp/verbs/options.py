"""Options that several verbs have."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from hardpp.exits import report


def style_option(*styles: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--format`; the first style is the default."""
    return click.option(
        "--format", "style", type=click.Choice(styles), default=styles[0], show_default=True, help="Style."
    )


def read_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every verb that reads a run: which data, how many, on which device."""

    @click.argument("run", type=click.Path(path_type=Path))
    @click.option("--data", help="Other data than the run's own: a name, file or folder.")
    @click.option(
        "--part",
        type=click.Choice(["train", "dev", "test", "all"]),
        help="Part of the data [test; all of a file given by --data].",
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
        from hardpp.tasks.runs import open_run

        opened = open_run(run, device)
        return command(run=opened, items=opened.task.select(opened, data, part, limit, report), **options)

    return wrapped
