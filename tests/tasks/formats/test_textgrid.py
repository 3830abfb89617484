import re
from itertools import pairwise

import pytest

from hardpp.data.speech.utterances import Segment
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
        name = "end low"
        xmin = 0
        xmax = 1
        points: size = 2
        points [1]:
            number = 0.25
            mark = "k"
        points [2]:
            number = 0.5
            mark = "say ""ah"\""
"""


def read(text: str) -> dict[str, list[tuple[float, float, str]]]:
    """Another reader: name of each tier -> start, end and label of its entries, from the file's tokens alone.

    As Praat's manual has it, only free-standing numbers, quoted texts and flags count, in their order.
    """
    values = iter(re.findall(r'"(?:[^"]|"")*"|(?<![\w\[])-?\d+(?:\.\d+)?(?![\w\]])|<exists>', text))
    kind = "".join(next(values) for _ in range(2))
    assert kind == '"ooTextFile""TextGrid"'
    low, high, flag, count = (next(values) for _ in range(4))
    assert (float(low), flag) == (0, "<exists>")
    tiers = {}
    for _ in range(int(count)):
        points = next(values) == '"TextTier"'
        name, *bounds = (next(values) for _ in range(3))
        assert bounds == [low, high]
        entries = []
        for _ in range(int(next(values))):
            start = float(next(values))
            end = start if points else float(next(values))
            entries.append((start, end, next(values)[1:-1].replace('""', '"')))
        if points:
            assert all(one[0] < other[0] for one, other in pairwise(entries))  # Praat refuses two at one time
            assert all(0 <= time <= float(high) for time, _, _ in entries)
        else:
            assert [entries[0][0], *(end for _, end, _ in entries)] == [
                0,
                *(a for a, _, _ in entries[1:]),
                float(high),
            ]
            assert all(start < end for start, end, _ in entries)
        tiers[name[1:-1]] = entries
    assert not list(values)
    return tiers


def test_the_text_of_a_file() -> None:
    points = [("end low", [(0.25, "k"), (0.5, 'say "ah"')])]
    text = textgrid(1.0, [("phones", SEGMENTS)], points)
    assert text == EXPECTED
    assert read(text) == {
        "phones": [(0, 0.25, "k"), (0.25, 0.5, ""), (0.5, 0.75, 'say "ah"'), (0.75, 1, "")],
        "end low": [(0.25, 0.25, "k"), (0.5, 0.5, 'say "ah"')],
    }


def test_points_at_one_time_are_written_apart_and_inside() -> None:
    times = [0.0, 0.0, 0.3, 0.3, 0.3000004, 1.0, 1.0, 1.0]
    (points,) = read(textgrid(1.0, [], [("p", [(time, str(n)) for n, time in enumerate(times)])])).values()
    assert [label for _, _, label in points] == [*"01234567"]
    assert [time for time, _, _ in points] == pytest.approx(times, abs=3e-6)


def test_times_that_round_to_one_another_still_tile() -> None:
    segments = [Segment(n * 1e-7, (n + 1) * 1e-7, "a") for n in range(30)]
    (tier,) = read(textgrid(0.5, [("t", segments)])).values()
    assert [label for _, _, label in tier] == ["a", "a", "a", ""]


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
    for points in ([(0.5, "a"), (0.4, "b")], [(1.1, "a")], [(-0.1, "a")]):
        with pytest.raises(ValueError, match="expected points in order"):
            textgrid(1.0, [], [("p", points)])
    with pytest.raises(ValueError, match="lasts some time"):
        textgrid(0.0, [])
