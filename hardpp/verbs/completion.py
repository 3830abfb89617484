"""`hardpp completion`, and what a shell completes besides verbs and options: names of what there is.

Names come from a file in the cache, since importing all that has names takes seconds; it is written anew when
the package has changed.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class
from click.types import StringParamType

from hardpp.verbs.family_help import model_of_run

# Which names a parameter takes, by verb and parameter or by the parameter alone.
_KINDS = {
    **{"model": "models", "guide": "guides", "objective": "objectives", "data": "data", "preset": "presets"},
    **{"settings": "settings", "models name": "models", "objectives name": "objectives"},
    "fetch names": "data",
}
_ADDED = {"models": "model", "guides": "guide", "objectives": "objective", "data": "data set"}  # by others


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that makes a shell complete verbs, options, names and settings.

    \b
    eval "$(hardpp completion bash)"                                        a line for ~/.bashrc
    eval "$(hardpp completion zsh)"                                         for ~/.zshrc, after compinit
    hardpp completion fish > ~/.config/fish/completions/hardpp.fish         once
    """
    kind = get_completion_class(shell)
    assert kind is not None  # the shells are those that click knows
    root = click.get_current_context().find_root().command
    click.echo(kind(root, {}, "hardpp", "_HARDPP_COMPLETE").source())


class Names(StringParamType):
    """A text that is completed by names of one kind; a user's own data by files, too."""

    def __init__(self, kind: str):
        self.kind = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names that begin so, of the model family that is asked about."""
        words = [str(value) for value in ctx.params.values() if isinstance(value, str | Path)]
        models = (model_of_run(word) for word in words)
        model = ctx.params.get("model") or next(filter(None, models), "alignment")
        found = [name for name in known_names(self.kind, model) if name.startswith(incomplete)]
        if not found and self.kind == "data":
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(name) for name in found]


def complete_names(command: click.Command) -> None:
    """Lets the parameters of a command, or of all commands of a group, complete names."""
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        complete_names(inner)
    for param in command.params:
        kind = _KINDS.get(f"{command.name} {param.name}") or _KINDS.get(str(param.name))
        if kind is not None and isinstance(param.type, StringParamType):
            param.type = Names(kind)


def known_names(kind: str, model: str = "alignment") -> list[str]:
    """Names of a kind, of one model family where each has its own, and those that installed packages add."""
    from hardpp.tasks.named_classes import plugins

    names = _cached()[kind]
    ours = names.get(model, ()) if isinstance(names, dict) else names
    return [*ours, *(plugins(_ADDED[kind]) if kind in _ADDED else ())]


def _cached() -> dict[str, Any]:
    from hardpp.data.atomic_files import write_file
    from hardpp.data.fetch.cache import cache_folder
    from hardpp.errors import HardppError

    package = Path(__file__).parents[1]
    changed = max(path.stat().st_mtime_ns for path in package.rglob("*.py"))
    path = cache_folder() / "completion.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["changed"] == [str(package), changed]:
            return dict(stored["names"])
    names = _collected()
    stored = {"changed": [str(package), changed], "names": names}
    with suppress(HardppError, OSError):  # names are told even if they cannot be kept
        write_file(path, json.dumps(stored).encode(), force=True)
    return names


def _collected() -> dict[str, Any]:
    from hardpp.tasks.catalogue import FAMILIES, family
    from hardpp.tasks.configuration import resolve
    from hardpp.tasks.listing import list_settings
    from hardpp.tasks.objectives import OBJECTIVES

    families = {name: family(name) for name in FAMILIES}
    settings = {name: list_settings(resolve([{"model": name}])) for name in families}
    return {
        "models": list(families),
        "objectives": list(OBJECTIVES),
        "guides": {name: list(each.guides) for name, each in families.items()},
        "presets": {name: list(each.presets) for name, each in families.items()},
        "data": {name: list(each.data_sets) for name, each in families.items()},
        "settings": {name: [f"{row['setting']}=" for row in rows] for name, rows in settings.items()},
    }
