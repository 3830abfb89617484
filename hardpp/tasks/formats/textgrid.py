"""TextGrid, the file in which Praat keeps what is said when.

A tier of intervals covers the whole time, with empty labels where nothing is. The ends between them are
uncertain: a tier of points has one at every boundary, labelled with the interval it lies in ("0.118-0.152").

Source: Boersma and Weenink, Praat: doing phonetics by computer, its manual on TextGrid files, long form.
"""

from collections.abc import Sequence

from hardpp.data.speech.utterances import Segment
from hardpp.diagnostics.emissions import Boundary


def textgrid(
    seconds: float, tiers: Sequence[tuple[str, Sequence[Segment]]], boundaries: Sequence[Boundary] = ()
) -> str:
    """The text of a file, UTF-8, lines ending with a line feed.

    Args:
        seconds: how long the sound lasts.
        tiers: a name and segments in order each; a gap becomes an empty interval, a segment that lasts no
            time is left out.
        boundaries: in order, for a last tier of points named "boundaries"; without any there is none. Of
            several at one time the first is kept, as Praat knows no two points at one time.

    Raises:
        ValueError: segments overlap or run past the sound, boundaries are out of order or past the sound, or
            the sound lasts no time.
    """
    if seconds <= 0:
        raise ValueError(f"expected a sound that lasts some time, got {seconds} s")
    items = [
        _tier("IntervalTier", name, seconds, "intervals", _intervals(segments, seconds))
        for name, segments in tiers
    ]
    if boundaries:
        items.append(_tier("TextTier", "boundaries", seconds, "points", _points(boundaries, seconds)))
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


def _points(boundaries: Sequence[Boundary], seconds: float) -> list[list[str]]:
    points: dict[str, Boundary] = {}
    before = 0.0
    for boundary in boundaries:
        if not before <= boundary.time <= seconds:
            raise ValueError(f"expected boundaries in order up to {seconds} s, got {boundary}")
        before = boundary.time
        points.setdefault(_time(boundary.time), boundary)
    return [[f"number = {time}", f'mark = "{low:.3f}-{high:.3f}"'] for time, (_, low, high) in points.items()]


def _time(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
