import re

import pytest

from hardpp.data.speech.utterances import Segment
from hardpp.diagnostics.emissions import Boundary
from hardpp.tasks.formats.textgrid import textgrid

SEGMENTS = [Segment(0.0, 0.25, "k"), Segment(0.25, 0.25, "gone"), Segment(0.5, 0.75, 'say "ah"')]
EXPECTED = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1
        intervals: size = 4
        intervals [1]:
            xmin = 0
            xmax = 0.25
            text = "k"
        intervals [2]:
            xmin = 0.25
            xmax = 0.5
            text = ""
        intervals [3]:
            xmin = 0.5
            xmax = 0.75
            text = "say ""ah"\""
        intervals [4]:
            xmin = 0.75
            xmax = 1
            text = ""
    item [2]:
        class = "TextTier"
        name = "boundaries"
        xmin = 0
        xmax = 1
        points: size = 2
        points [1]:
            number = 0.25
            mark = "0.218-0.270"
        points [2]:
            number = 0.5
            mark = "0.480-0.520"
"""


def test_the_text_of_a_file() -> None:
    boundaries = [Boundary(0.25, 0.2183, 0.27), Boundary(0.25, 0.1, 0.9), Boundary(0.5, 0.48, 0.52)]
    assert textgrid(1.0, [("phones", SEGMENTS)], boundaries) == EXPECTED


def test_intervals_cover_the_whole_time_without_gaps() -> None:
    segments = [Segment(n / 7, (n + 0.9) / 7, str(n)) for n in range(7)]
    text = textgrid(1.0000004, [("a", segments), ("b", [])])
    for tier in text.split("item [")[2:]:
        times = [(float(a), float(b)) for a, b in re.findall(r"xmin = (\S+)\n\s+xmax = (\S+)", tier)]
        whole, *intervals = times
        assert whole == (0, 1)
        assert [start for start, _ in intervals] == [0, *(end for _, end in intervals[:-1])]
        assert intervals[-1][1] == 1
        assert all(start < end for start, end in intervals)
    assert "TextTier" not in text


def test_what_praat_cannot_show_is_refused() -> None:
    for segments in (
        [Segment(0.0, 0.5, "a"), Segment(0.4, 0.6, "b")],
        [Segment(0.0, 1.5, "a")],
        [Segment(0.5, 0.4, "a")],
    ):
        with pytest.raises(ValueError, match="expected segments in order"):
            textgrid(1.0, [("phones", segments)])
    for boundaries in ([Boundary(0.5, 0, 1), Boundary(0.4, 0, 1)], [Boundary(1.1, 0, 1)]):
        with pytest.raises(ValueError, match="expected boundaries in order"):
            textgrid(1.0, [], boundaries)
    with pytest.raises(ValueError, match="lasts some time"):
        textgrid(0.0, [])
