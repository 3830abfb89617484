"""`benchmarks/saccader.py` on pictures that are made up: all runs are trained, measured and reported."""

import json
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from hardpp.tasks.saccader.policies import POLICIES

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("saccader")


@pytest.mark.slow
def test_every_run_is_measured_and_reported(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--quick", "--seeds", "3", "--variants", "paper", "rws", "without-locations", "--device", "cpu"]
    monkeypatch.setattr("sys.argv", ["saccader.py", *words])
    benchmark.main()
    printed = capsys.readouterr().out
    assert "## squares, seeds 3" in printed
    titles = re.findall(r"^### (.+)$", printed, re.MULTILINE)
    assert len(titles) == 7
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("| ")]
    for policy in POLICIES:
        accuracies, shares, distances = [row[1:] for row in rows if row[0] == f"| {policy}"][:3]
        assert len(accuracies) == len(shares) == len(distances) == 8
        assert [float(share.strip(" |")) for share in shares] == sorted(
            float(share.strip(" |")) for share in shares
        )
    names = {row[0] for row in rows}
    assert {
        "| attended",
        "| random",
        "| rws, label-aware guide",
        "| training, rws, label-aware guide",
    } <= names
    assert {"| test, the dense backbone", "| test, glimpses: 6"} <= names
    assert re.search(r"^commits \w*", printed, re.MULTILINE)


def test_what_is_measured_already_is_left_alone(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = dict.fromkeys(benchmark.COLUMNS.values(), 0.5)
    for name in ("representation", "locations", "rloo"):
        path = tmp_path / "mnist-112-0" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        found = {"run": name, "data": "mnist-112", "seed": 0, "commit": "abc", "training": None}
        path.write_text(json.dumps({**found, "policies": {}, "trained": figures}))
    words = ["--seeds", "0", "--variants", "rloo", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["saccader.py", *words])
    benchmark.main()
    printed = capsys.readouterr().out
    assert "| rloo | 0 | 0.5000 |" in printed
    assert "commits abc" in printed
