"""CTM: one line a token, with the recording, when it starts and how long it lasts.

    RECORDING CHANNEL START DURATION TOKEN CONFIDENCE

Times are in seconds, the confidence is a probability. Lines that start with `;;` are comments; the
uncertainty of a start goes there, as the format has no place for it.

Source: NIST, the Rich Transcription evaluation plans, CTM file format.
"""

from collections.abc import Sequence

from hardpp.data.speech.utterances import Segment
from hardpp.diagnostics.emissions import Boundary


def ctm(
    recording: str, segments: Sequence[Segment], confidences: Sequence[float], starts: Sequence[Boundary]
) -> list[str]:
    """The lines of one recording, its blanks as `_`; those of several are put one after the other.

    Args:
        recording: its name.
        segments: in order.
        confidences: how probable each token is, 0 to 1.
        starts: between which times each segment starts, for a comment before its line.

    Raises:
        ValueError: a label is empty or has blanks in it, a segment ends before it starts, or there are not as
            many confidences or starts as segments.
    """
    lines: list[str] = []
    name = "_".join(recording.split())
    for segment, confidence, start in zip(segments, confidences, starts, strict=True):
        label, duration = segment.label, segment.end - segment.start
        if label.split() != [label]:
            raise ValueError(f"expected a label without blanks, got {label!r}")
        if duration < 0:
            raise ValueError(f"expected a segment that ends after it starts, got {segment}")
        lines.append(f";; {name} {label} starts between {start.low:.3f} and {start.high:.3f}")
        lines.append(f"{name} 1 {segment.start:.3f} {duration:.3f} {label} {confidence:.3f}")
    return lines
