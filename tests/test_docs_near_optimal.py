"""The page on near-optimal glimpse sequences is true: commands and options are those of the code."""

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hardpp.cli import main
from hardpp.config import parse_setting
from hardpp.data.images.glimpse_sequence_header import KEYS
from hardpp.tasks.configuration import resolve
from hardpp.tasks.designing import DesignOptions
from hardpp.tasks.masked_image.family import FEW, MANY, MaskedImageFamily

PAGE = (Path(__file__).parents[1] / "docs" / "near_optimal.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    hardpp ((?:.+?\\\n)*.+?)(?:\s+#.*)?$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_possible(command: str) -> None:
    verb, *words = command.replace("\\\n", " ").split()
    known: set[str] = set()
    group = main.commands[verb]
    if verb == "sequences":
        group = group.commands[words.pop(0)]  # type: ignore[attr-defined]
    with group.make_context(verb, ["--help"], resilient_parsing=True) as context:
        known = {name for option in group.get_params(context) for name in option.opts}
    assert {word for word in words if word.startswith("--")} <= known
    if verb == "train":
        layers: list[dict[str, Any]] = [{}]
        layers += [parse_setting(words[n + 1]) for n, word in enumerate(words) if word == "--set"]
        given = {word: words[n + 1] for n, word in enumerate(words) if word.startswith("--")}
        top = {key: given[f"--{key}"] for key in ("model", "guide", "preset") if f"--{key}" in given}
        if "data" in layers[0] and "sequences" in layers[0]["data"]:
            layers.append({"data": {"sequences": __file__}})
        resolve([top, *layers])


def test_stages_options_and_header_are_as_told() -> None:
    assert [MaskedImageFamily.before[0].name, MaskedImageFamily.stage] == [MANY, FEW]
    assert f"`{MANY}`" in PAGE
    assert f"`{FEW}`" in PAGE
    for option in re.findall(r"`--(\w+)(?: [^`]*)?`", PAGE):
        names = {*DesignOptions.model_fields, "completion", "maps", "sequences", "policy", "model", "data"}
        assert option in names, option
    assert re.findall(r"^    # (\w+): ", PAGE, re.MULTILINE) == [*KEYS]
    for name in MaskedImageFamily.figures:
        first = name.split(",")[0]
        assert first in ("images", "seen", "accuracy", "nll", "glimpses") or f"`{first}" in PAGE, name


def test_help_names_every_option() -> None:
    text = CliRunner().invoke(main, ["design", "--help"]).output
    assert all(f"--{name}" in text for name in DesignOptions.model_fields)
