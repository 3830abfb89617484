"""README and docs are true: the Python block runs, two commands set up, and verbs, options and keys exist."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hardpp.cli import main
from hardpp.config import RunConfig, parse_setting
from hardpp.tasks.catalogue import FAMILIES, family
from hardpp.tasks.configuration import resolve
from hardpp.tasks.objectives import OBJECTIVES, options_of

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPEECH = (ROOT / "docs" / "speech.md").read_text(encoding="utf-8")
GLIMPSES = (ROOT / "docs" / "glimpses.md").read_text(encoding="utf-8")
QUESTIONS = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
TRANSLATION = (ROOT / "docs" / "translation.md").read_text(encoding="utf-8")
GUIDES = (ROOT / "docs" / "guides.md").read_text(encoding="utf-8")
PYTHON = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
PAGES = README + SPEECH + GLIMPSES + QUESTIONS + TRANSLATION + GUIDES
SECTIONS = {
    **{
        name: [getattr(family(model), name) for model in FAMILIES] for name in ("data", "network", "decoding")
    },
    **{name: [RunConfig.model_fields[name].annotation] for name in ("optimiser", "training")},
    "inference": [options_of(spec) for spec in OBJECTIVES.values()],
}


def test_the_block_from_python_is_one_that_runs() -> None:
    block, _ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert f"```python\n{block}```" in PYTHON.replace(", settings=small", "")  # run by test_docs_python.py


def test_the_block_on_own_programs_runs(capsys: pytest.CaptureFixture[str]) -> None:
    _, block = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    gaps = [float(gap) for gap in re.search(r"posterior\): \[(.*?)\]", printed)[1].split(",")]  # type: ignore[index]
    assert all(0 <= gap < 1 for gap in gaps)


def test_there_are_exactly_two_commands_to_set_up_with() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    assert [len(block.strip().split("\n")) for block in blocks] == [1, 1]
    assert "hardpp train --model alignment --guide variational" in blocks[0]
    assert ".[dev]" in blocks[1]


@pytest.mark.parametrize("line", re.findall(r"^    hardpp (.+?)(?:\s+#.*)?$", PAGES, re.MULTILINE))
def test_every_verb_and_option_shown_exists(line: str) -> None:
    verb, *words = line.split()
    shown = CliRunner().invoke(main, [verb, "--help"])
    assert shown.exit_code == 0
    assert all(word in shown.output for word in words if word.startswith("--"))


@pytest.mark.parametrize(
    "line",
    re.findall(
        r"^    hardpp train (.+?)(?:\s+#.*)?$", SPEECH + QUESTIONS + TRANSLATION + GUIDES, re.MULTILINE
    ),
)
def test_settings_shown_go_together(line: str) -> None:
    words = shlex.split(line)
    flags: dict[str, Any] = {
        word[2:]: words[place + 1] for place, word in enumerate(words) if word.startswith("--")
    }
    for apart in ("set", "data", "on-bad", "particles", "out", "init-from"):
        flags.pop(apart, None)
    if "then" in flags:
        flags["then"] = [flags["then"]]
    shown = [parse_setting(words[place + 1]) for place, word in enumerate(words) if word == "--set"]
    assert resolve([*shown, flags]).model == flags.get("model", "alignment")


@pytest.mark.parametrize(
    "setting", sorted(set(re.findall(rf"\b((?:{'|'.join(SECTIONS)})\.(?!md\b)\w+)\b(?!\()", PAGES)))
)
def test_every_setting_shown_exists(setting: str) -> None:
    section, key = setting.split(".")
    assert any(key in schema.model_fields for schema in SECTIONS[section])


def test_the_readme_lists_every_objective() -> None:
    listed = README.partition("## What is here")[2].partition("`FIVO`")[0].partition("explained):")[2]
    assert set(re.findall(r"`([a-z-]+)`", listed)) == set(OBJECTIVES)


@pytest.mark.parametrize("row", re.findall(r"^\| (?:REINFORCE|NVIL|VIMCO).*$", SPEECH, re.MULTILINE))
def test_the_six_systems_are_spelt_as_the_command_line_has_them(row: str) -> None:
    for cell in re.findall(r"`(--objective [^`]+)`", row):
        words = cell.split()
        named = {word[2:]: words[place + 1] for place, word in enumerate(words[:-1]) if word[:2] == "--"}
        named.pop("set", None)
        settings = [parse_setting(words[place + 1]) for place, word in enumerate(words) if word == "--set"]
        found = resolve([{"model": "online-alignment"}, *settings, named])
        assert found.objective == named["objective"]


@pytest.mark.parametrize(
    ("row", "objective", "guide"),
    [
        ("VAR", "reinforce", "prior"),
        ("VAR + c", "rloo", "prior"),
        ("WS", "rws", "prior"),
        ("WS + Q", "rws", "variational"),
    ],
)
def test_the_steps_of_wake_sleep_attention_are_spelt_as_the_command_line_has_them(
    row: str, objective: str, guide: str
) -> None:
    (cell,) = re.findall(rf"^\| {re.escape(row)} \| `(.+?)`", GLIMPSES, re.MULTILINE)
    words = cell.split()
    named = {word[2:]: words[place + 1] for place, word in enumerate(words[:-1]) if word[:2] == "--"}
    named.pop("set", None)
    settings = [parse_setting(words[place + 1]) for place, word in enumerate(words) if word == "--set"]
    found = resolve([{"model": "glimpse"}, *settings, named])
    assert (found.objective, found.guide) == (objective, guide)


def test_settings_shown_for_glimpses_exist() -> None:
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.+?) \|", GLIMPSES, re.MULTILINE)
    assert len(rows) > 4
    network = resolve([{"model": "glimpse"}]).network
    for names, values in rows:
        for name, value in zip(names.split(", "), values.split(", "), strict=True):
            assert str(network[name.strip("`")]).lower() == value.strip("`")
    for word in re.findall(r"--set ([\w.]+=[^`\s]+)`?", GLIMPSES):
        family, objective = ("caption", "exact") if "kernels" in word else ("glimpse", "rws")
        top = {"model": family, "objective": objective}
        if "sequences" in word or "supervision" in word:
            top |= {"guide": "replay", "data": {"sequences": "sequences.txt"}}
        resolve([top, parse_setting(word)])
