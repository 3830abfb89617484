"""`hardpp align`: which source position, region, time or place goes with each output symbol."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hardpp.verbs.exit_codes import report
from hardpp.verbs.family_options import AlignmentCommand
from hardpp.verbs.options import (
    PATH,
    choice_option,
    opened_backward,
    run_options,
    sampling_options,
    unknown_option,
)
from hardpp.verbs.output import tell_written, wait_for_others, write_lines, write_text

_METHODS = ("intersection", "union", "grow", "grow-diag", "grow-diag-final", "grow-diag-final-and")


@click.command(cls=AlignmentCommand, declared="alignment_forms", of_all=True)
@run_options
@choice_option(
    "--of",
    words=["posterior", "guide", "prior"],
    help="Whose: the posterior, the guide, or the model before it sees the symbol.",
)
@click.option(
    "--both-ways",
    "backward",
    type=PATH,
    help="A run of the other direction (data.reverse=true); prints Pharaoh links of both together.",
)
@choice_option(
    "--symmetrise", "method", words=_METHODS, default=_METHODS[-1], help="How two directions become one."
)
@click.option(
    "--mass",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="How probable intervals of times are [0.89].",
)
@click.option(
    "--calibrated",
    is_flag=True,
    help="Fit probabilities of links, or intervals of times, to what is known of the dev part.",
)
@click.option(
    "--out",
    type=PATH,
    help="File to write [standard output]; of a form with a file for every datum, the folder for them.",
)
@unknown_option
@sampling_options
@click.option("--force", is_flag=True, help="Overwrite the file, or what lies in the folder.")
def align(
    run: Any,
    select: Callable[..., Any],
    style: str,
    of: str,
    backward: Path | None,
    method: str,
    mass: float | None,
    calibrated: bool,
    out: Path | None,
    unknown: str,
    force: bool,
    **sampling: Any,
) -> None:
    """Print the best source position of every output symbol, or links of words.

    The posterior is exact where it can be computed. Elsewhere draws of the guide stand for it: their average
    by importance weights (online-alignment), or one of them, picked by its weight (glimpse, saccader,
    masked-image); a message says so. They are those of `hardpp posterior` with the same --draws and --seed,
    which says how far they can be trusted.

    Links of the lines of a file have a line each: an empty one for a pair that is left out.
    """
    items, form = select(run.select_lines), run.family.alignment_forms.get(style)
    run.check_symbols(items, unknown=unknown, report=report)
    if form is not None and of == "posterior" and (what := run.shown_posterior(**sampling)):
        report(f"posterior: {what}")
    asked = {"of": of, "form": style, "mass": mass, "calibrated": calibrated, **sampling}
    if backward is not None:
        if not style.startswith("pharaoh"):
            raise click.UsageError("--both-ways prints links: give --format pharaoh or pharaoh-probabilities")
        run, other = (each.asked(**sampling) for each in (run, opened_backward(run, backward)))
        links = {"of": of, "method": method, "form": style, "calibrated": calibrated}
        write_lines(lambda: run.link_words(other, items, **links), out, force)
    elif form is not None and form.files:
        if out is None:
            raise click.UsageError(f"--format {style} writes a file for every datum: give --out FOLDER")
        shared = run.shared_folder(items)
        shared = "" if (out / shared).is_dir() else f"{shared}/"
        wait_for_others()
        for name, text in run.align_files(items, **asked).items():
            write_text(out / name.removeprefix(shared), text, force=force)
        tell_written(out)
    else:
        write_lines(lambda: run.align(items, **asked), out, force)
