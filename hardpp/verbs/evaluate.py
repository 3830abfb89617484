"""`hardpp evaluate`: figures of a trained run."""

from collections.abc import Callable
from typing import Any

import click

from hardpp.verbs.exit_codes import report
from hardpp.verbs.family_options import DecodingCommand
from hardpp.verbs.options import run_options, style_option
from hardpp.verbs.tables import figures_table


@click.command(cls=DecodingCommand, declared="figures")
@run_options
@style_option("table", "json", "csv")
def evaluate(run: Any, select: Callable[[], Any], style: str, **decoding: Any) -> None:
    """Measure what the run decodes, how likely it finds the data, and how far its guide is from exact."""
    from dataclasses import replace

    from hardpp.runs.progress_bar import ItemProgress
    from hardpp.tasks.item_lists import count

    run.decoding(decoding)  # refused before the data are read
    items, told = select(), list[str]()
    with ItemProgress(count(items), "items") as progress:
        figures = replace(run, watch=progress.add, warn=told.append).evaluate(items, **decoding)
    for sentence in told:  # once the bar is gone
        report(sentence)
    click.echo(figures_table(figures, style))
