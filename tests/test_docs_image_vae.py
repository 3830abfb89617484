"""The page on completion by a learnt sampler is true: its block runs, its commands and settings exist."""

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from image_files import write_idx

import hardpp
from hardpp.cli import main
from hardpp.config import parse_setting
from hardpp.tasks.catalogue import family
from hardpp.tasks.configuration import resolve

PAGE = (Path(__file__).parents[1] / "docs" / "image_vae.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^ +hardpp (.+?)(?:\s+#.*)?$", PAGE, re.MULTILINE)
SMALL: dict[str, Any] = {
    "network": {"glimpses": 2, "patch": 4, "cells": 3, "code": 3, "planes": [4, 4], "hidden": 8},
    "training": {"max_epochs": 1, "batch_size": 8},
}


def test_the_block_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_idx(Path("digits"), side=12)
    hardpp.train("image-vae", data="digits", settings=SMALL, report=lambda _: None)
    exec(compile(BLOCK, "docs/image_vae.md", "exec"), {})
    assert "[50, 1, 12, 12]" in capsys.readouterr().out


@pytest.mark.parametrize("line", COMMANDS)
def test_every_verb_and_option_shown_exists(line: str) -> None:
    verb, *words = line.split()
    shown = CliRunner().invoke(main, [verb, "--help"])
    assert shown.exit_code == 0
    assert all(word in shown.output for word in words if word.startswith("--"))


@pytest.mark.parametrize("line", [line.removeprefix("train ") for line in COMMANDS if "train " in line])
def test_settings_shown_go_together(line: str) -> None:
    words = line.split()
    flags = {
        word[2:].replace("-", "_"): words[place + 1]
        for place, word in enumerate(words)
        if word.startswith("--") and word not in ("--set", "--out")
    }
    shown = [parse_setting(words[place + 1]) for place, word in enumerate(words) if word == "--set"]
    assert resolve([*shown, flags]).model == "image-vae"


def test_the_stages_are_those_of_the_family() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .*? \| `([\w-]+)` \| `([\w-]+)` \| `([\w-]+)` \|$", PAGE, re.MULTILINE)
    stages = resolve([{"model": "image-vae"}]).stages()
    found = [(stage.stage, stage.objective, stage.guide, stage.network["prior"]) for stage in stages]
    assert rows == found


def test_settings_and_their_defaults_are_those_of_the_networks() -> None:
    fields = family("image-vae").network.model_fields
    table = PAGE.partition("| `--set network.` |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", table, re.MULTILINE)
    names = [name for cell, _ in rows for name in re.findall(r"`(\w+)`", cell)]
    assert {*names, "prior"} == set(fields)
    shown = [value for _, cell in rows for value in re.findall(r"\[[\d,]+\]|\w+", cell)]
    assert shown == [str(fields[name].default).replace(" ", "").replace("None", "none") for name in names]
