"""`hardpp design`: glimpse sequences of images, each place chosen by what it is expected to tell."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hardpp.verbs.exit_codes import report
from hardpp.verbs.family_options import SchemaCommand
from hardpp.verbs.options import PATH, run_options, style_option
from hardpp.verbs.tables import figures_table

if TYPE_CHECKING:
    from hardpp.tasks.designing import CompletingRun, DesigningRun


def _options() -> Any:
    from hardpp.tasks.designing import DesignOptions

    return DesignOptions


@click.command(cls=SchemaCommand, schema=_options)
@run_options
@click.option(
    "--out", type=PATH, required=True, help="File of the sequences; goes on with one that has some."
)
@click.option(
    "--completion",
    default="retrieval",
    show_default=True,
    metavar="WORD|RUN",
    help="What completes partly seen images: retrieval or enumeration of the run's training images, or the "
    "folder of a run that does (--model image-vae).",
)
@click.option("--maps", type=PATH, help="Folder for a netCDF file an image, of what each place was to tell.")
@style_option("table", "json", "csv")
def design(
    run: Any, select: Any, out: Path, completion: str, maps: Path | None, style: str, **options: Any
) -> None:
    """Design glimpse sequences: where to look at each image so as to learn most about its label.

    RUN classifies partly seen images (--model masked-image). Each next place is the one of the smallest
    expected entropy of the label, by the completions of what was seen so far.

    \b
    hardpp design runs/masked-image-prior-elbo-0 --part train --limit 400 --out sequences.txt
    hardpp train --model glimpse --guide replay --set data.sequences=sequences.txt
    hardpp design RUN --part test --budget 0.05 --out test.txt     stop where little is left to learn
    hardpp evaluate RUN --part test --sequences test.txt           what is known after each glimpse

    The file begins with what its sequences are for, and has a line an image: its name, a tab, and row,column
    of the first pixels of each patch.
    """
    from hardpp.runs.progress_bar import ItemProgress
    from hardpp.tasks.designing import Designed
    from hardpp.verbs.output import write_posterior

    if maps is not None and maps.exists() and not maps.is_dir():
        raise click.UsageError(f"--maps: {maps} is a file; a folder is needed")
    designer, other = designing(run), completing(completion, run)
    items = select()
    with ItemProgress(len(items.indices), "sequences") as progress:

        def watch(designed: Designed) -> None:
            if maps is not None:
                write_posterior(designed.maps(), maps / f"{designed.file}.nc", force=True)
            progress.show(designed.number)

        figures = designer.design(out, items, completion=other, watch=watch, **options)
    if maps is not None and (old := figures["images"] - figures["added"]):
        report(f"{old} images had sequences already, of which no maps are written")
    # On standard error: what is printed is the same whenever it is asked for.
    report(f"{figures.pop('seconds'):.2f} seconds an image")
    click.echo(figures_table(figures, style))


def designing(run: Any) -> "DesigningRun":
    """The run, which has to design glimpses."""
    from hardpp.tasks.designing import DesigningRun

    if not isinstance(run, DesigningRun):
        raise click.UsageError(f"{run.path}: model {run.family.name} does not classify partly seen images")
    return run


def completing(completion: str, run: Any) -> "str | CompletingRun":
    """The value of `--completion`: a word, or another run, opened where the first one computes."""
    from hardpp.runs.folder import open_run
    from hardpp.tasks.designing import CompletingRun

    if completion in ("retrieval", "enumeration"):
        return completion
    other = open_run(Path(completion), str(run.device.type), report=report)
    if not isinstance(other, CompletingRun):
        raise click.UsageError(f"{other.path}: model {other.family.name} completes no images")
    if run.description.fingerprint != other.description.fingerprint:
        ours, theirs = (each.config.data.name for each in (run, other))
        which = f"{theirs}, and {run.path} on {ours}" if ours != theirs else f"other images called {ours}"
        report(f"{other.path} was trained on {which}: what it completes looks like the former")
    return other
