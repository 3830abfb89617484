"""CTM: one line a token, with the recording, when it starts and how long it lasts.

    RECORDING CHANNEL START DURATION TOKEN [CONFIDENCE]

Times are in seconds, the confidence is a probability. Lines that start with `;;` are comments; the
uncertainty of a start goes there, as the format has no place for it.

Source: NIST, the Rich Transcription evaluation plans, CTM file format.
"""

from collections.abc import Sequence

from hardpp.data.speech.utterances import Segment
from hardpp.diagnostics.emissions import Boundary


def ctm(
    recording: str,
    segments: Sequence[Segment],
    confidences: Sequence[float] | None = None,
    starts: Sequence[Boundary] | None = None,
    channel: str = "1",
) -> list[str]:
    """The lines of one recording; those of several are put one after the other.

    Args:
        recording: its name; blanks become `_`.
        segments: in order.
        confidences: how probable each token is, 0 to 1.
        starts: between which times each segment starts, for a comment before its line.
        channel: of the sound.

    Raises:
        ValueError: a label is empty or has blanks in it, a segment ends before it starts, or there are not as
            many confidences or starts as segments.
    """
    lines: list[str] = []
    probabilities = [None] * len(segments) if confidences is None else confidences
    intervals = [None] * len(segments) if starts is None else starts
    name = "_".join(recording.split())
    for segment, confidence, start in zip(segments, probabilities, intervals, strict=True):
        if len(segment.label.split()) != 1 or segment.label.strip() != segment.label:
            raise ValueError(f"expected a label without blanks, got {segment.label!r}")
        if segment.end < segment.start:
            raise ValueError(f"expected a segment that ends after it starts, got {segment}")
        if start is not None:
            lines.append(f";; {name} {segment.label} starts between {start.low:.3f} and {start.high:.3f}")
        line = f"{name} {channel} {segment.start:.3f} {segment.end - segment.start:.3f} {segment.label}"
        lines.append(line if confidence is None else f"{line} {confidence:.3f}")
    return lines
