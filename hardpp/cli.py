"""The command line: each verb is a few lines around a function of the room that owns it.

Results go to standard output, progress and messages to standard error. Nothing heavy is imported before a
verb runs, so that `--help` answers at once.
"""

from pathlib import Path
from typing import Any

import click

from hardpp import __version__
from hardpp.verbs.aligning import align
from hardpp.verbs.comparing import compare
from hardpp.verbs.decoding import decode
from hardpp.verbs.exit_codes import Verbs, report
from hardpp.verbs.listing import data, doctor, guides, models, objectives
from hardpp.verbs.options import decoding_options, read_options, style_option
from hardpp.verbs.tables import table


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="hardpp")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Hard attention as probabilistic programs: train, judge and inspect discrete alignments.

    \b
    hardpp train --model alignment --guide variational     spelling to phones on CMUdict, in minutes
    hardpp train --model alignment --data words.tsv        your own pairs: source TAB target
    hardpp train --model online-alignment                  tokens of speech, and when each was said
    hardpp evaluate runs/alignment-variational-elbo-0      error rates, exact likelihood, gap of the guide
    hardpp decode runs/alignment-variational-elbo-0        what it makes of words, its own or yours
    hardpp plot runs/alignment-variational-elbo-0          where each symbol looked

    Exit codes: 0 done, 2 usage or configuration, 3 data, 4 checkpoint or run folder, 5 numbers went bad,
    6 resources, 130 and 143 signals.
    """


@main.command()
@click.option("--model", help="Model family [alignment]; see `hardpp models`.")
@click.option("--guide", help="Guide [recommended: `hardpp models NAME --objective ...`].")
@click.option("--objective", help="Objective [the model's: `hardpp models`]; see `hardpp objectives`.")
@click.option("--data", help="Data set, or file or folder of your own [the model's: `hardpp models`].")
@click.option("--preset", help="Sizes and settings to start from: small or paper [small].")
@click.option("--particles", type=int, help="Draws of the guide for each datum and step.")
@click.option("--seed", type=int, help="Seed of weights, batches and draws [0].")
@click.option("--device", help="auto, cpu or cuda [auto: cuda when there is one].")
@click.option("--max-steps", type=int, help="Stop after so many optimiser steps.")
@click.option("--max-epochs", type=int, help="Stop after so many passes over the data.")
@click.option("--checkpoint-every", type=int, help="Steps between checkpoints, besides every epoch's end.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="TOML file with settings.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="e.g. network.dropout=0.2 (all: hardpp models NAME); repeatable.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Run folder [runs/MODEL-GUIDE-OBJECTIVE-SEED].")
@click.option(
    "--resume",
    type=click.Choice(["auto", "never"]),
    default="auto",
    show_default=True,
    help="Go on with a run?",
)
@click.option("--init-from", type=click.Path(path_type=Path), help="Begin with the weights of another run.")
@click.option("--on-bad", help="Pairs, questions, recordings of no use: stop, or skip and say so [stop].")
@click.option("--dry-run", is_flag=True, help="Build everything, print the dev bound, write nothing.")
@click.option("--force", is_flag=True, help="Overwrite the run folder.")
def train(config_file: Path | None, settings: tuple[str, ...], **options: Any) -> None:
    """Train a model and evaluate it on the test part.

    Leaves a run folder with configuration, metrics.jsonl, checkpoints and summary.json. The same command
    goes on with a run that was interrupted. Settings are merged in this order, later ones win: preset,
    --config, --set, the options above.

    \b
    Your own pairs are one of
      a TSV file, lines of source TAB target; or a folder with train.tsv, dev.tsv and test.tsv
      a folder with train.de, train.en, dev.de, ...: parallel text, a sentence a line; or NAME, the common
        beginning of two files NAME.de and NAME.en; or a folder of raw IWSLT talks (train.tags.de-en.de, ...)
      for online-alignment, TIMIT (TRAIN/ and TEST/, in either case), or lists of sound files: FILE.tsv, or a
        folder with train.tsv, dev.tsv and test.tsv, lines of PATH TAB tokens with blanks between them
      for question-answering, easy-VQA (train/questions.json), or VQA v2's JSON and features (*.tsv, *.npz)
      for glimpse, images of one size, labelled: FOLDER/train/CLASS/*.png (dev and test likewise, or made of
        FOLDER/CLASS/*.png), or the four IDX files of MNIST; or a name, such as translated-mnist
      for caption, pictures and captions.txt (image,caption), or Flickr8k as published or as Karpathy's JSON
    A single file, or pair of files, is split by the CRC-32 of the source (1/20 test, 1/20 dev). Each side is
    cut by data.source_tokens and data.target_tokens: characters, words (at blanks), bpe (words with @@
    marks), pieces (learnt from the training text); auto: words where a TSV column has blanks anywhere, else
    characters; of parallel text bpe where the training text has @@ marks, else pieces. Pairs with more
    symbols a side than data.max_length are lines that cannot be used: see --on-bad.
    """
    from hardpp.config import parse_setting, read_toml
    from hardpp.runs.session import Session, run_in_folder
    from hardpp.tasks.configuration import resolve

    flags = {name: options[name] for name in ("model", "guide", "objective", "preset", "seed", "device")}
    flags["data"] = {"name": options["data"], "on_bad": options["on_bad"]}
    flags["init_from"] = options["init_from"] and str(options["init_from"].absolute())
    flags["inference"] = {"particles": options["particles"]}
    flags["training"] = {name: options[name] for name in ("max_steps", "max_epochs", "checkpoint_every")}
    layers = [read_toml(config_file)] if config_file else []
    layers += [parse_setting(text) for text in settings]
    config = resolve([*layers, _given(flags)])
    name = f"{config.model}-{config.guide}-{config.objective}-{config.seed}".replace(":", ".")
    folder = options["out"] or Path("runs") / name
    if options["dry_run"]:
        session = Session(config, report)
        click.echo(f"dev bound before training: {session.dev_bound():.4f} nats a {session.task.unit}")
        return
    figures = run_in_folder(
        config, folder, resume=options["resume"] == "auto", force=options["force"], report=report
    )
    click.echo(table([figures], "table"))


@main.command()
@read_options
@decoding_options
@style_option("table", "json", "csv")
def evaluate(run: Any, items: Any, style: str, decoding: dict[str, Any]) -> None:
    """Measure error rates or BLEU, likelihood, and the gap of the guide.

    PER and WER count edits to the nearest reference; of sentences BLEU is printed instead, with sacreBLEU's
    signature (tok:none where texts were tokenised before: words, and words with @@ marks). nll (PPL is its
    exponential), entropy (of the prior over positions) and kl (of the guide to the exact posterior) are nats
    per symbol, the end mark included; seconds are those of decoding 1,000 pairs.

    Of speech with known times, in milliseconds: delay of recognition after a token's end; of the posterior
    the distance of its median from the end (boundary), its mean with signs (lag), and the length of 89 %
    intervals with the share of ends that they hold (coverage); "aligned" is what is left without the lag.

    Of glimpses: error after the last one and after each (error_1, ...), of one look, and of the mean answer
    of several (error_mean); entropy of where looks end over all images, nats, 0 if always at one place; seen,
    the share of pixels in a sharpest window; where it is known, distance from the object, in pixels. Of
    captions: BLEU-1 to 4, and how often the region of a word lies in its box (hit), by guessing (guess).
    """
    click.echo(table([run.task.evaluate(run, items, decoding)], style))


@main.command()
@read_options
@click.option("--out", type=click.Path(path_type=Path), help="netCDF file [RUN/posterior.nc].")
@click.option("--draws", type=click.IntRange(1), default=100, show_default=True, help="Draws of the guide.")
@click.option("--exact/--no-exact", default=True, show_default=True, help="Add the exact posterior.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draws.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def posterior(run: Any, items: Any, out: Path | None, force: bool, **options: Any) -> None:
    """Write draws and marginals as netCDF for ArviZ.

    \b
    idata = arviz.from_netcdf("RUN/posterior.nc")
    idata.alignment.marginal.sel(sentence="word").plot.imshow(x="source", y="step")
    """
    from hardpp.data.atomic_files import check_writable
    from hardpp.verbs.output import write_posterior

    path = out or run.path / "posterior.nc"
    check_writable(path, force=force)  # before the work, not after it
    write_posterior(run.task.posterior(run, items, **options), path, force=force)
    click.echo(path)


@main.command()
@read_options
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the pictures [RUN/plots].")
@click.option("--count", type=click.IntRange(1), default=4, show_default=True, help="How many pairs.")
@click.option("--source", "sources", multiple=True, help="Draw the pair of this source instead; repeatable.")
@style_option("png", "svg", "pdf")
@click.option("--force", is_flag=True, help="Overwrite pictures.")
def plot(
    run: Any, items: Any, out: Path | None, count: int, sources: tuple[str, ...], style: str, force: bool
) -> None:
    """Draw heat maps of prior, guide and exact posterior."""
    from hardpp.verbs.output import write_figure

    for name, figure in run.task.pictures(run, items, count, sources):
        path = (out or run.path / "plots") / f"{name}.{style}"
        write_figure(figure, path, force=force)
        click.echo(path)


for _verb in (align, compare, decode, data, models, guides, objectives, doctor):
    main.add_command(_verb)


def _given(tables: dict[str, Any]) -> dict[str, Any]:
    inner = {key: _given(value) if isinstance(value, dict) else value for key, value in tables.items()}
    return {key: value for key, value in inner.items() if value is not None and value != {}}
