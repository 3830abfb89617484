"""The README is true: its Python block runs, its commands are two and its verbs exist."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from hardpp.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_python_block_runs(capsys: pytest.CaptureFixture[str]) -> None:
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block
    exec(compile(block[1], "README.md", "exec"), {})
    printed = capsys.readouterr().out
    gaps = [float(gap) for gap in re.search(r"posterior\): \[(.*?)\]", printed)[1].split(",")]  # type: ignore[index]
    assert all(0 <= gap < 1 for gap in gaps)


def test_there_are_exactly_two_commands_to_set_up_with() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    assert [len(block.strip().split("\n")) for block in blocks] == [1, 1]
    assert "hardpp train --model alignment --guide variational" in blocks[0]
    assert ".[dev]" in blocks[1]


@pytest.mark.parametrize("line", re.findall(r"^    hardpp (.+?)(?:\s+#.*)?$", README, re.MULTILINE))
def test_every_verb_and_option_shown_exists(line: str) -> None:
    verb, *words = line.split()
    shown = CliRunner().invoke(main, [verb, "--help"])
    assert shown.exit_code == 0
    assert all(word in shown.output for word in words if word.startswith("--"))
