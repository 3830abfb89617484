"""CTM: one line a token, with the recording, when it starts and how long it lasts.

    RECORDING CHANNEL START DURATION TOKEN CONFIDENCE

Times are in seconds, the confidence is a probability. Where intervals are wanted four more columns follow:

    START_LOW START_HIGH END_LOW END_HIGH

and a first line that names all ten; it begins with `;;`, as comments do. The six columns are the format's
own, and readers of it may refuse more.

Source: NIST, the Rich Transcription evaluation plans, CTM file format.
"""

from collections.abc import Sequence
from typing import NamedTuple

from hardpp.data.speech.utterances import Segment
from hardpp.diagnostics.emissions import Boundary

INTERVALS = ";; RECORDING CHANNEL START DURATION TOKEN CONFIDENCE START_LOW START_HIGH END_LOW END_HIGH"


class Bounds(NamedTuple):
    """Between which times a token starts, and between which it ends."""

    start: Boundary
    end: Boundary


def ctm(
    recording: str,
    segments: Sequence[Segment],
    confidences: Sequence[float],
    bounds: Sequence[Bounds] | None = None,
) -> list[str]:
    """The lines of one recording, its blanks as `_`; those of several are put one after the other.

    Args:
        recording: its name.
        segments: in order.
        confidences: how probable each token is, 0 to 1.
        bounds: of each segment, for four columns more; the line that names them is `INTERVALS`.

    Raises:
        ValueError: a label is empty or has blanks in it, a segment ends before it starts, or there are not as
            many confidences or bounds as segments.
    """
    lines: list[str] = []
    name = "_".join(recording.split())
    columns = [""] * len(segments) if bounds is None else [_columns(*each) for each in bounds]
    for segment, confidence, more in zip(segments, confidences, columns, strict=True):
        if segment.label.split() != [segment.label]:
            raise ValueError(f"expected a label without blanks, got {segment.label!r}")
        if segment.end < segment.start:
            raise ValueError(f"expected a segment that ends after it starts, got {segment}")
        # Of written times, so that start and duration add up to the next one's start.
        start, end = round(segment.start, 3), round(segment.end, 3)
        lines.append(f"{name} 1 {start:.3f} {end - start:.3f} {segment.label} {confidence:.3f}{more}")
    return lines


def _columns(start: Boundary, end: Boundary) -> str:
    return "".join(f" {time:.3f}" for time in (start.low, start.high, end.low, end.high))
