"""`hardpp compare`: figures side by side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hardpp.verbs.exit_codes import report
from hardpp.verbs.gold_links import linked_options
from hardpp.verbs.options import (
    PATH,
    checkpoint_option,
    choice_option,
    on_bad_option,
    open_options,
    opened_backward,
    opened_run,
    style_option,
)
from hardpp.verbs.tables import table


@click.group()
def compare() -> None:
    """Compare runs, estimators, or alignments with known links."""


@compare.command()
@click.argument("folders", metavar="RUN RUN ...", nargs=-1, required=True, type=PATH)
@click.option("--data", help="Other data than those of the runs.")
@choice_option("--part", words=["train", "dev", "test"], default="test", help="Part of the data.")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many items.")
@on_bad_option
@click.option(
    "--draws", type=click.IntRange(1), default=16, show_default=True, help="Of a bound, where p is no sum."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the draws.")
@choice_option("--device", words=["auto", "cpu", "cuda"], help="Where to compute.")
@click.option("--trust", is_flag=True, help="Import the classes that a config.toml names.")
@checkpoint_option
@click.option("--out", type=PATH, help="Picture of the differences.")
@click.option("--force", is_flag=True, help="Overwrite the picture.")
@style_option("table", "json", "csv")
def runs(
    folders: tuple[Path, ...],
    data: str | None,
    part: str,
    limit: int | None,
    device: str,
    trust: bool,
    checkpoint: str,
    out: Path | None,
    force: bool,
    style: str,
    **options: Any,
) -> None:
    """Compare how likely runs find the same held-out items, item by item.

    \b
    elpd, se          log p of all items, nats, and its standard error
    elpd_diff, dse    how much less than the best run, and the standard error of that, from differences
                      item by item: a difference below two of them is none
    kind              exact: latents summed out; bound of K draws: a lower bound, where that is no sum;
                      expected latents: as soft attention predicts

    Runs that are given other items, or the same as other symbols, are refused. In Python,
    hardpp.diagnostics.elpd.comparison_frame(rows) is a frame that arviz.plot_compare draws.
    """
    from hardpp.diagnostics.elpd import elpd_figure
    from hardpp.runs.comparison import compare_runs
    from hardpp.verbs.output import check_figure, write_figure

    if out is not None:
        check_figure(out, force=force)
    opened = [opened_run(folder, device, trust, checkpoint) for folder in folders]
    rows = compare_runs(opened, data, part, limit, report=report, **options)
    if out is not None:
        title = f"{rows[0]['items']} items, {rows[0]['kind']}"
        write_figure(elpd_figure(rows, title=title), out, force=force)
        report(str(out))
    click.echo(table(rows, style))


@compare.command()
@open_options
@click.option("--data", help="Other data than the run's own.")
@choice_option("--part", words=["train", "dev", "test"], default="dev", help="Part of the data.")
@click.option("--limit", type=click.IntRange(1), default=16, show_default=True, help="Data in the batch.")
@on_bad_option
@click.option(
    "--objectives", "names", default="all", show_default=True, help="Names, separated by commas, or all."
)
@click.option("--particles", type=click.IntRange(1), help="For all objectives that draw some [their own].")
@click.option("--draws", type=click.IntRange(20), default=200, show_default=True, help="Of each estimator.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the draws.")
@click.option("--out", type=PATH, help="Picture [RUN/plots/gradients.png].")
@click.option("--force", is_flag=True, help="Overwrite the picture.")
@style_option("table", "json", "csv")
def gradients(
    run: Any,
    data: str | None,
    part: str,
    limit: int,
    on_bad: str | None,
    names: str,
    out: Path | None,
    force: bool,
    style: str,
    **options: Any,
) -> None:
    """Draw every objective's gradient at a run's parameters: bias, variance, seconds.

    \b
    gap           exact log p(y) minus the mean bound, nats a datum
    ess           effective sample size of the particles, per datum
    norm          length of the expected gradient (sum over the batch)
    bias^2, +-    squared bias, relative to the exact gradient of the same bound, and its standard error;
                  blank where that gradient is not known; of what bounds nothing: to those of cosine
    mse, mse +-   bias^2 + variance, relative likewise: how far one draw is off; and its standard error.
                  Of an unbiased objective of another bound: the variance alone
    cosine        of the expected gradient with the exact one: of log p(y) for the model's parameters,
                  of the ELBO for the guide's
    variance      trace of the covariance; snr is norm / sqrt(variance)
    variance x s  what a trainer pays

    The picture has the mean squared error of one draw as a bar, and on it bias^2 and variance. Estimators
    with no bias that can be told from noise come first, however small the error of others is: a mean over
    many steps takes variance away, and bias never.

    The run's own objective is measured with the run's own options, others with those that training takes by
    default (`hardpp objectives NAME`). Draws are made with dropout and entropy bonuses off. A learned
    baseline first gets 200 steps to know the programs.
    """
    from hardpp.diagnostics.gradient_plot import gradient_figure
    from hardpp.verbs.output import check_figure, write_figure

    objectives = None if names == "all" else [name.strip() for name in names.split(",")]
    path = out or run.path / "plots" / "gradients.png"
    check_figure(path, force=force)
    items = run.select(data, part, limit, report, on_bad)
    rows = run.compare_gradients(items, objectives, report=report, **options)
    title = f"gradients of {len({row['objective'] for row in rows})} objectives"
    note = run.note(f"{limit} data, {options['draws']} draws of each")
    write_figure(gradient_figure(rows, title=title, note=note), path, force=force)
    click.echo(table(rows, style))
    report(str(path))


@compare.command()
@linked_options
@click.option(
    "--both-ways",
    "backward",
    type=PATH,
    help="A run of the other direction (data.reverse=true): adds its links, and those of both.",
)
@style_option("table", "json", "csv")
def alignments(run: Any, select: Callable[..., Any], linked: bool, backward: Path | None, style: str) -> None:
    """Hold a run's word links against links made by hand: those of --links, or of bible-alignments.

    \b
    by         whose positions: the exact posterior, the guide, or the prior, which has not seen the word
    links      forward, backward, or both made one
    AER        alignment error rate, 1 - (|A & S| + |A & P|) / (|A| + |S|) of links A, sure and possible ones;
               precision is |A & P| / |A|, recall |A & S| / |S|
    hit        words whose best source word is a right one
    """
    other = opened_backward(run, backward)  # refuses runs without links of words, which have no compare_links
    click.echo(table(run.compare_links(select(), other), style))
