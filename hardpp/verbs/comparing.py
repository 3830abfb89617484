"""`hardpp compare`: figures side by side."""

from pathlib import Path
from typing import Any

import click

from hardpp.verbs.exit_codes import report
from hardpp.verbs.options import linking, read_options, style_option
from hardpp.verbs.tables import table


@click.group()
def compare() -> None:
    """Compare estimators, or alignments with known links."""


@compare.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--objectives", "names", default="all", show_default=True, help="Names, separated by commas, or all."
)
@click.option("--particles", type=click.IntRange(1), help="For all objectives that draw some [their own].")
@click.option("--draws", type=click.IntRange(20), default=200, show_default=True, help="Of each estimator.")
@click.option("--data", help="Other data than the run's own.")
@click.option(
    "--part",
    type=click.Choice(["train", "dev", "test"]),
    default="dev",
    show_default=True,
    help="Part of the data.",
)
@click.option("--limit", type=click.IntRange(1), default=16, show_default=True, help="Data in the batch.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draws.")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="Where."
)
@click.option("--out", type=click.Path(path_type=Path), help="Picture [RUN/plots/gradients.png].")
@click.option("--force", is_flag=True, help="Overwrite the picture.")
@style_option("table", "json", "csv")
def gradients(
    run: Path,
    names: str,
    particles: int | None,
    draws: int,
    data: str | None,
    part: str,
    limit: int,
    seed: int,
    device: str,
    out: Path | None,
    force: bool,
    style: str,
) -> None:
    """Draw every objective's gradient at a run's parameters: bias, variance, seconds.

    \b
    gap           exact log p(y) minus the mean bound, nats a datum
    ess           effective sample size of the particles, per datum
    norm          length of the expected gradient (sum over the batch)
    bias^2, +-    squared bias, relative to the exact gradient of the same bound, and its standard error;
                  blank where that gradient is not known
    cosine        of the expected gradient with the exact one: of log p(y) for the model's parameters,
                  of the ELBO for the guide's
    variance      trace of the covariance; snr is norm / sqrt(variance)
    variance x s  what a trainer pays

    The run's own objective is measured with the run's own options, others with those that training takes by
    default (`hardpp objectives NAME`). Draws are made with dropout and entropy bonuses off. A learned
    baseline first gets 200 steps to know the programs.
    """
    from hardpp.diagnostics.gradient_plot import gradient_figure
    from hardpp.runs.folder import open_run
    from hardpp.tasks.gradients import chosen, compare_gradients
    from hardpp.verbs.output import check_figure, write_figure

    wanted = chosen(names)
    opened = open_run(run, device, report)
    batch = opened.task.batch(opened, opened.task.select(opened, data, part, limit, report))
    path = out or run / "plots" / "gradients.png"
    check_figure(path, force=force)
    rows = compare_gradients(
        opened, batch, wanted, particles=particles, draws=draws, seed=seed, report=report
    )
    figure = gradient_figure(rows, title=f"{run.name}: {limit} data, {draws} draws")
    write_figure(figure, path, force=force)
    click.echo(table(rows, style))
    report(str(path))


@compare.command()
@read_options
@click.option(
    "--both-ways",
    "backward",
    type=click.Path(path_type=Path),
    help="A run of the other direction (data.reverse=true): adds its links, and those of both.",
)
@style_option("table", "json", "csv")
def alignments(run: Any, items: Any, backward: Path | None, style: str) -> None:
    """Hold a run's word links against links made by hand, such as those of bible-alignments.

    \b
    by         whose positions: the exact posterior, the guide, or the prior, which has not seen the word
    links      forward, backward, or both made one
    AER        alignment error rate; precision and recall are of links
    hit        words whose best source word is a right one
    """
    from hardpp.tasks.alignment.word_links import compare_links

    click.echo(table(compare_links(run, linking(run, backward), items), style))
