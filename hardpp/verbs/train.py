"""`hardpp train`: trains a model and evaluates it."""

from pathlib import Path
from typing import Any

import click

from hardpp.errors import UsageError
from hardpp.runs.processes.process_rank import size
from hardpp.verbs.exit_codes import report
from hardpp.verbs.family_help import FamilyCommand
from hardpp.verbs.options import PATH, choice_option, reads_stream
from hardpp.verbs.tables import figures_table, table


@click.command(
    cls=FamilyCommand, declared="layouts presets guides", settings_of=("data", "network"), default="alignment"
)
@click.option("--model", help="Model family [alignment]: `hardpp models` lists them; see below.")
@click.option("--guide", help="Guide [recommended for the objective]: `hardpp guides` lists them; see below.")
@click.option("--objective", help="Objective [the model's]: `hardpp objectives` lists them; see below.")
@click.option("--data", help="Data set, or file or folder of your own [the model's]; see below.")
@click.option("--preset", help="Sizes and settings to start from [small]; see below.")
@click.option("--particles", type=int, help="Draws of the guide for each datum and step.")
@click.option("--seed", type=int, help="Seed of weights, batches and draws [0].")
@click.option("--seeds", metavar="0,1,2", help="Train a run with each, and report mean and standard error.")
@click.option("--device", help="auto, cpu or cuda [auto: cuda when there is one].")
@click.option("--threads", help="CPU threads: a number, or auto [auto: as many as make steps quickest].")
@click.option("--max-steps", type=int, help="Stop after so many optimiser steps.")
@click.option("--max-epochs", type=int, help="Stop after so many passes over the data.")
@click.option("--checkpoint-every", type=int, help="Steps between checkpoints, besides every epoch's end.")
@click.option(
    "--auto-batch",
    is_flag=True,
    default=None,
    help="Cut batches that memory cannot hold into parts, and add up their gradients.",
)
@click.option(
    "--compile",
    is_flag=True,
    default=None,
    help="Have torch compile networks that convolve images: minutes at the start, for quicker steps.",
)
@click.option("--config", "config_file", type=PATH, help="TOML file with settings.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="e.g. network.dropout=0.2 (all: hardpp models NAME); repeatable.",
)
@click.option(
    "--then",
    multiple=True,
    metavar="'OBJECTIVE KEY=VALUE ...'",
    help="A stage that follows, e.g. 'enum training.max_epochs=10'; repeatable.",
)
@click.option(
    "--out",
    type=PATH,
    help="Run folder [runs/MODEL-GUIDE-OBJECTIVE-SEED]; of --seeds the folder of folders seed-0, ...",
)
@click.option(
    "--evaluate",
    type=click.Choice(["none", "quick", "full"]),
    help="How much of the test part is evaluated afterwards; quick is its first 200 items [full, but quick "
    "where the training takes fewer data than the test part has].",
)
@click.option(
    "--log",
    multiple=True,
    metavar="tensorboard|wandb|mlflow",
    help="Tell a tracker, too; one that fails does not stop the training; repeatable.",
)
@choice_option("--resume", words=["auto", "never"], help="Go on with a run?")
@click.option("--init-from", type=PATH, help="Begin with the weights of another run.")
@click.option("--on-bad", help="Data that cannot be used: stop, or skip and say so [stop].")
@click.option(
    "--dry-run", is_flag=True, help="Build everything, print parameters and dev bound; write nothing."
)
@click.option(
    "--profile",
    is_flag=True,
    help="Take 25 steps, say what they spend their time on, and leave a trace beside where the run would be.",
)
@click.option("--force", is_flag=True, help="Overwrite the run folder.")
def train(
    config_file: Path | None,
    settings: tuple[str, ...],
    then: tuple[str, ...],
    dry_run: bool,
    profile: bool,
    seeds: str | None,
    evaluate: str | None,
    **options: Any,
) -> None:
    """Train a model and evaluate it on the test part.

    Leaves a run folder with configuration, metrics.jsonl, checkpoints and summary.json. The same command
    goes on with a run that was interrupted; with more --max-epochs or --max-steps it prolongs the run, whose
    learning rate follows the longer schedule from there on.

    Settings are merged in this order, later ones win: preset, --config, --set, the options above. A run may
    have stages: each --then goes on with the best weights so far and another objective (and guide=,
    optimiser.*, training.*, network.* of its own); --set stage.NAME.KEY=VALUE is for one stage, and --set
    stages=NAME,... runs some only.

    Model, guide and objective are also classes of your own, package.module:Class (mine:Diagonal is the class
    Diagonal of a module in the working folder), or entry points of installed packages. The class of a guide
    says by for_model(cls, parts, description) how it is made for a model; one whose constructor needs no
    arguments may leave that out. CONTRIBUTING.md has the whole of it.
    """
    from hardpp.config import parse_setting, read_toml
    from hardpp.runs.new_run import configuration, default_folder
    from hardpp.runs.profiling import profile_steps
    from hardpp.runs.session import Session
    from hardpp.runs.several_seeds import parse_seeds, train_seeds
    from hardpp.runs.training import run_in_folder
    from hardpp.tasks.sizes import sizes

    out, resume, force, log = (options.pop(name) for name in ("out", "resume", "force", "log"))
    how = {"resume": resume == "auto", "force": force, "evaluate": evaluate or "auto", "log": log}
    if (threads := options["threads"]) is not None and threads.isdecimal():
        options["threads"] = int(threads)
    if dry_run and profile:
        raise click.UsageError("--dry-run takes no step that --profile could look at: give one of them")
    if profile and size() > 1:
        raise UsageError("--profile looks at the steps of one process: give it without torchrun")
    if seeds is not None and (options["seed"] is not None or dry_run or profile):
        raise click.UsageError("--seeds goes with none of --seed, --dry-run and --profile")
    layers = [read_toml(config_file)] if config_file else []
    options["then"] = list(then) or None
    layers += [parse_setting(text) for text in settings]
    if seeds is not None:
        configs = [configuration(layers, **{**options, "seed": seed}) for seed in parse_seeds(seeds)]
        click.echo(table(train_seeds(configs, out, report, **how), "table"))
        return
    config = configuration(layers, **options)
    if dry_run:
        session = Session(config.stages()[0], report)
        click.echo(table(sizes(session.family, config, session.description), "table"))
        click.echo(f"dev bound before training: {session.dev_bound():.4f} nats {session.family.unit}")
        return
    if size() > 1 and reads_stream({"data": config.data.name}):
        what = f"{config.data.name} can be read by one process, and {size()} train"
        raise UsageError(what, "write it to a file, which each of them reads")
    if profile:
        run = out or default_folder(config)
        trace = run.with_name(f"{run.name}.trace.json")
        found = profile_steps(Session(config.stages()[0], report), trace)
        click.echo(table(found.costs, "table"))
        for sentence in found.sentences():
            click.echo(sentence)
        report(f"trace: {trace}, for ui.perfetto.dev or chrome://tracing")
        return
    _, figures = run_in_folder(config, out or default_folder(config), report=report, **how)
    if figures:
        click.echo(figures_table(figures, "table"))
