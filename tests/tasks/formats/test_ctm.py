import pytest

from hardpp.data.speech.utterances import Segment
from hardpp.diagnostics.emissions import Boundary
from hardpp.tasks.formats.ctm import ctm

SEGMENTS = [Segment(0.0, 0.25, "k"), Segment(0.25, 0.5, "\u0436")]


STARTS = [Boundary(0.0, 0.0, 0.0), Boundary(0.25, 0.2, 0.31)]


def test_lines() -> None:
    assert ctm("my rec", SEGMENTS, [1.0, 0.5], STARTS) == [
        ";; my_rec k starts between 0.000 and 0.000",
        "my_rec 1 0.000 0.250 k 1.000",
        ";; my_rec \u0436 starts between 0.200 and 0.310",
        "my_rec 1 0.250 0.250 \u0436 0.500",
    ]
    assert ctm("r", [], [], []) == []


def test_what_the_format_cannot_hold() -> None:
    for label in ("", "a b", "a\n"):
        with pytest.raises(ValueError, match="without blanks"):
            ctm("r", [Segment(0.0, 0.1, label)], [1.0], STARTS[:1])
    with pytest.raises(ValueError, match="ends after it starts"):
        ctm("r", [Segment(0.2, 0.1, "a")], [1.0], STARTS[:1])
    for confidences, starts in (([], STARTS), ([1.0], STARTS), ([1.0, 0.5], STARTS[:1])):
        with pytest.raises(ValueError, match="zip"):
            ctm("r", SEGMENTS, confidences, starts)
