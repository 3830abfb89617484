"""`--links`: links of words made by hand, which verbs hold a run's own against."""

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click

from hardpp.verbs.options import PATH, run_options


def linked_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `run_options`, and those of files of links.

    The command is given `select`, which reads pairs with their links, and `linked`: were any given?
    """

    @run_options
    @click.option(
        "--links",
        type=PATH,
        help="Links made by hand, SOURCE-TARGET of the run, of the lines of --data: Pharaoh "
        "(0-0 1-2 3?5, with ? or p for possible ones) or NAACL (sentence, source, target, S or P).",
    )
    @click.option("--possible-links", "possible", type=PATH, help="A file of its own of the possible ones.")
    @click.option(
        "--links-from",
        "first",
        type=click.Choice(["0", "1"]),
        help="What the first word is counted as [Pharaoh: 0; NAACL: 1].",
    )
    @click.option("--links-swapped", "swapped", is_flag=True, help="They are TARGET-SOURCE.")
    @wraps(command)
    def wrapped(
        run: Any,
        select: Callable[..., Any],
        links: Path | None,
        possible: Path | None,
        first: str | None,
        swapped: bool,
        **options: Any,
    ) -> Any:
        if links is None:
            if possible is not None or first is not None or swapped:
                raise click.UsageError("these say how --links is read: give --links")
            return command(run=run, select=select, linked=False, **options)
        from hardpp.tasks.alignment.gold_pairs import GoldFiles

        if not run.family.word_links:
            raise click.UsageError(f"{run.path}: model {run.family.name} has no links of words")
        gold = GoldFiles(links, possible, None if first is None else int(first), swapped)
        read = partial(select, partial(run.select_linked, gold=gold))
        return command(run=run, select=read, linked=True, **options)

    return wrapped
