"""`hardpp decode`: what a trained run says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hardpp.verbs.family_options import DecodingCommand
from hardpp.verbs.options import PATH, run_options, style_option
from hardpp.verbs.output import write_lines


@click.command(cls=DecodingCommand)
@run_options
@click.option(
    "--input",
    "file",
    type=click.Path(path_type=Path, allow_dash=True),
    help="A file of sources of your own, one a line; - is standard input.",
)
@style_option("text", "tsv")
@click.option("--out", type=PATH, help="File to write [standard output].")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def decode(
    run: Any,
    select: Callable[[], Any],
    file: Path | None,
    style: str,
    out: Path | None,
    force: bool,
    **decoding: Any,
) -> None:
    """Print what the run says of each source: its target, tokens, sentence, answer or label.

    \b
    text     a line for each source, with what is said of it
    tsv      the same after the source (or the name of the utterance, image or question) and a TAB

    \b
    echo "a tune" | hardpp decode RUN --input -            your own words or sentences
    ls *.wav | hardpp decode RUN --input -                 your own recordings
    hardpp decode RUN --part dev --format tsv --limit 10   some of the data that the run knows
    """
    run.decoding(decoding)  # refused before the data are read
    if file is None:
        items = select()
    elif any(click.get_current_context().params[name] is not None for name in ("data", "part", "limit")):
        raise click.UsageError("--input is all that is read: leave out --data, --part and --limit")
    else:
        items = run.read_inputs(Path("/dev/stdin") if str(file) == "-" else file)

    def lines() -> list[str]:
        decoded = run.decode(items, **decoding)
        return [text if style == "text" else f"{name}\t{text}" for name, text in decoded]

    write_lines(lines, out, force)
