"""`hardpp runs`: the runs that there are."""

from pathlib import Path

import click

from hardpp.verbs.options import PATH, style_option
from hardpp.verbs.tables import table


@click.command()
@click.argument("folder", type=PATH, default=Path("runs"), required=False)
@style_option("table", "json", "csv")
def runs(folder: Path, style: str) -> None:
    """List the runs in FOLDER [runs] and in its folders, with what each came to.

    \b
    step, bound   of the weights that are kept: the step, and the best dev bound (nats)
    figure        the first that `hardpp evaluate` gives, and its value on the test part
    evaluation    full: of the whole test part; quick: of its first 200 items
    state         complete, not complete (the command that began it goes on with it), or damaged

    Nothing that a run names is imported. To compare runs item by item: `hardpp compare runs RUN RUN`.
    """
    from hardpp.runs.listing import list_runs
    from hardpp.verbs.exit_codes import report

    rows = list_runs(folder)
    if not rows:
        report(f"{folder}: no runs")
    click.echo(table(rows, style))
