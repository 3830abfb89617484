"""Parts of the help that model families declare: those of the family that is asked about, or of all in brief.

A family is asked about by `--model NAME`, or by a run folder: `hardpp train --model glimpse --help`,
`hardpp evaluate RUN --help`. Families are imported when a command needs them, as that takes a second.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hardpp.tasks.family import Family

TITLES = {
    "layouts": "Data",
    "presets": "Presets",
    "guides": "Guides",
    "figures": "Figures",
    "alignment_forms": "Forms",
    "nbest": "Probabilities",
}
_WORDS = "hardpp.words"  # key of a context: the words of the command line


class FamilyCommand(click.Command):
    """A command whose help ends with what a model family declares under some names, keys of `TITLES`.

    Args:
        declared: those names, with blanks between them.
        settings_of: tables of the configuration whose settings are listed, too.
        default: the family whose sections are shown where none is asked about.
        of_all: are they those of all families then?
    """

    def __init__(
        self,
        *args: Any,
        declared: str = "",
        settings_of: Sequence[str] = (),
        default: str | None = None,
        of_all: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self.declared, self.settings_of = declared.split(), settings_of
        self.default, self.of_all = default, of_all

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keeps the words for the help, which is shown before they are parsed."""
        ctx.meta[_WORDS] = list(args)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The sections of a family, and how to see those of others."""
        from hardpp.tasks.catalogue import FAMILIES, families, family
        from hardpp.tasks.named_classes import plugins

        if not self.declared:
            return
        name = asked_family(ctx)
        one = self.default if name is None else name
        shown = [family(one)] if one is not None else families() if self.of_all else []
        for each in shown:
            for declared in self.declared:
                write_declared(formatter, declared, each)
        if name is not None:
            for table in self.settings_of:
                write_settings(formatter, table, family(name))
        elif not self.of_all:
            others = ", ".join(each for each in (*FAMILIES, *plugins("model")) if each != self.default)
            way = f"--model NAME --help ({others})" if self.default else "RUN --help"
            formatter.write_paragraph()
            formatter.write_text(f"For what goes with one model: {ctx.command_path} {way}.")


def asked_family(ctx: click.Context) -> str | None:
    """The name of the family that the words of a command are about, as far as they say."""
    words: list[str] = ctx.meta.get(_WORDS, [])
    for place, word in enumerate(words):
        if word == "--model" and place + 1 < len(words):
            return words[place + 1]
        if word.startswith("--model="):
            return word.partition("=")[2]
    return next((model for model in map(model_of_run, words) if model is not None), None)


def model_of_run(folder: str) -> str | None:
    """The model family that a run folder names; None if it is none, or cannot be read."""
    try:
        model = tomllib.loads((Path(folder) / "config.toml").read_text(encoding="utf-8")).get("model")
    except (OSError, ValueError):
        return None
    return model if isinstance(model, str) else None


def write_declared(formatter: click.HelpFormatter, declared: str, family: "Family") -> None:
    """Writes what a family declares under a key of `TITLES` as a section, unless that is nothing."""
    value: Any = getattr(family, declared)
    if isinstance(value, str):
        value = {"--nbest, --scores": f"of {value}"}
    rows = {name: getattr(what, "summary", what) for name, what in (value or {}).items()}
    if declared == "layouts":
        rows = {"a name": ", ".join(family.data_sets), **rows}
    _write(formatter, f"{TITLES[declared]} ({family.name})", rows)


def write_settings(formatter: click.HelpFormatter, table: str, family: "Family") -> None:
    """Writes the settings of a table of the configuration that a family has the schema of."""
    fields = getattr(family, table).model_fields
    rows = {f"{table}.{key}": field.description or "" for key, field in fields.items()}
    _write(formatter, f"--set {table}.KEY=VALUE ({family.name})", rows)


def _write(formatter: click.HelpFormatter, title: str, rows: Mapping[str, str]) -> None:
    if rows:
        with formatter.section(title):
            formatter.write_dl(list(rows.items()))
