"""Speech that a recogniser is trained on: its configuration, what a run keeps of it, and batches.

Shapes: B utterances, S frames, T tokens (the end mark included).
"""

from functools import cached_property
from math import ceil
from typing import Self

import torch
from pydantic import Field, model_validator

from hardpp.config import DataConfig
from hardpp.data.lines import OnBad
from hardpp.data.speech.corpora import SpeechOptions
from hardpp.data.speech.features import Level
from hardpp.data.speech.log_mel import STACKED
from hardpp.data.speech.spoken import Case, Form, Units
from hardpp.data.speech.synthetic_speech import Size
from hardpp.data.speech.timit import PhoneSet
from hardpp.data.speech.utterances import Normalisation
from hardpp.data.vocabulary import Vocabulary
from hardpp.tasks.family import Description

BATCH = 50  # utterances read at once when a run is asked about them


class SpeechData(DataConfig):
    """Which utterances, and how they are heard."""

    size: Size = Field("small", description="of speech that is made")
    phones: PhoneSet = Field(61, description="kinds of phones in TIMIT to train on")
    merged: list[str] = Field([], description="phones of TIMIT of which several in a row count as one")
    mixed: int = Field(0, ge=0, le=100, description="a second speaker in TIMIT, per cent of the first's peak")
    stacked: int = Field(STACKED, ge=1, le=1000, description="frames of 10 ms of speech that become one")
    units: Units = Field(
        "words", description="what tokens of your own text are: between blanks, or characters"
    )
    case: Case = Field("keep", description="of the tokens of your own recordings")
    normalise: Form = Field(
        "none", description="form of Unicode of these; none: as they are written, new runs have NFC"
    )
    tier: str = Field("", description="of your own TextGrids; left out: the one with the most labels")
    level: Level = Field("kept", description="of sounds: as recorded, or equal: all are brought to one level")
    on_bad: OnBad = Field(
        "stop", description="a recording that cannot be used: refuse the list, or leave it out and say so"
    )


def speech_options(config: SpeechData) -> SpeechOptions:
    """The options of a corpus that a configuration has."""
    return SpeechOptions(**config.model_dump(exclude={"name", "train_limit"}))


class SpeechDescription(Description):
    """Tokens of the training part, its frames and what they went through."""

    tokens: list[str]  # the end mark first
    features: int = Field(ge=1)  # of a frame
    frame_seconds: float = Field(gt=0)  # from one frame to the next
    folding: dict[str, str | None]  # token -> what it counts as when scored, None: not at all
    tokens_per_frame: float = Field(gt=0)  # the most of all utterances
    mean_tokens_per_frame: float = Field(gt=0)
    # "mean" and "deviation" of features before they were stacked; empty where these came with the data.
    normalisation: dict[str, list[float]] = Field(default_factory=dict)
    longest: int = Field(0, ge=0)  # frames of a recording; 0: runs of before do not say it
    rate: int = Field(0, ge=0)  # the lowest of sounds, samples a second; 0: not known
    # Lowest and highest of sounds, in decibels from full scale; empty where they are not known.
    levels: list[float] = Field(default_factory=list)

    @model_validator(mode="after")
    def _check(self) -> Self:
        Vocabulary(tuple(self.tokens))
        if self.normalisation:
            mean, deviation = (self.normalisation.get(key, []) for key in ("mean", "deviation"))
            if not len(mean) == len(deviation) > 0 or min(deviation) <= 0:
                raise ValueError("normalisation needs a mean and a deviation above 0 of every feature")
        return self

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokens that a run knows."""
        return Vocabulary(tuple(self.tokens))

    @cached_property
    def feature_normalisation(self) -> Normalisation | None:
        """What the features of the training part were normalised by, if they were computed from sound."""
        moments = {name: torch.tensor(values) for name, values in self.normalisation.items()}
        return Normalisation(**moments) if moments else None

    def most_tokens(self, frames: int) -> int:
        """As many as any utterance of so many frames is likely to have."""
        return 2 + ceil(1.2 * self.tokens_per_frame * frames)
