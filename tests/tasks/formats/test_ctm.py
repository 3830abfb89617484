import pytest

from hardpp.data.speech.utterances import Segment
from hardpp.diagnostics.emissions import Boundary
from hardpp.tasks.formats.ctm import ctm

SEGMENTS = [Segment(0.0, 0.25, "k"), Segment(0.25, 0.5, "\u0436")]


def test_lines() -> None:
    assert ctm("my rec", SEGMENTS) == ["my_rec 1 0.000 0.250 k", "my_rec 1 0.250 0.250 \u0436"]
    assert ctm("r", SEGMENTS, [1.0, 0.5], channel="A") == [
        "r A 0.000 0.250 k 1.000",
        "r A 0.250 0.250 \u0436 0.500",
    ]
    starts = [Boundary(0.0, 0.0, 0.0), Boundary(0.25, 0.2, 0.31)]
    assert ctm("r", SEGMENTS, starts=starts)[2] == ";; r \u0436 starts between 0.200 and 0.310"
    assert ctm("r", []) == []


def test_what_the_format_cannot_hold() -> None:
    for label in ("", "a b", "a\n"):
        with pytest.raises(ValueError, match="without blanks"):
            ctm("r", [Segment(0.0, 0.1, label)])
    with pytest.raises(ValueError, match="ends after it starts"):
        ctm("r", [Segment(0.2, 0.1, "a")])
    for confidences in ([], [1.0]):
        with pytest.raises(ValueError, match="zip"):
            ctm("r", SEGMENTS, confidences)
