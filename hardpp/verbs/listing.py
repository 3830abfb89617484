"""What there is: data sets, model families, guides, objectives, versions."""

import inspect
from typing import Any

import click

from hardpp.verbs.check import FAULTS
from hardpp.verbs.exit_codes import report
from hardpp.verbs.family_help import write_declared
from hardpp.verbs.options import style_option
from hardpp.verbs.tables import table


@click.group()
def data() -> None:
    """List and fetch public data sets."""


@data.command("list")
@style_option("table", "json", "csv")
def data_list(style: str) -> None:
    """List the data sets, and which of them are in the cache."""
    from hardpp.tasks.listing import list_data

    click.echo(
        table([dict(zip(row._fields, map(str, row), strict=True)) for row in list_data(report)], style)
    )


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
@click.option("--preset", help="Sizes and settings to start from [small].")
@style_option("table", "json", "csv")
def models(name: str | None, style: str, **choices: str | None) -> None:
    """List the model families and what each trains with, or all settings of one.

    Of one family, every setting that a run would have, its value as recommended for the data, guide,
    objective and preset, and what it is (of inference.*: `hardpp objectives NAME`). Each can be given as
    --set SETTING=VALUE or in a --config. Below them, what --data takes, the figures of `hardpp evaluate` and
    the forms of `hardpp align`.
    """
    from hardpp.tasks.catalogue import family
    from hardpp.tasks.configuration import resolve
    from hardpp.tasks.listing import list_models, list_settings

    if name is not None:
        layer: dict[str, Any] = {key: value for key, value in choices.items() if value is not None}
        if "data" in layer:
            layer["data"] = {"name": layer["data"]}
        click.echo(table(list_settings(resolve([{"model": name}, layer])), style))
        if style == "table":
            formatter = click.get_current_context().make_formatter()
            for declared in ("layouts", "presets", "figures", "alignment_forms", "nbest"):
                write_declared(formatter, declared, family(name))
            click.echo("\n" + formatter.getvalue().rstrip())
        return
    if any(value is not None for value in choices.values()):
        raise click.UsageError("--data, --guide, --objective and --preset are for one family: give its NAME")
    click.echo(table(list_models(report), style))


@click.command()
@click.option("--model", default="alignment", show_default=True, help="Of which family.")
@style_option("table", "json", "csv")
def guides(model: str, style: str) -> None:
    """List the guides of a model family."""
    from hardpp.tasks.listing import list_guides

    click.echo(table(list_guides(model, report), style))


@click.command()
@click.argument("name", required=False)
@style_option("table", "json", "csv")
def objectives(name: str | None, style: str) -> None:
    """List the objectives and what they bound, or what one is and which options it takes.

    Options are set by --particles, --set inference.OPTION=VALUE, or the table [inference] of a --config.
    """
    from hardpp.tasks.catalogue import objective_spec
    from hardpp.tasks.listing import list_objectives, list_options

    if name is None:
        click.echo(table(list_objectives(report), style))
        return
    spec = objective_spec(name)
    parts = [table(list_options(spec), style)]
    if style == "table":
        parts = [spec.summary and f"{spec.summary}.", inspect.getdoc(spec.kind) or "", *parts]
    click.echo("\n\n".join(filter(None, parts)))


@click.command()
@style_option("table", "json", "csv")
def doctor(style: str) -> None:
    """Print versions and devices, and try what hardpp needs: packages, programs, folders, estimators.

    What is missing is only needed for what stands beside it. Estimators are held against sums over all
    latents of tiny programs, which takes some seconds (hardpp check objective NAME looks at more). Ends with
    2 if something has failed, as hardpp check does.
    """
    import torch

    from hardpp.runs.folder import choose_device
    from hardpp.runs.run_files import versions
    from hardpp.tasks.doctor.installation import Row, installation, self_test

    plain = versions() | {"device": str(choose_device("auto")), "threads": str(torch.get_num_threads())}
    rows = [*(Row(name, value) for name, value in plain.items()), *installation(), *self_test()]
    click.echo(table([row._asdict() for row in rows], style))
    if any(row.state == "failed" for row in rows):
        click.get_current_context().exit(FAULTS)
