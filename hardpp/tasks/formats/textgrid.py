"""TextGrid, the file in which Praat keeps what is said when.

A tier of intervals covers the whole time, with empty labels where nothing is. Bounds of what is uncertain may
overlap, so they are tiers of points: the n-th point of such a tier belongs to the n-th token.

Source: Boersma and Weenink, Praat: doing phonetics by computer, its manual on TextGrid files, long form.
"""

from collections.abc import Sequence

from hardpp.data.speech.utterances import Segment

_TICK = 1e-6  # seconds, the finest that is written
Point = tuple[float, str]  # seconds, label


def textgrid(
    seconds: float,
    tiers: Sequence[tuple[str, Sequence[Segment]]],
    points: Sequence[tuple[str, Sequence[Point]]] = (),
) -> str:
    """The text of a file, UTF-8, lines ending with a line feed.

    Args:
        seconds: how long the sound lasts.
        tiers: a name and segments in order each; a gap becomes an empty interval, a segment that lasts no
            time is left out.
        points: a name and points in order each, for tiers after these. Praat knows no two points at one time:
            several at one are written a millionth of a second apart.

    Raises:
        ValueError: segments overlap or run past the sound, points are out of order or past the sound, or the
            sound lasts no time.
    """
    if seconds <= 0:
        raise ValueError(f"expected a sound that lasts some time, got {seconds} s")
    items = [
        _tier("IntervalTier", name, seconds, "intervals", _intervals(segments, seconds))
        for name, segments in tiers
    ]
    items += [
        _tier("TextTier", name, seconds, "points", _points(of_tier, seconds)) for name, of_tier in points
    ]
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    lines += ["xmin = 0", f"xmax = {_time(seconds)}", "tiers? <exists>", f"size = {len(items)}", "item []:"]
    for number, item in enumerate(items, start=1):
        lines += [f"    item [{number}]:", *(f"        {line}" for line in item)]
    return "\n".join(lines) + "\n"


def _tier(kind: str, name: str, seconds: float, entry: str, entries: Sequence[Sequence[str]]) -> list[str]:
    lines = [f'class = "{kind}"', f"name = {_quoted(name)}", "xmin = 0", f"xmax = {_time(seconds)}"]
    lines.append(f"{entry}: size = {len(entries)}")
    for number, fields in enumerate(entries, start=1):
        lines += [f"{entry} [{number}]:", *(f"    {field}" for field in fields)]
    return lines


def _intervals(segments: Sequence[Segment], seconds: float) -> list[list[str]]:
    # Written times decide, since what differs by less would become an interval that lasts no time.
    intervals: list[tuple[float, float, str]] = []
    before, last = 0.0, round(seconds, 6)
    for segment in segments:
        start, end = round(segment.start, 6), round(segment.end, 6)
        if not before <= start <= end <= last:
            raise ValueError(f"expected segments in order up to {seconds} s, got {segment} after {before} s")
        intervals += [(before, start, ""), (start, end, segment.label)]
        before = end
    intervals.append((before, last, ""))
    return [
        [f"xmin = {_time(start)}", f"xmax = {_time(end)}", f"text = {_quoted(label)}"]
        for start, end, label in intervals
        if start < end
    ]


def _points(points: Sequence[Point], seconds: float) -> list[list[str]]:
    # In whole ticks, since what is written decides whether two are at one time.
    last, lowest, ticks = round(round(seconds, 6) / _TICK), 0, []
    before = 0.0
    for number, (time, _) in enumerate(points):
        if not before <= time <= seconds:
            raise ValueError(f"expected points in order up to {seconds} s, got {time} s after {before} s")
        before = time
        room = last - (len(points) - 1 - number)  # for those that follow
        ticks.append(min(max(round(time / _TICK), lowest), room))
        lowest = ticks[-1] + 1
    return [
        [f"number = {_time(tick * _TICK)}", f"mark = {_quoted(label)}"]
        for tick, (_, label) in zip(ticks, points, strict=True)
    ]


def _time(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
