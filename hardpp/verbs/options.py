"""Options that several verbs have."""

from collections.abc import Callable
from functools import cache, partial, wraps
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click

from hardpp.verbs.exit_codes import report


def style_option(*styles: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--format`; the first style is the default."""
    return click.option(
        "--format", "style", type=click.Choice(styles), default=styles[0], show_default=True, help="Style."
    )


def open_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which run is opened, and how: the command is given the opened `run`."""

    @click.argument("run", type=click.Path(path_type=Path))
    @click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where to compute.",
    )
    @click.option(
        "--trust",
        is_flag=True,
        help="Import the classes that the run's config.toml names (package.module:Class).",
    )
    @wraps(command)
    def wrapped(run: Path, device: str, trust: bool, **options: Any) -> Any:
        from hardpp.runs.folder import open_run

        return command(run=open_run(run, device, trust=trust, report=report), **options)

    return wrapped


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every verb that reads a run: which data, how many, on which device.

    The command is given the opened `run`, and `select`, which reads the data that was asked for.
    """

    @open_options
    @click.option("--data", help="Other data than the run's own: a name, file or folder.")
    @click.option(
        "--part",
        type=click.Choice(["train", "dev", "test", "all"]),
        help="Part of the data [test; all of a file, or pair of files, given by --data].",
    )
    @click.option("--limit", type=click.IntRange(1), help="Only the first so many.")
    @wraps(command)
    def wrapped(run: Any, data: str | None, part: str | None, limit: int | None, **options: Any) -> Any:
        return command(run=run, select=partial(run.select, data, part, limit, report), **options)

    return wrapped


def read_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same of a verb that always reads data: the command is given `items` instead of `select`."""

    @run_options
    @wraps(command)
    def wrapped(select: Callable[[], Any], **options: Any) -> Any:
        return command(items=select(), **options)

    return wrapped


def opened_backward(run: Any, backward: Path | None) -> Any:
    """The run of `--both-ways`, opened; None if there is none.

    Raises:
        UsageError: one of the two runs has no links of words.
    """
    from hardpp.runs.folder import open_run

    other = None if backward is None else open_run(backward, str(run.device.type), report=report)
    for linked in (run, other):
        if linked is not None and not linked.family.word_links:
            raise click.UsageError(f"{linked.path}: model {linked.family.name} has no links of words")
    return other


class AlignmentCommand(click.Command):
    """A command with `--format`, one of the forms of alignments that the model families have."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, and the form."""
        *own, help_option = super().get_params(ctx)
        names = list(dict.fromkeys(name for _, name, _ in _alignment_forms()))
        form = click.Option(
            ["--format", "style"],
            type=click.Choice(names),
            default=names[0],
            show_default=True,
            help="Form of the alignments, see below.",
        )
        return [*own, form, help_option]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each family's forms."""
        with formatter.section("Forms"):
            formatter.write_dl([(f"{form} ({model})", what) for model, form, what in _alignment_forms()])


@cache
def _alignment_forms() -> list[tuple[str, str, str]]:
    from hardpp.tasks.catalogue import FAMILIES, family

    return [
        (model, name, form.summary)
        for model in FAMILIES
        for name, form in family(model).alignment_forms.items()
    ]


class DecodingCommand(click.Command):
    """A command with the options of decoding of every model family; only those that are given are passed on.

    They are made from the families' schemas when they are needed, as importing families takes a second.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, and the options of decoding."""
        *own, help_option = super().get_params(ctx)
        return [*own, *_decoding_params(), help_option]

    def invoke(self, ctx: click.Context) -> Any:
        """Leaves out options of decoding that were not given: the run has its own."""
        names = {param.name for param in _decoding_params()}
        ctx.params = {key: v for key, v in ctx.params.items() if v is not None or key not in names}
        return super().invoke(ctx)


@cache
def _decoding_params() -> list[click.Option]:
    from hardpp.tasks.catalogue import FAMILIES, family

    fields: dict[str, dict[str, Any]] = {}
    for name in FAMILIES:
        for key, field in family(name).decoding.model_fields.items():
            fields.setdefault(key, {})[name] = field
    return [_decoding_option(key, by_family) for key, by_family in fields.items()]


def _decoding_option(key: str, by_family: dict[str, Any]) -> click.Option:
    texts: dict[str, list[str]] = {}
    for name, field in by_family.items():
        texts.setdefault(field.description or "", []).append(name)
    text = "; ".join(f"{', '.join(names)}: {text}" for text, names in texts.items())
    fields = list(by_family.values())
    kinds = [
        kind for kind in get_args(fields[0].annotation) or (fields[0].annotation,) if kind is not type(None)
    ]
    flag = f"--{key.replace('_', '-')}"
    if kinds == [bool]:
        return click.Option([flag], is_flag=True, default=None, help=f"{text} [the run's].")
    bounds = [{type(rule).__name__: rule for rule in field.metadata} for field in fields]
    low = min((rules["Ge"].ge for rules in bounds if "Ge" in rules), default=None)
    high = max((rules["Le"].le for rules in bounds if "Le" in rules), default=None)
    words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    kind: click.ParamType[Any] = (
        click.Choice(words)
        if words
        else (click.IntRange if kinds == [int] else click.FloatRange)(min=low, max=high)
    )
    return click.Option([flag], type=kind, help=f"{text} [the run's].")
