"""What there is: data sets, model families, guides, objectives, versions."""

import inspect
from collections.abc import Mapping
from typing import Any

import click

from hardpp.verbs.exit_codes import report
from hardpp.verbs.options import style_option
from hardpp.verbs.tables import table


@click.group()
def data() -> None:
    """List and fetch public data sets."""


@data.command("list")
@style_option("table", "json", "csv")
def data_list(style: str) -> None:
    """List the data sets, and which of them are in the cache."""
    from hardpp.data.fetch.sources import listing

    click.echo(table([dict(zip(row._fields, map(str, row), strict=True)) for row in listing()], style))


@data.command("fetch")
@click.argument("names", nargs=-1, required=True)
@click.option("--verify", is_flag=True, help="Check every SHA-256 again.")
def data_fetch(names: tuple[str, ...], verify: bool) -> None:
    """Fetch data sets into the cache ($HARDPP_DATA, or the user's cache folder) and verify them."""
    from hardpp.data.fetch.sources import fetch

    for name in names:
        click.echo(fetch(name, report, verify=verify))


@click.command()
@click.argument("name", required=False)
@click.option("--data", help="For which data set, file or folder [the model's].")
@click.option("--guide", help="For which guide [the recommended one].")
@click.option("--objective", help="For which objective [the recommended one].")
@click.option("--preset", help="Sizes and settings to start from: small or paper [small].")
@style_option("table", "json", "csv")
def models(name: str | None, style: str, **choices: str | None) -> None:
    """List the model families and what each trains with, or all settings of one.

    Of one family, every setting that a run would have, its value as recommended for the data, guide,
    objective and preset, and what it is (of inference.*: `hardpp objectives NAME`). Each can be given as
    --set SETTING=VALUE or in a --config.
    """
    from hardpp.tasks.catalogue import TASKS
    from hardpp.tasks.configuration import resolve
    from hardpp.tasks.settings import described_settings

    if name is not None:
        chosen: dict[str, Any] = {key: value for key, value in choices.items() if value is not None}
        if "data" in chosen:
            chosen["data"] = {"name": chosen["data"]}
        click.echo(table(described_settings(resolve([{"model": name}, chosen])), style))
        return
    if any(value is not None for value in choices.values()):
        raise click.UsageError("--data, --guide, --objective and --preset are for one family: give its NAME")
    rows = []
    for each, kind in TASKS.items():
        config = resolve([{"model": each}])
        recommended = {"data": config.data.name, "guide": config.guide, "objective": config.objective}
        rows.append({"model": each, **recommended, "what": kind.summary})
    click.echo(table(rows, style))


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
                "what": _summary(kind, settings),
            }
            for each, (kind, settings) in OBJECTIVES.items()
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

    from hardpp.data.fetch.cache import cache_folder
    from hardpp.runs.folder import choose_device, versions

    rows = versions() | {"device": str(choose_device("auto")), "threads": str(torch.get_num_threads())}
    rows["cache"] = str(cache_folder())
    click.echo(table([{"what": name, "value": value} for name, value in rows.items()], "table"))


def _summary(kind: type, settings: Mapping[str, Any]) -> str:
    own = ", ".join(f"{name}={value}" for name, value in settings.items() if name != "particles")
    what = (inspect.getdoc(kind) or "").split("\n")[0].rstrip(".")
    return f"{what} ({own})" if own else what
