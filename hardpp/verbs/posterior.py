"""`hardpp posterior` and `hardpp plot`: what a run makes of where its outputs come from, as files."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from hardpp.verbs.exit_codes import report
from hardpp.verbs.options import PATH, choice_option, read_options, run_options, style_option


@click.command()
@read_options
@click.option("--out", type=PATH, help="netCDF file [RUN/posterior.nc].")
@click.option("--draws", type=click.IntRange(1), default=100, show_default=True, help="Draws of the guide.")
@click.option("--exact/--no-exact", default=True, show_default=True, help="Add the exact posterior.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the draws.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def posterior(run: Any, items: Any, out: Path | None, force: bool, **options: Any) -> None:
    """Write draws and marginals as netCDF for ArviZ.

    \b
    idata = arviz.from_netcdf("RUN/posterior.nc")
    idata.attention.marginal.sel(sentence="word").plot.imshow(x="source", y="step")
    """
    from hardpp.data.atomic_files import check_writable
    from hardpp.verbs.output import write_posterior

    path = out or run.path / "posterior.nc"
    check_writable(path, force=force)  # before the work, not after it
    write_posterior(run.posterior(items, **options), path, force=force)
    click.echo(path)


@click.command()
@run_options
@click.option("--out", type=PATH, help="Folder for the pictures [RUN/plots].")
@click.option("--count", type=click.IntRange(1), default=4, show_default=True, help="How many items.")
@choice_option("--order", words=["uncertain", "first"], help="Which: uncertain ones of the first 100.")
@click.option("--source", "names", multiple=True, help="Draw the item of this name instead; repeatable.")
@choice_option("--kind", words=["attention", "information", "training"], help="What is drawn, see above.")
@click.option(
    "--completion",
    default="retrieval",
    show_default=True,
    metavar="WORD|RUN",
    help="Of information: see `hardpp design`.",
)
@style_option("png", "svg", "pdf", "gif")
@click.option("--force", is_flag=True, help="Overwrite pictures.")
def plot(
    run: Any,
    select: Callable[[], Any],
    out: Path | None,
    count: int,
    order: str,
    names: tuple[str, ...],
    kind: str,
    completion: str,
    style: str,
    force: bool,
) -> None:
    """Draw where each output attends: by the prior, the guide and the exact posterior.

    Those come first that the run is least certain of; every picture says which run and step it is of, and
    whose view it shows.

    Of models that look at one thing after the other (glimpse, saccader), gif shows the glimpses as they come.

    --kind information, of models that design glimpses: what a look at each place was expected to tell.

    --kind training: the bound of train and dev by step, figures of dev items, and the learning rate.
    """
    from hardpp.diagnostics.training_plot import TRAINING, training_figure
    from hardpp.runs.history import records
    from hardpp.tasks.ranking import CONSIDERED
    from hardpp.verbs.design import completing, designing
    from hardpp.verbs.output import write_animation, write_figure

    if kind == "training":
        path = (out or run.path / "plots") / f"training.{style}"
        figure = training_figure(
            records(run.path), title="training", unit=run.family.unit, note=run.note(TRAINING)
        )
        write_figure(figure, path, force=force)
        click.echo(path)
        return
    make, write = (run.animate, write_animation) if style == "gif" else (run.plot, write_figure)
    if kind == "information":
        if style == "gif":
            raise click.UsageError("--kind information: nothing moves; give --format png, svg or pdf")
        make = partial(designing(run).plot_information, completion=completing(completion, run))
    if order == "uncertain" and not names:
        report(f"the most uncertain of the first {CONSIDERED} {run.kind}: {run.uncertainty}")
    for name, drawn in make(*names, items=select(), count=count, order=order).items():
        path = (out or run.path / "plots") / f"{name}.{style}"
        write(drawn, path, force=force)
        click.echo(path)
