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


def page(name: str) -> str:
    return (DOCS / "tutorials" / f"{name}.md").read_text(encoding="utf-8")


@pytest.fixture
def run_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the cells of a tutorial in order, in an empty folder: what they leave behind, by name."""

    def run(name: str) -> dict[str, Any]:
        monkeypatch.chdir(tmp_path)
        names: dict[str, Any] = {}
        text = page(name)
        cells = CELL.findall(text)
        assert len(cells) == text.count("{code-cell}") > 0
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


def test_write_a_guide_of_your_own(run_cells: Any) -> None:
    names = run_cells("own_guide")
    assert set(names["found"]["status"]) <= {"ok", "skipped"}
    failed = names["faults"][names["faults"]["status"] == "failed"]
    assert set(failed["check"]) == {"padding", "gradients"}
    assert {name: run.evaluate()["PER"] < 0.1 for name, run in names["runs"].items()} == {
        "NearDiagonal": True,
        "variational": True,
    }
    guide = re.search(r"class NearDiagonal.*?```", page("own_guide"), re.DOTALL)
    assert guide
    assert len([line for line in guide[0].splitlines() if line.strip()]) <= 35


def test_inspect_a_posterior(run_cells: Any) -> None:
    names = run_cells("posteriors")
    assert 0 < names["gap"] < 0.2
    exact, guide = names["calibration"].rows
    assert min(exact["p log p(z, y)"], exact["p mean of z"]) > 0.005
    assert guide["kl"] > 0


def test_every_tutorial_is_tested() -> None:
    tested = {"first_alignment", "own_guide", "objectives", "posteriors"}
    assert {path.stem for path in TUTORIALS} == tested


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    options = ["-q", "-W", "-D", "nb_execution_mode=off", "-d", str(tmp_path / "trees")]
    command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(tmp_path / "site")]
    built = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert built.returncode == 0, built.stderr
    assert "Categorical" in (tmp_path / "site" / "reference" / "api.html").read_text(encoding="utf-8")
