"""Options that several verbs have."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from hardpp.runs.processes.process_rank import rank, size
from hardpp.verbs.exit_codes import report, report_detail, warn

SHARED = ("evaluate", "decode", "align", "posterior", "design")  # verbs that several processes may share
PATH = click.Path(path_type=Path)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def choice_option(*names: str, words: Sequence[str], default: str = "", help: str) -> Decorator:
    """An option that is one of some words, by default the first."""
    return click.option(
        *names, type=click.Choice(words), default=default or words[0], show_default=True, help=help
    )


def style_option(*styles: str) -> Decorator:
    """`--format`; the first style is the default."""
    return choice_option("--format", "style", words=styles, help="Style.")


_DEVICE = choice_option("--device", words=["auto", "cpu", "cuda"], help="Where to compute.")
_TRUST = click.option(
    "--trust",
    is_flag=True,
    help="Import the classes that the run's config.toml names (package.module:Class).",
)
checkpoint_option = click.option(
    "--checkpoint",
    metavar="NAME",
    default="best",
    show_default=True,
    help="Whose weights: best, latest, or step-00001000.",
)
_DATA = click.option("--data", help="Other data than its own: a name, file or folder.")
_PART = click.option(
    "--part",
    type=click.Choice(["train", "dev", "test", "all"]),
    help="Part of the data [test; all of --data that has no parts: a file, or pair of files, or folder].",
)
on_bad_option = click.option(
    "--on-bad",
    type=click.Choice(["stop", "skip"]),
    help="Data that cannot be used: stop, or skip and say so [as the run was trained].",
)
_LIMIT = click.option("--limit", type=click.IntRange(1), help="Only the first so many.")


def opened_run(path: Path, device: str, trust: bool, checkpoint: str = "best") -> Any:
    """The opened run of a folder, on so many threads as it was trained with, unless it is on another device.

    More threads than training found quickest would slow it down. Where torchrun has started several
    processes, they share the work of some verbs, each on as many threads as torchrun says.
    """
    from hardpp.runs.folder import open_run
    from hardpp.runs.threads import as_trained

    context = click.get_current_context()
    if size() > 1 and context.find_root().invoked_subcommand in SHARED:
        if not reads_stream(context.params):
            from hardpp.runs.processes.shared_answers import sharing

            of_all = sharing(device)  # first: it says which GPU is whose
            run = open_run(path, device, trust=trust, checkpoint=checkpoint, report=warn)
            return replace(run, sharing=of_all)
        if rank():
            context.exit()
    run = open_run(path, device, trust=trust, checkpoint=checkpoint, report=warn)
    as_trained(run)
    report_detail(f"{run!r}: step {run.step}, on {run.device}")
    return run


def reads_stream(params: Mapping[str, Any]) -> bool:
    """Can what is read be read by one process alone, as standard input and pipes are?"""
    paths = [Path(str(params[name])) for name in ("data", "file") if params.get(name) is not None]
    return any(str(path) == "-" or path.is_fifo() or path.is_char_device() for path in paths)


def open_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which run is opened, and how: the command is given the opened `run`."""

    @click.argument("run", type=PATH)
    @_DEVICE
    @_TRUST
    @checkpoint_option
    @wraps(command)
    def wrapped(run: Path, device: str, trust: bool, checkpoint: str, **options: Any) -> Any:
        return command(run=opened_run(run, device, trust, checkpoint), **options)

    return wrapped


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every verb that reads a run: which data, how many, on which device.

    The command is given the opened `run`, and `select`, which reads the data that was asked for; it may be
    given another way to read than `run.select`.
    """

    @open_options
    @_DATA
    @_PART
    @_LIMIT
    @on_bad_option
    @wraps(command)
    def wrapped(
        run: Any,
        data: str | None,
        part: str | None,
        limit: int | None,
        on_bad: str | None,
        **options: Any,
    ) -> Any:
        def select(read: Callable[..., Any] = run.select) -> Any:
            began = time.monotonic()
            items = read(data, part, limit, report, on_bad)
            report_detail(f"read {data or run.config.data.name} in {time.monotonic() - began:.1f} s")
            return items

        return command(run=run, select=select, **options)

    return wrapped


def read_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same of a verb that always reads data: the command is given `items` instead of `select`."""

    @run_options
    @wraps(command)
    def wrapped(select: Callable[[], Any], **options: Any) -> Any:
        return command(items=select(), **options)

    return wrapped


def several_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same of a verb that reads several runs: the command is given their paths, `runs`, and `opened`.

    That takes one of them and gives the opened run and its items.
    """

    @click.argument("runs", nargs=-1, required=True, type=PATH, metavar="RUN...")
    @_DEVICE
    @_TRUST
    @checkpoint_option
    @_DATA
    @_PART
    @_LIMIT
    @on_bad_option
    @wraps(command)
    def wrapped(
        device: str,
        trust: bool,
        checkpoint: str,
        data: str | None,
        part: str | None,
        limit: int | None,
        on_bad: str | None,
        **options: Any,
    ) -> Any:
        def opened(path: Path) -> tuple[Any, Any]:
            run = opened_run(path, device, trust, checkpoint)
            return run, run.select(data, part, limit, report, on_bad)

        return command(opened=opened, **options)

    return wrapped


unknown_option = choice_option(
    "--unknown", words=["warn", "stop"], help="At symbols that training never saw."
)


def sampling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--draws` and `--seed` of verbs that draw from a guide."""

    @click.option(
        "--draws", type=click.IntRange(1), default=100, show_default=True, help="Draws of the guide."
    )
    @click.option(
        "--seed", type=click.IntRange(0), help="Seed of the draws [decoding.seed of the run, or 0]."
    )
    @wraps(command)
    def wrapped(**options: Any) -> Any:
        return command(**options)

    return wrapped


def opened_backward(run: Any, backward: Path | None) -> Any:
    """The run of `--both-ways`, opened, or None; both runs must have links of words."""
    from hardpp.runs.folder import open_run

    trust = click.get_current_context().params["trust"]
    device = str(run.device.type)
    other = None if backward is None else open_run(backward, device, trust=trust, report=warn)
    for linked in (run, other):
        if linked is not None and not linked.family.word_links:
            raise click.UsageError(f"{linked.path}: model {linked.family.name} has no links of words")
    return other
