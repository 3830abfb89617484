from itertools import pairwise

import pytest

from hardpp.data.speech.utterances import Segment
from hardpp.diagnostics.emissions import Boundary
from hardpp.tasks.formats.ctm import INTERVALS, Bounds, ctm

SEGMENTS = [Segment(0.0, 0.25, "k"), Segment(0.25, 0.5, "\u0436")]


BOUNDS = [
    Bounds(Boundary(0.0, 0.0, 0.1), Boundary(0.25, 0.2, 0.31)),
    Bounds(Boundary(0.25, 0.2, 0.31), Boundary(0.5, 0.4449, 0.5)),
]


def test_lines() -> None:
    plain = ["my_rec 1 0.000 0.250 k 1.000", "my_rec 1 0.250 0.250 \u0436 0.500"]
    assert ctm("my rec", SEGMENTS, [1.0, 0.5]) == plain
    more = [" 0.000 0.100 0.200 0.310", " 0.200 0.310 0.445 0.500"]
    assert ctm("my rec", SEGMENTS, [1.0, 0.5], BOUNDS) == [a + b for a, b in zip(plain, more, strict=True)]
    assert len(INTERVALS.split()) - 1 == len((plain[0] + more[0]).split())
    assert ctm("r", [], []) == ctm("r", [], [], []) == []


def test_written_durations_add_up() -> None:
    """Rounded by themselves, 0.0004 and 0.0004 would be nothing, and their sum a millisecond."""
    segments = [Segment(n * 0.0104, (n + 1) * 0.0104, "a") for n in range(50)]
    rows = [line.split() for line in ctm("r", segments, [1.0] * 50)]
    for one, other in pairwise(rows):
        assert round(float(one[2]) + float(one[3]), 3) == float(other[2])


def test_what_the_format_cannot_hold() -> None:
    for label in ("", "a b", "a\n"):
        with pytest.raises(ValueError, match="without blanks"):
            ctm("r", [Segment(0.0, 0.1, label)], [1.0])
    with pytest.raises(ValueError, match="ends after it starts"):
        ctm("r", [Segment(0.2, 0.1, "a")], [1.0])
    for confidences, bounds in (([], BOUNDS), ([1.0], None), ([1.0, 0.5], BOUNDS[:1])):
        with pytest.raises(ValueError, match="zip"):
            ctm("r", SEGMENTS, confidences, bounds)
