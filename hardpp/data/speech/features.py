"""Log-mel features of recordings, computed once and kept in the cache.

The cache holds the 41 static features of every frame in half precision (rounded by at most 0.008 nats), and
mean and deviation of all 123 over the train part (`hardpp.data.speech.kept_features`). Deltas, normalisation
and stacking are left to reading, so that a corpus of four hours takes 110 MB and is not held in memory.

Shapes: S frames, F features, M frames before they are stacked.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import torch
from torch import Tensor

from hardpp.data.digests import sha256_of_json, sha256_of_tensors
from hardpp.data.fetch.cache import derived
from hardpp.data.lines import Report
from hardpp.data.parts import PARTS
from hardpp.data.speech import log_mel
from hardpp.data.speech.audio import Sound
from hardpp.data.speech.kept_features import KeptFeatures, Loudness, keep
from hardpp.data.speech.recordings import Recording
from hardpp.data.speech.utterances import Normalisation, SpeechCorpus, Utterance
from hardpp.errors import DataError

_VERSION = 2  # of what is computed; another version is kept elsewhere
LEVEL = -25.0  # decibels from full scale, to which sounds are brought where their own level is not kept
Level = Literal["kept", "equal"]

_END = 1 - 1e-3  # of the range of samples
_REPORTED = 15  # seconds between two reports


@dataclass(frozen=True)
class LogMel:
    """Frames of one utterance, computed from its static features when they are read."""

    static: Tensor  # (M, 41) float16
    normalisation: Normalisation  # of 123 features
    stacked: int
    head: Sound | None = None  # of the sound, where it is known
    clipped: bool = False  # known of sounds that were heard just now, and not of the cache
    shift: float = 0.0  # nats that are added to all energies, which bring the sound to another level
    as_recorded: Normalisation | None = None  # the features' without shifts, where they have some
    kept: KeptFeatures | None = None  # that the frames are of, where they lie in files
    number: int = 0  # among these

    def __len__(self) -> int:
        return -(-len(self.static) // self.stacked)

    def read(self) -> Tensor:
        """(S, F) float32 with F = 123 stacked, S = M / stacked rounded up."""
        frames = log_mel.with_deltas(self.static.float() + self.shift)
        return log_mel.stack(self.normalisation(frames), self.stacked)

    def spectrogram(self) -> Tensor:
        """Log energies (M, 40) of the bands of `log_mel.centres`, in nats, every 10 ms."""
        return self.static[:, : log_mel.BANDS].float()

    def loudness(self) -> Loudness:
        """How loud it is, known without reading where the frames lie in files."""
        return Loudness.of(self.static) if self.kept is None else self.kept.loudness[self.number]

    def level(self) -> float:
        """How loud its loudest tenth is: decibels from full scale, minus infinity of digital silence."""
        return self.loudness().level

    def levelled(self) -> "LogMel":
        """The same at a level of `LEVEL`; digital silence stays as it is."""
        return replace(self, shift=_shift(self.loudness()))

    def digest(self) -> str:
        # Of what the sound is, and not of the level that it is brought to.
        moments, kept = self.as_recorded or self.normalisation, self.kept

        def computed(static: Tensor) -> str:
            return sha256_of_tensors(static, *moments, torch.tensor(self.stacked))

        if kept is None or moments is not kept.normalisation:
            return computed(self.static)
        return kept.digest(self.number, self.stacked, lambda number: computed(kept.static[number]))


# What brings a sound of some loudness to `LEVEL`, in nats.
def _shift(loudness: Loudness) -> float:
    level = loudness.level
    return 0.0 if level == -float("inf") else (LEVEL - level) * math.log(10) / 10


def is_clipped(wave: Tensor) -> bool:
    """Do more than a thousandth of the samples (N,) of a wave stand at the ends of their range?"""
    return int((wave.abs() >= _END).sum()) > max(10, len(wave) // 1000)


def static_features(wave: Tensor) -> Tensor:
    """The static features of a wave (N,) as the cache keeps them: (M, 41) float16."""
    return log_mel.static(wave).half()


def corpus(
    name: str,
    parts: Mapping[str, Sequence[Recording]],
    report: Report,
    *,
    folding: Mapping[str, str | None],
    stacked: int = log_mel.STACKED,
    level: Level = "kept",
) -> SpeechCorpus:
    """Make a corpus of recordings; the features of sounds seen before are read from the cache.

    Args:
        name: Of the corpus.
        parts: "train", "dev" and "test".
        report: Told how far the features are.
        folding: Token -> what it counts as when scored.
        stacked: Frames of 10 ms that become one.
        level: "kept" as it was recorded, or "equal": every sound is brought to `LEVEL`.
    """
    for part in PARTS:
        if not parts[part]:
            raise DataError(f"{name}: the {part} part has no recordings")
    recordings = [recording for part in PARTS for recording in parts[part]]
    # Which recordings are for training decides mean and deviation.
    described = [_VERSION, len(parts["train"]), [recording.sound.digest() for recording in recordings]]
    folder = derived(
        f"features-{sha256_of_json(described)[:24]}",
        lambda built: keep(built, _computed(recordings, report), len(parts["train"]), _shift),
        report,
    )
    kept = KeptFeatures(folder)
    heard = [
        LogMel(static, kept.normalisation, stacked, recording.head, kept=kept, number=number)
        for number, (recording, static) in enumerate(zip(recordings, kept.static, strict=True))
    ]
    normalisation = kept.normalisation
    if level == "equal":
        recorded, normalisation = normalisation, kept.levelled
        heard = [
            replace(frames.levelled(), normalisation=normalisation, as_recorded=recorded) for frames in heard
        ]
    utterances = iter([_utterance(*pair) for pair in zip(recordings, heard, strict=True)])
    train, dev, test = (list(islice(utterances, len(parts[part]))) for part in PARTS)
    rates = [recording.head.rate for recording in parts["train"] if recording.head is not None]
    seconds = stacked * log_mel.HOP_SECONDS
    return SpeechCorpus(name, train, dev, test, seconds, folding, normalisation, min(rates, default=None))


def utterances_of(
    recordings: Sequence[Recording], normalisation: Normalisation, stacked: int, level: Level = "kept"
) -> list[Utterance]:
    """Make utterances of recordings that belong to no corpus; nothing is kept in the cache."""
    utterances = []
    for recording in recordings:
        wave = recording.sound.read()
        computed = static_features(wave), normalisation, stacked, recording.head, is_clipped(wave)
        frames = LogMel(*computed)
        utterances.append(_utterance(recording, frames if level == "kept" else frames.levelled()))
    return utterances


def renormalise(utterances: Sequence[Utterance], normalisation: Normalisation) -> list[Utterance]:
    """Normalise utterances again, by the mean and variance of another corpus's train part.

    Frames that were not computed here, of which there is one corpus only, stay as they are.
    """
    return [
        utterance._replace(frames=replace(utterance.frames, normalisation=normalisation))
        if isinstance(utterance.frames, LogMel)
        else utterance
        for utterance in utterances
    ]


def _utterance(recording: Recording, frames: LogMel) -> Utterance:
    said = recording.segments, recording.tokens
    return Utterance(recording.name, recording.speaker, frames, *said, recording.place)


def _computed(recordings: Sequence[Recording], report: Report) -> Iterator[Tensor]:
    report(f"computing features of {len(recordings)} utterances")
    clipped, reported_at = [], time.monotonic()
    for number, recording in enumerate(recordings, start=1):
        wave = recording.sound.read()
        yield static_features(wave)
        clipped += [recording.name] if is_clipped(wave) else []
        if time.monotonic() > reported_at + _REPORTED:
            report(f"features of {number} of {len(recordings)} utterances")
            reported_at = time.monotonic()
    if clipped:
        report(f"warning: {len(clipped)} recordings are clipped, {clipped[0]} first")
