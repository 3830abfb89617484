"""`benchmarks/near_optimal.py` on images that are made up: all parts are measured and reported."""

import re
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
def test_every_part_is_measured_and_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    benchmark = import_module("near_optimal")
    monkeypatch.setattr("sys.argv", ["near_optimal.py", "--quick", "--seeds", "2"])
    benchmark.main()
    printed = capsys.readouterr().out
    assert re.findall(r"^## (\w+), seeds 2", printed, re.MULTILINE) == list(benchmark.PARTS)
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("| ")]
    accuracies = {row[0].strip("| "): row[1:] for row in rows if len(row) == 4}
    for policy in ("designed", "learned", "centre", "random"):
        assert all(0 <= float(share.strip(" |")) <= 1 for share in accuracies[policy])
    taught = [tuple(cell.strip("| ") for cell in row[:3]) for row in rows if row[0] == "| relu"]
    assert taught == [("relu", teacher, f"{times} x") for teacher, times in benchmark.TEACHINGS]
    assert "relu: taught by designed sequences, in half of the steps, against nobody" in printed
