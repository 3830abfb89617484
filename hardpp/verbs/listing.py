"""What there is: data sets, model families, guides, objectives, versions."""

import inspect

import click

from hardpp.exits import report
from hardpp.tables import table
from hardpp.verbs.options import style_option


@click.group()
def data() -> None:
    """List and fetch public data sets."""


@data.command("list")
@style_option("table", "json", "csv")
def data_list(style: str) -> None:
    """List the data sets, and which of them are in the cache."""
    from hardpp.data.sources import listing

    click.echo(table([dict(zip(row._fields, map(str, row), strict=True)) for row in listing()], style))


@data.command("fetch")
@click.argument("names", nargs=-1, required=True)
@click.option("--verify", is_flag=True, help="Check every SHA-256 again.")
def data_fetch(names: tuple[str, ...], verify: bool) -> None:
    """Fetch data sets into the cache ($HARDPP_DATA, or the user's cache folder) and verify them."""
    from hardpp.data.sources import fetch

    for name in names:
        click.echo(fetch(name, report, verify=verify))


@click.command()
def models() -> None:
    """List the model families."""
    from hardpp.tasks.catalogue import TASKS

    click.echo(table([{"model": name, "what": kind.summary} for name, kind in TASKS.items()], "table"))


@click.command()
@click.option("--model", default="alignment", show_default=True, help="Of which family.")
def guides(model: str) -> None:
    """List the guides of a model family."""
    from hardpp.tasks.catalogue import task

    click.echo(table([{"guide": name, "what": what} for name, what in task(model).guides.items()], "table"))


@click.command()
@click.argument("name", required=False)
def objectives(name: str | None) -> None:
    """List the objectives and what they bound, or what one is and which options it takes.

    Options are set by --particles, --set inference.OPTION=VALUE, or the table [inference] of a --config.
    """
    from hardpp.tasks.catalogue import offer
    from hardpp.tasks.objectives import OBJECTIVES, described_options

    if name is None:
        rows = [
            {
                "objective": each,
                "bounds": kind.bound,
                "unbiased": "yes" if kind.unbiased else "no",
                "trains the guide": "yes" if kind.trains_guide else "no",
                "what": (inspect.getdoc(kind) or "").split("\n")[0].rstrip("."),
            }
            for each, (kind, _) in OBJECTIVES.items()
        ]
        click.echo(table(rows, "table"))
        return
    found = offer(name)
    click.echo(inspect.getdoc(found.kind))
    click.echo()
    click.echo(table(described_options(found), "table"))


@click.command()
def doctor() -> None:
    """Print versions, device and cache folder."""
    import torch

    from hardpp.data.sources import cache_folder
    from hardpp.tasks.runs import choose_device, versions

    rows = versions() | {"device": str(choose_device("auto")), "threads": str(torch.get_num_threads())}
    rows["cache"] = str(cache_folder())
    click.echo(table([{"what": name, "value": value} for name, value in rows.items()], "table"))
