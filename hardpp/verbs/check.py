"""Looking over guides, objectives and model families of one's own."""

from typing import Any

import click

from hardpp.verbs.exit_codes import report
from hardpp.verbs.options import Decorator, style_option
from hardpp.verbs.tables import table

FAULTS = 2  # exit code


@click.group()
def check() -> None:
    """Look over a guide, objective or model of your own, on toy data.

    \b
    hardpp check guide mypackage.guides:Monotone --model alignment
    hardpp check objective mypackage:MyBound
    hardpp check model mypackage:MyFamily

    Every check is a row: ok, failed (with the site, what was found, what is wanted and the likely cause), or
    skipped, and why. Names of `hardpp guides`, `objectives` and `models` can be checked, too. The exit code
    is 0 where all is sound, and 2 where something is not.
    """


def _settings(command: Any) -> Any:
    decorate: Decorator = click.option(
        "--set", "sets", multiple=True, metavar="KEY=VALUE", help="A setting of the toy run, as for train."
    )
    return decorate(command)


@check.command()
@click.argument("guide")
@click.option("--model", default="alignment", show_default=True, help="The model family that it is for.")
@_settings
@style_option("table", "json", "csv")
def guide(guide: str, model: str, sets: tuple[str, ...], style: str) -> None:
    """Look over a GUIDE, package.module:Class or a name: its sites, plates, numbers, batches, gradients."""
    from hardpp.config import merge, parse_setting
    from hardpp.tasks.doctor.guide import check_guide

    _show(check_guide(guide, model, merge(map(parse_setting, sets))), style)


@check.command()
@click.argument("objective")
@style_option("table", "json", "csv")
def objective(objective: str, style: str) -> None:
    """Look over an OBJECTIVE, package.module:Class or a name: its mean, gradient, masks and scales."""
    from hardpp.tasks.doctor.objective import check_objective

    _show(check_objective(objective), style)


@check.command()
@click.argument("model")
@_settings
@style_option("table", "json", "csv")
def model(model: str, sets: tuple[str, ...], style: str) -> None:
    """Look over a MODEL family, package.module:Class or a name: its data, guides, training and answers."""
    from hardpp.config import merge, parse_setting
    from hardpp.tasks.doctor.model import check_model

    _show(check_model(model, merge(map(parse_setting, sets))), style)


def _show(found: list[Any], style: str) -> None:
    from hardpp.tasks.doctor.findings import as_rows, faults

    click.echo(table(as_rows(found), style))
    failed = {finding.check for finding in faults(found)}
    skipped = [finding for finding in found if finding.status == "skipped"]
    checks = {finding.check for finding in found}
    report(f"{len(checks)} checks: {len(failed)} failed, {len(skipped)} skipped")
    if failed:
        click.get_current_context().exit(FAULTS)
