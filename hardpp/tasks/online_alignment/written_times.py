"""When tokens are said, as files have it: TSV, CTM and TextGrid."""

from collections.abc import Iterator, Sequence

from hardpp.data.speech.utterances import Segment, Utterance
from hardpp.tasks.file_names import file_paths
from hardpp.tasks.formats.ctm import INTERVALS, Bounds, ctm
from hardpp.tasks.formats.textgrid import textgrid
from hardpp.tasks.online_alignment.emission_times import TokenTimes, sound_seconds

_COLUMNS = (
    "utterance",
    "token",
    "start",
    "start_low",
    "start_high",
    "end",
    "end_low",
    "end_high",
    "probability",
)


def lines_of_times(
    utterances: Sequence[Utterance], times_of_utterances: Sequence[TokenTimes], form: str
) -> Iterator[str]:
    """The lines of all utterances: "tsv", "ctm" or "ctm-intervals"."""
    if form == "tsv":
        yield "\t".join(_COLUMNS)
    if form == "ctm-intervals":
        yield INTERVALS
    for utterance, times in zip(utterances, times_of_utterances, strict=True):
        bounds = [Bounds(*pair) for pair in zip(times.starts, times.ends, strict=True)]
        if form != "tsv":
            columns = bounds if form == "ctm-intervals" else None
            yield from ctm(utterance.name, times.segments(utterance.tokens), times.confidences, columns)
            continue
        for token, pair, confidence in zip(utterance.tokens, bounds, times.confidences, strict=True):
            seconds = (f"{value:.3f}" for boundary in pair for value in boundary)
            yield "\t".join((utterance.name, token, *seconds, f"{confidence:.4f}"))


def textgrids(
    utterances: Sequence[Utterance], times_of_utterances: Sequence[TokenTimes], frame_seconds: float
) -> Iterator[tuple[str, str]]:
    """A name and the text of a TextGrid for each utterance, as long as its sound."""
    names = file_paths([utterance.name for utterance in utterances])
    for name, utterance, times in zip(names, utterances, times_of_utterances, strict=True):
        lasts = sound_seconds(utterance, frame_seconds)
        tiers = [("tokens", times.segments(utterance.tokens))]
        if utterance.segments:  # which may end a little after the last frame
            gold = [Segment(min(a, lasts), min(b, lasts), token) for a, b, token in utterance.segments]
            tiers.append(("reference", gold))
        points = [
            (f"{which} {bound}", [(getattr(each, bound), token) for each, token in labelled])
            for which, boundaries in (("start", times.starts), ("end", times.ends))
            for labelled in [list(zip(boundaries, utterance.tokens, strict=True))]
            for bound in ("low", "high")
        ]
        yield f"{name}.TextGrid", textgrid(lasts, tiers, points)
