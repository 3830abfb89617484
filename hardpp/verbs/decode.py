"""`hardpp decode`: what a trained run says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hardpp.verbs.decoded_lines import RESULTS, STYLES, decoded_lines
from hardpp.verbs.exit_codes import report
from hardpp.verbs.family_options import DecodingCommand
from hardpp.verbs.options import PATH, run_options, style_option, unknown_option
from hardpp.verbs.output import write_lines


@click.command(cls=DecodingCommand, declared="nbest")
@run_options
@click.option(
    "--input",
    "file",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Sources of your own: a file of them, one a line (- is standard input), or pictures.",
)
@click.option("--nbest", type=click.IntRange(1), help="So many of the likeliest outputs, with probabilities.")
@click.option("--scores", is_flag=True, help="The output alone, with its probability.")
@click.option(
    "--lexicon", type=PATH, help="A file of words and what is right for them: what it lists is looked up."
)
@unknown_option
@style_option(*STYLES, *RESULTS)
@click.option("--out", type=PATH, help="File to write [standard output].")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def decode(
    run: Any,
    select: Callable[..., Any],
    file: Path | None,
    nbest: int | None,
    scores: bool,
    lexicon: Path | None,
    unknown: str,
    style: str,
    out: Path | None,
    force: bool,
    **decoding: Any,
) -> None:
    """Print what the run says of each source: its target, tokens, sentence, answer or label.

    \b
    text     a line for each source, with what is said of it; a blank one for a blank line of --input, or a
             line of --data that is left out
    tsv      the same after the source (or the name of the utterance, image or question) and a TAB
    json     a list of objects
    vqa      answers to questions as VQA's evaluation takes them: [{"question_id": 1, "answer": "yes"}, ...]

    Probabilities are those of the output, alignments summed out; log-probabilities are in nats. --scores adds
    TAB-separated columns: log-probability, probability, exact or approximate. --nbest prints a line for each
    output, the likeliest first (tsv: its rank after the source); ~ marks a probability that is approximate.
    What --lexicon lists is said as listed, all of it with --nbest, and marked "listed" in tsv (the last
    column) and json; it has no probability.

    \b
    echo "a tune" | hardpp decode RUN --input -            your own words or sentences
    ls *.wav | hardpp decode RUN --input -                 your own recordings, or pictures
    hardpp decode RUN --input photographs                  the pictures of a folder
    hardpp decode RUN --input questions.json --format vqa  VQA's questions without answers
    hardpp decode RUN --part dev --format tsv --limit 10   some of the data that the run knows
    hardpp decode RUN --input - --nbest 10 --format json   ten outputs of each, with probabilities
    """
    run.decoding(decoding)  # refused before the data are read
    if nbest is not None and scores:
        raise click.UsageError("--nbest has scores: leave --scores out")
    count = 1 if scores else nbest
    run.check_nbest(count)
    if style in RESULTS and style not in run.family.results:
        raise click.UsageError(f"--format {style} is not for model {run.family.name}")
    if style in RESULTS and count is not None:
        raise click.UsageError(f"--format {style} has one output of each: leave --nbest and --scores out")
    place = "item "
    if file is None:
        items = select(run.select_lines)
    elif any(click.get_current_context().params[name] is not None for name in ("data", "part", "limit")):
        raise click.UsageError("--input is all that is read: leave out --data, --part and --limit")
    else:
        on_bad = click.get_current_context().params["on_bad"]
        file = Path("/dev/stdin") if str(file) == "-" else file
        items, place = run.read_inputs(file, report, on_bad), f"{file}:"

    def lines() -> Any:
        how = {"nbest": count, "unknown": unknown, "report": report, "place": place, "lexicon": lexicon}
        each = run.decode_each(items, **how, **decoding)
        by = {"ranked": nbest is not None, "scored": scores, "looked_up": lexicon is not None}
        return decoded_lines(each, style, **by)

    write_lines(lines, out, force)
