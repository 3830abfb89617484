"""`hardpp calibrate`: how far a run's posteriors can be trusted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hardpp.verbs.exit_codes import report
from hardpp.verbs.gold_links import linked_options
from hardpp.verbs.options import PATH, choice_option, style_option
from hardpp.verbs.tables import table


@click.command()
@linked_options
@click.option("--draws", type=click.IntRange(9), help="Of each posterior [99; --by known: 100, as align].")
@click.option(
    "--refine-steps",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Also judge the guide refined by so many steps for each datum: what that is better by is the "
    "amortisation gap.",
)
@click.option("--seed", type=click.IntRange(0), help="Of all that is drawn [0; --by known: as align].")
@click.option("--out", type=PATH, help="Picture [RUN/plots/calibration.png].")
@click.option("--force", is_flag=True, help="Overwrite the picture.")
@choice_option("--by", words=["simulation", "known"], help="Judged by what, see above.")
@style_option("table", "json", "csv")
def calibrate(
    run: Any,
    select: Callable[..., Any],
    linked: bool,
    out: Path | None,
    force: bool,
    by: str,
    style: str,
    **options: Any,
) -> None:
    """Judge posteriors on outputs that the model itself draws, whose true latents are known.

    \b
    p log p(z, y)  simulation-based calibration: how often ranks of right posteriors lie as far from even as
                   these, for the joint probability of latents and output; .001 says the posterior is wrong
    p mean of z    the same for the mean of the latents, which sees a shift
    p temperature  how often truths are by chance as much more or less probable than draws as these: is the
                   posterior too flat, or too narrow? It sees a little of that far sooner than ranks do
    50% sets ...   how often the smallest set of values with that probability holds the true one
    kl             nats a datum from this posterior to the exact one

    The exact posterior is judged where there is one: it is right for the model, whatever the model is worth,
    and its p-values are even between 0 and 1. More data (--part train, --limit 1000) see smaller faults.

    --by known: judge links of words, or times of tokens, against known ones: of what is called so probable,
    how much is true, raw and calibrated (`hardpp align --calibrated`); ece is the mean difference. Known
    links of pairs of your own are those of --links.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if linked and by != "known":
        raise click.UsageError("--links are known: give --by known")
    items = select()
    if by == "known":
        if out is not None or given.pop("refine_steps"):
            raise click.UsageError("--by known draws no picture and refines nothing: leave the option out")
        _known(run, items, style, **given)
        return
    from hardpp.diagnostics.calibration_plot import calibration_figure
    from hardpp.verbs.output import check_figure, write_figure

    path = out or run.path / "plots" / "calibration.png"
    check_figure(path, force=force)
    found = run.calibrate(items, **given)
    data = found.rows[0]["data"]
    title = f"{run.path.name}, step {run.step}: ranks of the truth, {data} data drawn by the model"
    write_figure(calibration_figure(found.curves, title=title), path, force=force)
    click.echo(table(found.rows, style))
    report(str(path))


def _known(run: Any, items: Any, style: str, **sampling: int) -> None:
    rows = [
        {"what": curve["what"], **row, "ece": curve["ece"]}
        for curve in run.reliability(items, **sampling)
        for row in curve["rows"]
    ]
    click.echo(table(rows, style))
