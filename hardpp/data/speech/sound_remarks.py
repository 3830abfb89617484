"""What should be said of sounds before anything is believed that is heard in them.

    silent              nothing but digital silence
    short               less than two windows of 25 ms
    several channels    they are averaged
    a low rate          brought to 16 kHz there is nothing in them above half of it
    a foreign level     their loud frames are far from those that a run was trained on
    clipped             samples at the ends of their range

The level is that of a recording's loudest tenth of windows, in decibels from full scale.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hardpp.data.speech import log_mel
from hardpp.data.speech.features import LogMel
from hardpp.data.speech.utterances import Utterance

_SHORT = 0.05  # seconds
_MARGIN = 10.0  # decibels beyond the levels of training
_SHOWN = 3  # recordings named in one message


class Levels(NamedTuple):
    """The lowest and the highest level of some recordings, in decibels from full scale."""

    lowest: float
    highest: float


def levels_of(utterances: Sequence[Utterance]) -> Levels | None:
    """The levels of those that are no digital silence; None where they were not computed from sound."""
    heard = [each.frames for each in utterances if isinstance(each.frames, LogMel)]
    levels = [level for frames in heard if (level := frames.level()) > -float("inf")]
    return Levels(min(levels), max(levels)) if levels else None


def remarks(
    utterances: Sequence[Utterance], rate: int | None = None, levels: Levels | None = None
) -> Iterator[str]:
    """What is to be said of recordings, a sentence for each kind of remark.

    Args:
        utterances: those computed from sound are looked at.
        rate: the lowest of those that a run was trained on, samples a second; None: not known.
        levels: of those that a run was trained on; None: not known.
    """
    found: dict[str, list[str]] = {}
    for utterance in utterances:
        if isinstance(utterance.frames, LogMel):
            for what in _remarks(utterance.frames, min(rate or log_mel.RATE, log_mel.RATE), levels):
                found.setdefault(what, []).append(utterance.name)
    for what, names in found.items():
        shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        yield f"warning: {len(names)} of {len(utterances)} recordings {what} ({shown})"


def _remarks(frames: LogMel, rate: int, levels: Levels | None) -> Iterator[str]:
    head, level = frames.head, frames.level()
    if frames.loudness().loudest <= 0:
        yield "are silent throughout"
    elif levels is not None and level < levels.lowest - _MARGIN:
        yield f"are much quieter than any of training ({_range(levels)}): make them louder"
    elif levels is not None and level > levels.highest + _MARGIN:
        yield f"are much louder than any of training ({_range(levels)})"
    if frames.clipped:
        yield "are clipped: samples stand at the ends of their range"
    if head is None:
        return
    if head.seconds < _SHORT:
        yield f"last less than {1000 * _SHORT:.0f} ms"
    if head.channels > 1:
        yield f"have {head.channels} channels, which are averaged"
    if head.rate < rate:
        of_run = "" if rate == log_mel.RATE else f", and training had {rate:,}"
        yield f"have {head.rate:,} samples a second{of_run}: nothing is in them above {head.rate // 2:,} Hz"


def _range(levels: Levels) -> str:
    return f"{levels.lowest:.0f} to {levels.highest:.0f} dB"
