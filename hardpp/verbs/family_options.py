"""Options of the command line that are made from what model families declare.

Families are imported when a command needs them and not before, as that takes a second.
"""

from collections.abc import Callable
from functools import cache
from textwrap import fill
from typing import Any, Literal, get_args, get_origin

import click

from hardpp.verbs.family_help import FamilyCommand, asked_family

_HANGING: Any = {"subsequent_indent": " " * 22, "break_on_hyphens": False}


class AlignmentCommand(FamilyCommand):
    """A command with `--format`, one of the forms of alignments that the model families have."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, and the form."""
        from hardpp.tasks.catalogue import families

        *own, help_option = super().get_params(ctx)
        forms = list(dict.fromkeys(form for family in families() for form in family.alignment_forms))
        option = click.Option(
            ["--format", "style"],
            type=click.Choice(forms),
            default=forms[0],
            show_default=True,
            help="Form of the alignments, see below.",
        )
        return [*own, option, help_option]


class SchemaCommand(click.Command):
    """A command with an option for every field of a schema; those not given are left out.

    The schema is asked for when the command is, as that takes a second.
    """

    def __init__(self, *args: Any, schema: Callable[[], Any], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.schema = schema

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, and those of the schema."""
        *own, help_option = super().get_params(ctx)
        fields = self.schema().model_fields
        return [*own, *(_option(key, {"": field}) for key, field in fields.items()), help_option]

    def invoke(self, ctx: click.Context) -> Any:
        """Leaves out options of the schema that were not given: it has defaults."""
        fields = self.schema().model_fields
        ctx.params = {key: v for key, v in ctx.params.items() if v is not None or key not in fields}
        return super().invoke(ctx)


class DecodingCommand(FamilyCommand):
    """A command with the options of decoding of every model family; those not given are left out."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, and the options of decoding."""
        *own, help_option = super().get_params(ctx)
        return [*own, *_decoding_params(), help_option]

    def invoke(self, ctx: click.Context) -> Any:
        """Leaves out options of decoding that were not given: the run has its own."""
        names = {param.name for param in _decoding_params()}
        ctx.params = {key: v for key, v in ctx.params.items() if v is not None or key not in names}
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command's own options, and those of decoding of one family, or their names by family."""
        from hardpp.tasks.catalogue import FAMILIES, family

        options = [param for param in super().get_params(ctx) if isinstance(param, click.Option)]
        own = [option.get_help_record(ctx) for option in options]
        with formatter.section("Options"):
            formatter.write_dl([record for record in own if record is not None])
        name = asked_family(ctx)
        if name is not None:
            fields = family(name).decoding.model_fields
            records = [_option(key, {name: field}).get_help_record(ctx) for key, field in fields.items()]
            with formatter.section(f"Decoding ({name})"):
                formatter.write_dl([record for record in records if record is not None])
            return
        flags = {name: [_flag(key) for key in family(name).decoding.model_fields] for name in FAMILIES}
        with formatter.section("Decoding, by the run's model"):
            for each, words in flags.items():
                start = " " * formatter.current_indent + each.ljust(20)
                line = fill(" ".join(words), formatter.width, initial_indent=start, **_HANGING)
                formatter.write(f"{line}\n")


@cache
def _decoding_params() -> list[click.Option]:
    from hardpp.tasks.catalogue import families

    fields: dict[str, dict[str, Any]] = {}
    for family in families():
        for key, field in family.decoding.model_fields.items():
            fields.setdefault(key, {})[family.name] = field
    return [_option(key, by_family) for key, by_family in fields.items()]


# An option for fields of one name, by the families that have them; "" for a field of all.
def _option(key: str, by_family: dict[str, Any]) -> click.Option:
    from hardpp.tasks.objectives import alternatives

    texts: dict[str, list[str]] = {}
    for name, field in by_family.items():
        texts.setdefault(field.description or "", []).append(name)
    of_one = len(by_family) == 1
    text = ". ".join(text if of_one else f"{', '.join(names)}: {text}" for text, names in texts.items())
    text += " [the run's]."
    fields = list(by_family.values())
    if "" in by_family:
        default = fields[0].default
        text = f"{fields[0].description}{'' if default in (None, False) else f' [{default}]'}."
    kinds = [kind for kind in alternatives(fields[0].annotation) if kind is not type(None)]
    flag = _flag(key)
    if kinds == [bool]:
        return click.Option([flag], is_flag=True, default=None, help=text)
    if words := [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]:
        return click.Option([flag], type=click.Choice(words), help=text)
    if kinds == [str]:
        return click.Option([flag], help=text)
    bounds = [{type(rule).__name__: rule for rule in field.metadata} for field in fields]
    low = min((rules["Ge"].ge for rules in bounds if "Ge" in rules), default=None)
    above = min((rules["Gt"].gt for rules in bounds if "Gt" in rules), default=None)
    high = max((rules["Le"].le for rules in bounds if "Le" in rules), default=None)
    number: Any = click.IntRange if kinds == [int] else click.FloatRange
    within = number(min=above if low is None else low, max=high, min_open=low is None and above is not None)
    return click.Option([flag], type=within, help=text)


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"
