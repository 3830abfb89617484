"""`hardpp evaluate`: figures of a trained run."""

from collections.abc import Callable
from typing import Any

import click

from hardpp.verbs.exit_codes import report
from hardpp.verbs.family_options import DecodingCommand
from hardpp.verbs.gold_links import linked_options
from hardpp.verbs.options import style_option, unknown_option
from hardpp.verbs.tables import figures_table


@click.command(cls=DecodingCommand, declared="figures")
@linked_options
@unknown_option
@style_option("table", "json", "csv")
def evaluate(
    run: Any, select: Callable[..., Any], linked: bool, unknown: str, style: str, **decoding: Any
) -> None:
    """Measure what the run decodes, how likely it finds the data, and how far its guide is from exact.

    --links adds how right the run's links of words are: AER, precision, recall, and link_ece, the mean
    difference between how probable links are called and how many are right.
    """
    from dataclasses import replace

    from hardpp.runs.progress_bar import ItemProgress
    from hardpp.tasks.item_lists import count

    run.decoding(decoding)  # refused before the data are read
    items, told = select(), list[str]()
    run.check_symbols(items, unknown=unknown, report=report)
    with ItemProgress(count(items), "items") as progress:
        figures = replace(run, watch=progress.add, warn=told.append).evaluate(items, **decoding)
    if linked:
        figures |= run.link_figures(items)
    for sentence in told:  # once the bar is gone
        report(sentence)
    click.echo(figures_table(figures, style))
