"""`hardpp posterior` and `hardpp plot`: what a run makes of where its outputs come from, as files."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from hardpp.runs.processes.process_rank import rank
from hardpp.verbs.exit_codes import report
from hardpp.verbs.options import (
    PATH,
    choice_option,
    run_options,
    sampling_options,
    several_options,
    style_option,
)


@click.command()
@several_options
@click.option("--out", type=PATH, help="netCDF file [RUN/posterior.nc; of several runs it must be given].")
@sampling_options
@click.option("--exact/--no-exact", default=True, show_default=True, help="Add the exact posterior.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def posterior(
    runs: tuple[Path, ...],
    opened: Callable[[Path], tuple[Any, Any]],
    out: Path | None,
    force: bool,
    **options: Any,
) -> None:
    """Write draws and marginals as netCDF for ArviZ, and say how many of them can be trusted.

    Several runs of one model on the same data make one file, a chain each. A file that was written before may
    stand for its run; one file alone is only judged.

    \b
    posterior = hardpp.read_posterior("RUN/posterior.nc")
    one = posterior.item("bola")             no padding, tokens for labels
    arviz.summary(one)
    one.attention.marginal.plot.imshow()     where each symbol comes from
    idata = arviz.from_netcdf("RUN/posterior.nc")                  all items, as wide as the longest
    idata.attention.marginal.sel(sentence="word")
    """
    from hardpp.data.atomic_files import check_writable
    from hardpp.diagnostics.posterior_chains import join_chains
    from hardpp.diagnostics.posterior_file import read_posterior
    from hardpp.diagnostics.trust import trust_summary
    from hardpp.verbs.output import wait_for_others, write_posterior

    if len({path.resolve() for path in runs}) < len(runs):
        raise click.UsageError("a run is given twice, and each run makes one chain")
    if out is None and len(runs) > 1:
        raise click.UsageError("of several runs: give --out FILE")
    judged = out is None and runs[0].is_file()
    path = out or runs[0] / "posterior.nc"
    read = [read_posterior(which).tree if which.is_file() else opened(which) for which in runs]
    if not judged:
        check_writable(path, force=force)  # before the work, not after it
        wait_for_others()
    trees = [each[0].posterior(each[1], **options) if isinstance(each, tuple) else each for each in read]
    if rank():
        return
    tree = join_chains(trees, runs)
    if judged:
        click.echo(trust_summary(tree))
        return
    write_posterior(tree, path, force=force)
    click.echo(path)
    report(trust_summary(tree))


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
@sampling_options
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
    **sampling: Any,
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
    from hardpp.tasks.answers.ranking import CONSIDERED
    from hardpp.verbs.design import completing, designing
    from hardpp.verbs.output import write_animation, write_figure

    if kind != "attention" and style == "gif":
        raise click.UsageError(f"--kind {kind}: nothing moves; give --format png, svg or pdf")
    if kind == "training":
        path = (out or run.path / "plots") / f"training.{style}"
        figure = training_figure(
            records(run.path), title="training", unit=run.family.unit, note=run.note(TRAINING)
        )
        write_figure(figure, path, force=force)
        click.echo(path)
        return
    make, write = (run.animate, write_animation) if style == "gif" else (run.plot, write_figure)
    make = partial(make, **sampling)
    if kind == "information":
        make = partial(designing(run).plot_information, completion=completing(completion, run))
    if order == "uncertain" and not names:
        report(f"the most uncertain of the first {CONSIDERED} {run.kind}: {run.uncertainty}")
    for name, drawn in make(*names, items=select(), count=count, order=order).items():
        path = (out or run.path / "plots") / f"{name}.{style}"
        write(drawn, path, force=force)
        click.echo(path)
