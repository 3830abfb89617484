"""Two people speak at once: the first is to be understood, the second is quieter and of the other sex.

Every recording gets one second speaker, always the same, out of its own part. With x the first and y the
second sound, both scaled to a peak of 1, y cut or followed by silence so that it is as long as x, and a
level of 0.5, 0.25 or 0.1:

    z = (x + level y) / max |x + level y|

What is said, and when, is what the first says.

Sources: Chiu et al. (2017) and Lawson et al. (2017), section 4.2, MultiTIMIT; that z is as long as x, which
they leave open, is a choice.

Shapes: N samples.
"""

from collections.abc import Sequence
from itertools import cycle
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from hardpp.data.parts import by_crc32
from hardpp.data.speech.recordings import Recording, Sex, Sound
from hardpp.errors import DataError

_OTHER: dict[Sex, Sex] = {"f": "m", "m": "f"}


class Mixture(NamedTuple):
    """Two sounds at once, read as their sum, which is as long as the first."""

    first: Sound
    second: Sound
    level: float  # of the second, 0 to 1

    def read(self) -> Tensor:
        return mix(self.first.read(), self.second.read(), self.level)

    def digest(self) -> str:
        return f"{self.first.digest()} {self.second.digest()} {self.level}"


def mix(first: Tensor, second: Tensor, level: float) -> Tensor:
    """Add a second wave, of any length, at `level` of the peak of the first: (N,), scaled to a peak of 1."""
    second = F.pad(_scaled(second), (0, max(0, len(first) - len(second))))[: len(first)]
    return _scaled(_scaled(first) + level * second)


def with_second_speakers(recordings: Sequence[Recording], level: float, part: str) -> list[Recording]:
    """Add a second speaker to the background of every recording of a part; the order stays.

    Those of one sex, in their order, take those of the other in turn, in the order of the CRC-32 of the name.
    So the part needs both, and the sex of every speaker has to be known.

    Args:
        recordings: Of one part.
        level: Peak of the second speaker over that of the first, above 0 and up to 1.
        part: Its name, for the message.
    """
    if not 0 < level <= 1:
        raise ValueError(f"expected a level above 0 and up to 1, got {level}")
    if unknown := [recording.name for recording in recordings if not recording.sex]:
        raise DataError(f"the {part} part cannot be mixed: the sex of the speaker of {unknown[0]} is unknown")
    ordered = sorted(recordings, key=lambda recording: by_crc32(recording.name))
    by_sex = {sex: [recording for recording in ordered if recording.sex == sex] for sex in _OTHER}
    if not all(by_sex.values()):
        raise DataError(f"the {part} part cannot be mixed: it has no speakers of both sexes")
    seconds = {sex: cycle(by_sex[other]) for sex, other in _OTHER.items()}
    return [
        recording._replace(sound=Mixture(recording.sound, next(seconds[recording.sex]).sound, level))
        for recording in recordings
    ]


def _scaled(wave: Tensor) -> Tensor:
    # To a peak of 1; silence stays silence.
    peak = wave.abs().amax()
    return wave / torch.where(peak > 0, peak, 1.0)
