"""The page on Python is true: its blocks run in order, and its tables name what there is."""

import re
from pathlib import Path
from typing import Any

import pytest

import hardpp
from hardpp import errors
from hardpp.tasks.opened_run import OpenedRun

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_blocks_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}  # as in a notebook
    assert len(BLOCKS) == PAGE.count("```python")
    for block in BLOCKS:
        exec(compile(block, "docs/python.md", "exec"), names)
    printed = capsys.readouterr().out
    assert repr(names["run"]) == "<run runs/alignment-variational-elbo-0: alignment, variational guide, elbo>"
    assert (tmp_path / "baxo.png").stat().st_size > 0
    assert (
        repr(names["data"]) == f"<data {tmp_path}/words.tsv of model alignment: 224 train, 16 dev, 16 test>"
    )
    assert {"train", "dev"} == set(names["fit"].history.split)
    assert names["fit"].programs.guide is names["guide"]
    assert names["guide"].sharpness != 1  # it was trained
    assert (tmp_path / "runs" / "mine" / "config.toml").is_file()
    assert all(gap > 0 for gap in (names["exact"] - names["elbo"]).tolist())
    for sentence in re.findall(r"print\(error\)  # (there is .*)", PAGE):
        assert f"{sentence}\n" in printed
    assert "bad.tsv" in printed


def test_ten_lines_are_enough() -> None:
    assert "hardpp.train(" in BLOCKS[1]
    assert all(verb in BLOCKS[1] for verb in ("evaluate", "posterior", "arviz", "plot"))
    assert len([line for line in BLOCKS[1].splitlines() if line]) <= 10


def test_sixteen_lines_go_from_data_to_a_saved_run() -> None:
    (block,) = [block for block in BLOCKS if "fit.save(" in block]
    words = ("load_data", "guide", "train", "history", "evaluate", "posterior", "plot", "decode", "save")
    assert all(word in block for word in words)
    assert len([line for line in block.splitlines() if line]) <= 16


def test_every_method_and_name_shown_exists() -> None:
    methods = re.findall(r"^\| `(\w+)\(", PAGE, re.MULTILINE)
    assert len(methods) == 14
    assert all(callable(getattr(OpenedRun, name)) for name in methods)
    assert set(re.findall(r"hardpp\.((?:list_)?\w+)\(", PAGE)) <= set(hardpp.__all__)


def test_the_table_of_exceptions() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\d+)[^|]*\|$", PAGE, re.MULTILINE)
    for name, code in rows:
        kind = getattr(errors, name)
        assert code == str(getattr(kind, "exit_code", 0) if name != "Interrupted" else 128)
    kinds = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    defined = {name for name, kind in kinds.items() if issubclass(kind, errors.HardppError)}
    assert {name for name, _ in rows} == defined - {"HardppError"}
