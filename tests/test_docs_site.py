"""The site is true: its tutorials run, and it builds without a warning."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
CELL = re.compile(r"```\{code-cell\} ipython3\n(?::[^\n]*\n)*(.*?)```", re.DOTALL)


@pytest.fixture
def run_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the cells of a tutorial in order, in an empty folder: what they leave behind, by name."""

    def run(name: str) -> dict[str, Any]:
        monkeypatch.chdir(tmp_path)
        names: dict[str, Any] = {}
        page = (DOCS / "tutorials" / f"{name}.md").read_text(encoding="utf-8")
        cells = CELL.findall(page)
        assert len(cells) == page.count("{code-cell}") > 0
        for cell in cells:
            exec(compile(cell, name, "exec"), names)
        return names

    return run


def test_a_first_alignment(run_cells: Any) -> None:
    names = run_cells("first_alignment")
    assert names["figures"]["PER"] <= 0.02
    rows = [line.split("\t") for line in names["run"].align(names["word"])[1:]]
    assert [(row[2], row[4]) for row in rows[:5]] == [*zip(["B", "AH", "K", "S", "OW"], "baxxo", strict=True)]


def test_choose_an_objective(run_cells: Any) -> None:
    names = run_cells("objectives")
    nll = names["ends"]["nll"]
    assert nll["exact"] < nll["elbo"] < nll["reinforce"]
    of_guide = names["gradients"][names["gradients"]["parameters"] == "guide"]["variance"]
    assert of_guide["enum"] < 1e-9 < of_guide["elbo"] < of_guide["reinforce"]


def test_every_tutorial_is_tested() -> None:
    tested = {"first_alignment", "objectives"}
    assert {path.stem for path in TUTORIALS} == tested


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    options = ["-q", "-W", "-D", "nb_execution_mode=off", "-d", str(tmp_path / "trees")]
    command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(tmp_path / "site")]
    built = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert built.returncode == 0, built.stderr
    assert "Categorical" in (tmp_path / "site" / "reference" / "api.html").read_text(encoding="utf-8")
