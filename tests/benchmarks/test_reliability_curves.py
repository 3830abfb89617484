"""The table of `benchmarks/reliability_curves.py`, of a curve that is made up."""

from importlib import import_module
from pathlib import Path

import pytest

from hardpp.tasks.answers.calibration.reliability import of_probabilities


def test_a_curve_is_a_row_a_bin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    curve = of_probabilities("word links, made up", [0.25, 0.25, 0.95], [True, False, True])
    title, _, *rows = import_module("reliability_curves").table([curve]).strip().split("\n")
    assert title == "word links, made up: ECE 0.1833 of 3"
    assert rows[2:] == [
        f"| 0.2-0.3 | 0.250 | 0.500 | {curve['rows'][0]['error']:.3f} | 2 |",
        f"| 0.9-1 | 0.950 | 1.000 | {curve['rows'][1]['error']:.3f} | 1 |",
    ]
