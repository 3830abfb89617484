"""`hardpp align`: where each symbol, or word, looked."""

from pathlib import Path
from typing import Any

import click

from hardpp.verbs.options import linking, read_options, style_option
from hardpp.verbs.output import write_lines

_METHODS = ("intersection", "union", "grow", "grow-diag", "grow-diag-final", "grow-diag-final-and")


@click.command()
@read_options
@style_option("tsv", "pharaoh", "pharaoh-probabilities", "textgrid", "ctm")
@click.option(
    "--of",
    "which",
    type=click.Choice(["posterior", "guide", "prior"]),
    default="posterior",
    show_default=True,
    help="Whose: the exact posterior, the guide, or the model before it sees the symbol.",
)
@click.option(
    "--both-ways",
    "backward",
    type=click.Path(path_type=Path),
    help="A run of the other direction (data.reverse=true); prints Pharaoh links of both together.",
)
@click.option(
    "--symmetrise",
    "method",
    type=click.Choice(_METHODS),
    default="grow-diag-final-and",
    show_default=True,
    help="How two directions become one.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File to write [standard output]; of textgrid, the folder for its files.",
)
@click.option("--force", is_flag=True, help="Overwrite the file, or what lies in the folder.")
def align(
    run: Any,
    items: Any,
    style: str,
    which: str,
    backward: Path | None,
    method: str,
    out: Path | None,
    force: bool,
) -> None:
    """Print the best source position of every symbol, or links of words.

    \b
    tsv      pair, step, symbol, position (from 0), source symbol, probability
    pharaoh  a line a pair of SOURCE-TARGET links of words from 0, without links of end marks
    pharaoh-probabilities  the same as SOURCE-TARGET:PROBABILITY
    textgrid  of speech: a file an utterance for Praat, with the 89 % interval of each boundary
    ctm       of speech: a line a token with its start, duration and probability

    Of speech tsv has utterance, token, when it was said, the 89 % interval (seconds), probability. Of
    captions it has image, word, region, box, probability. Of glimpses it has image, label, glimpse, y and x
    (pixels), scale, prediction, probability; these have no exact posterior: one of the run's
    decoding.particles draws of the guide is shown instead, picked by its importance weight.
    """
    from hardpp.data.atomic_files import write_file

    if style == "textgrid":
        if out is None:
            raise click.UsageError("--format textgrid writes a file an utterance: give --out FOLDER")
        if not hasattr(run.task, "documents"):
            raise click.UsageError(f"model {run.task.name} has no times: --format textgrid is for speech")
        for name, text in run.task.documents(run, items, which, style):
            write_file(out / name, text.encode(), force=force)
        click.echo(out, err=True)
        return

    if backward is None:
        lines = run.task.alignments(run, items, which, style)
    else:
        if not style.startswith("pharaoh"):
            raise click.UsageError("--both-ways prints links: give --format pharaoh or pharaoh-probabilities")
        other = linking(run, backward)
        lines = run.task.symmetrised(run, other, items, which, method, style)
    write_lines(lines, out, force)
