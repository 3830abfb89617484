"""The page on Pyro is true: in each of its differences ours is the truth, and Pyro's is not."""

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from hardpp import inference

PAGE = (Path(__file__).parents[1] / "docs" / "pyro.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
TITLES = re.findall(r"^### (.*)$", PAGE, re.MULTILINE)
BOTH_REFUSED = "A mask, or a plate, of one program alone"


@pytest.mark.parametrize("title", TITLES)
def test_ours_is_the_truth(title: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    say = BLOCKS[1 + TITLES.index("Elements of a plate that meet again")].split("\n\n\n")[0]
    for block in (BLOCKS[0], say, BLOCKS[1 + TITLES.index(title)]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pyro's, of what the page is about
            exec(compile(block, "docs/pyro.md", "exec"), names)
    truth, pyros = (torch.as_tensor(names[name]).double() for name in ("truth", "pyros"))
    assert not torch.allclose(pyros, truth, rtol=0, atol=1e-2)
    if title != BOTH_REFUSED:
        torch.testing.assert_close(names["ours"].double(), truth, rtol=0, atol=1e-9)
    said, printed = (
        re.findall(r"print\(error\)  # (.*)", BLOCKS[1 + TITLES.index(title)]),
        capsys.readouterr().out,
    )
    for part in [part for sentence in said for part in sentence.split("...") if part.strip()]:
        assert part.strip() in printed


def test_every_section_has_a_block_and_every_name_exists() -> None:
    assert len(BLOCKS) == PAGE.count("```python") == len(TITLES) + 1
    for row in re.findall(r"^\| (`\w+`.*?) \|", PAGE, re.MULTILINE):
        assert all(hasattr(inference, name) for name in re.findall(r"`(\w+)`", row))
