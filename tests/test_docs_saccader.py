"""The page on Saccader is true: its block runs, and commands, settings and counts are those of the code."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import hardpp
from hardpp.cli import main
from hardpp.config import RunConfig, parse_setting
from hardpp.tasks.catalogue import family
from hardpp.tasks.configuration import resolve
from hardpp.tasks.labelled_images import ImagesDescription
from hardpp.tasks.objectives import OBJECTIVES, options_of
from hardpp.tasks.saccader.family import SCENES, SaccaderFamily
from hardpp.tasks.saccader.policies import POLICIES

PAGE = (Path(__file__).parents[1] / "docs" / "saccader.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^ +hardpp (.+?)(?:\s+#.*)?$", PAGE, re.MULTILINE)
TRAININGS = [line.removeprefix("train ") for line in COMMANDS if line.startswith("train ")]
SECOND = """
import torch

class Second(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.readout = torch.nn.Linear(3, classes)

    def forward(self, patches):
        return self.readout(patches.mean((-2, -1)))
"""
SMALL: dict[str, Any] = {
    "network": {"stem": 4, "planes": [4], "blocks": [1], "strides": [2], "wide": [1], "glimpses": 3},
    "data": {"side": 21},
    "training": {"max_epochs": 1, "batch_size": 8},
    "stages": ["joint"],
}


def test_the_block_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("my_networks.py").write_text(SECOND)
    noise = np.random.default_rng(0)
    for part, count in (("train", 24), ("test", 8)):
        for name, colour in (("blue", (0, 0, 200)), ("red", (220, 0, 0))):
            Path("pictures", part, name).mkdir(parents=True)
            for number in range(count):
                pixels = noise.integers(90, 130, (64, 64, 3), dtype=np.uint8)
                pixels[8:50, 8:50] = colour
                Image.fromarray(pixels).save(Path("pictures", part, name, f"{number}.png"))
    trained = hardpp.train("saccader", data="pictures", settings=SMALL, report=lambda _: None)
    first = trained.select().names[0]
    (block,) = BLOCKS
    block = block.replace('"test/0"', repr(first)).replace('"test-0"', repr(re.sub(r"\W", "-", first)))
    exec(compile(block, "docs/saccader.md", "exec"), names := {})
    assert float(capsys.readouterr().out.splitlines()[-1]) == 1
    assert Path("looked.png").stat().st_size > 0
    assert len(names["frames"]) == 3  # type: ignore[arg-type]
    shutil.rmtree("runs")


@pytest.mark.parametrize("line", COMMANDS)
def test_every_verb_and_option_shown_exists(line: str) -> None:
    verb, *words = line.split()
    shown = CliRunner().invoke(main, [verb, "--help"])
    assert shown.exit_code == 0
    assert all(word in shown.output for word in words if word.startswith("--"))


@pytest.mark.parametrize("line", TRAININGS)
def test_settings_shown_go_together(line: str) -> None:
    words = line.split()
    flags = {word[2:]: words[place + 1] for place, word in enumerate(words) if word.startswith("--")}
    for apart in ("set", "data", "out", "init-from"):
        flags.pop(apart, None)
    shown = [parse_setting(words[place + 1]) for place, word in enumerate(words) if word == "--set"]
    assert resolve([*shown, flags]).model == "saccader"


def test_every_setting_shown_exists() -> None:
    sections = {name: [getattr(SaccaderFamily, name)] for name in ("data", "network", "decoding")}
    sections |= {name: [RunConfig.model_fields[name].annotation] for name in ("optimiser", "training")}
    sections["inference"] = [options_of(spec) for spec in OBJECTIVES.values()]
    found = set(re.findall(rf"\b((?:{'|'.join(sections)})\.\w+)\b(?!\()", PAGE)) - {"network.py"}
    assert len(found) > 8
    for setting in found:
        section, key = setting.split(".")
        assert any(key in schema.model_fields for schema in sections[section]), setting


def test_the_stages_are_those_of_the_family() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .*? \| `([\w-]+)`.* \| `([\w-]+)` \|$", PAGE, re.MULTILINE)
    stages = resolve([{"model": "saccader"}]).stages()
    assert rows == [(stage.stage, stage.objective, stage.guide) for stage in stages]


def test_presets_and_counts_are_those_of_the_networks() -> None:
    model, listed = family("saccader"), set()
    pattern = r"^\| (`.+?) \| (\d+) \| (\d+) / (\d+) / (\d+) x \d+" + r" \| ([\d,]+)" * 4 + r" \|$"
    for names, *cells in re.findall(pattern, PAGE, re.MULTILINE):
        for name in re.findall(r"`(\w+)`", names):
            listed.add(name)
            config = resolve([{"model": "saccader", "preset": name}])
            side = config.data.side  # type: ignore[attr-defined]
            classes = [str(number) for number in range(10)]
            description = ImagesDescription(classes=classes, size=[3, side, side], fingerprint="")
            program = model.parts(model.network(**config.network), description).model
            bag, field = program.representation, program.representation.field
            found = [side, *field, field.places(side)]
            for module in (bag, program.attention):
                found.append(sum(parameter.numel() for parameter in module.parameters()))
                kept = dict(module.named_buffers())
                found.append(sum(kept[key].numel() for key in kept if "running" in key))
            assert [int(cell.replace(",", "")) for cell in cells] == found
    assert listed == set(model.presets)


def test_policies_and_data_shown_are_those_on_offer() -> None:
    policies = PAGE.partition("| `--policy` |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([\w-]+)`", re.sub(r" \| [^`]+\|\n", "\n", policies))) == set(POLICIES)
    data = PAGE.partition("| `--data` |")[2].partition("| a folder")[0]
    assert {*SCENES, "openclipart", "stamps"} <= set(re.findall(r"`([\w-]+)`", data))
    assert {*family("saccader").data_sets} == {*SCENES, "openclipart", "stamps"}
