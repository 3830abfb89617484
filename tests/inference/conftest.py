"""Objectives in these tests do not check programs at length, but where that is what is tested."""

from pathlib import Path

import pytest

from hardpp.inference.objective import SurrogateObjective

CHECKED = {"weights", "sums"}  # folders whose tests are about the checks, or about what they might get wrong


@pytest.fixture(autouse=True)
def _unchecked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each estimate that is due for a check runs the programs several times more."""
    if CHECKED.isdisjoint(Path(request.node.path).parts):
        monkeypatch.setattr(SurrogateObjective, "check_is_due", lambda objective: False)
