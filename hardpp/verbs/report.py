"""`hardpp report`: a page about a run, for people to read."""

from pathlib import Path
from typing import Any

import click

from hardpp.verbs import exit_codes
from hardpp.verbs.options import PATH, choice_option


@click.command()
@click.argument("run", type=PATH)
@click.option("--out", type=PATH, help="HTML file [RUN/report.html].")
@click.option(
    "--count", type=click.IntRange(1), default=4, show_default=True, help="How many items of a kind."
)
@click.option("--data", help="Other data than its own: a name, file or folder.")
@click.option("--part", type=click.Choice(["train", "dev", "test", "all"]), help="Part of the data [test].")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many.")
@choice_option("--device", words=["auto", "cpu", "cuda"], help="Where to compute.")
@click.option("--trust", is_flag=True, help="Import the classes that the run's config.toml names.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def report(run: Path, **options: Any) -> None:
    """Write a page about a run: one HTML file that needs no other, and loads nothing.

    It has the figures and what they mean, the curves of training, pictures of the items that the run is least
    certain of and of those that it has most wrong, settings, data, versions and commands. Open it in any
    browser, print it, or send it to someone. A run that is not complete has a page, too.

    \b
    hardpp report runs/alignment-variational-elbo-0
    hardpp report RUN --part dev --count 8 --out dev.html
    """
    from hardpp.runs.report import write_report

    click.echo(write_report(run, report=exit_codes.report, **options))
