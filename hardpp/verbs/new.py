"""Beginning a guide, objective or model family of one's own."""

from pathlib import Path

import click

from hardpp.verbs.exit_codes import report
from hardpp.verbs.options import PATH


@click.command()
@click.argument("kind", type=click.Choice(["guide", "objective", "model"]))
@click.argument("name")
@click.option("--out", "folder", type=PATH, default=Path("."), help="In which folder [the working folder].")
def new(kind: str, name: str, folder: Path) -> None:
    """Write a small package to begin with: a KIND, guide, objective or model, of a NAME.

    \b
    hardpp new guide monotone      monotone/monotone.py, its tests, pyproject.toml, README.md

    It works as it is: its README has the commands that check it, train it and plot what it has learnt.
    """
    from hardpp.tasks.new_package import new_package

    for path in new_package(kind, name, folder):
        click.echo(path)
    report(f"next: cd {folder / name}; README.md there says how to check it and to train with it")
