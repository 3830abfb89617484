"""`hardpp train`: trains a model and evaluates it."""

from pathlib import Path
from typing import Any

import click

from hardpp.verbs.exit_codes import report
from hardpp.verbs.family_help import FamilyCommand
from hardpp.verbs.options import PATH, choice_option
from hardpp.verbs.tables import figures_table, table


@click.command(
    cls=FamilyCommand, declared="layouts guides", settings_of=("data", "network"), default="alignment"
)
@click.option("--model", help="Model family [alignment]; see `hardpp models`.")
@click.option("--guide", help="Guide [recommended: `hardpp models NAME --objective ...`].")
@click.option("--objective", help="Objective [the model's: `hardpp models`]; see `hardpp objectives`.")
@click.option("--data", help="Data set, or file or folder of your own [the model's]; see below.")
@click.option("--preset", help="Sizes and settings to start from: small or paper [small].")
@click.option("--particles", type=int, help="Draws of the guide for each datum and step.")
@click.option("--seed", type=int, help="Seed of weights, batches and draws [0].")
@click.option("--device", help="auto, cpu or cuda [auto: cuda when there is one].")
@click.option("--max-steps", type=int, help="Stop after so many optimiser steps.")
@click.option("--max-epochs", type=int, help="Stop after so many passes over the data.")
@click.option("--checkpoint-every", type=int, help="Steps between checkpoints, besides every epoch's end.")
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
@click.option("--out", type=PATH, help="Run folder [runs/MODEL-GUIDE-OBJECTIVE-SEED].")
@choice_option("--resume", words=["auto", "never"], help="Go on with a run?")
@click.option("--init-from", type=PATH, help="Begin with the weights of another run.")
@click.option("--on-bad", help="Data that cannot be used: stop, or skip and say so [stop].")
@click.option(
    "--dry-run", is_flag=True, help="Build everything, print parameters and dev bound; write nothing."
)
@click.option("--force", is_flag=True, help="Overwrite the run folder.")
def train(
    config_file: Path | None,
    settings: tuple[str, ...],
    then: tuple[str, ...],
    dry_run: bool,
    **options: Any,
) -> None:
    """Train a model and evaluate it on the test part.

    Leaves a run folder with configuration, metrics.jsonl, checkpoints and summary.json. The same command
    goes on with a run that was interrupted. Settings are merged in this order, later ones win: preset,
    --config, --set, the options above. A run may have stages: each --then goes on with the best weights so
    far and another objective (and guide=, optimiser.*, training.*, network.* of its own); --set
    stage.NAME.KEY=VALUE is for one stage, and --set stages=NAME,... runs some only.
    """
    from hardpp.config import parse_setting, read_toml
    from hardpp.runs.new_run import configuration, default_folder
    from hardpp.runs.session import Session
    from hardpp.runs.training import run_in_folder
    from hardpp.tasks.sizes import sizes

    out, resume, force = (options.pop(name) for name in ("out", "resume", "force"))
    layers = [read_toml(config_file)] if config_file else []
    options["then"] = list(then) or None
    config = configuration([*layers, *(parse_setting(text) for text in settings)], **options)
    if dry_run:
        session = Session(config.stages()[0], report)
        click.echo(table(sizes(session.family, config, session.description), "table"))
        click.echo(f"dev bound before training: {session.dev_bound():.4f} nats {session.family.unit}")
        return
    folder = out or default_folder(config)
    _, figures = run_in_folder(config, folder, resume=resume == "auto", force=force, report=report)
    click.echo(figures_table(figures, "table"))
