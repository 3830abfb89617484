"""`hardpp evaluate`: figures of a trained run."""

from collections.abc import Callable
from typing import Any

import click

from hardpp.verbs.exit_codes import report
from hardpp.verbs.family_options import DecodingCommand
from hardpp.verbs.options import run_options, style_option, unknown_option
from hardpp.verbs.tables import figures_table


@click.command(cls=DecodingCommand, declared="figures")
@run_options
@unknown_option
@style_option("table", "json", "csv")
def evaluate(run: Any, select: Callable[[], Any], unknown: str, style: str, **decoding: Any) -> None:
    """Measure what the run decodes, how likely it finds the data, and how far its guide is from exact."""
    from dataclasses import replace

    from hardpp.runs.progress_bar import ItemProgress
    from hardpp.tasks.item_lists import count

    run.decoding(decoding)  # refused before the data are read
    items = select()
    run.check_symbols(items, unknown=unknown, report=report)
    with ItemProgress(count(items), "items") as progress:
        figures = replace(run, watch=progress.add).evaluate(items, **decoding)
    click.echo(figures_table(figures, style))
