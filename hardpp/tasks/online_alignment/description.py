"""What a run on speech keeps of its data: tokens, kind of frames, how tokens are scored."""

from functools import cached_property
from math import ceil
from typing import Self

import torch
from pydantic import Field, model_validator

from hardpp.data.speech.batches import token_vocabulary
from hardpp.data.speech.utterances import Normalisation, SpeechCorpus
from hardpp.data.vocabulary import Vocabulary
from hardpp.tasks.family import Description


class SpeechDescription(Description):
    """Tokens of the training part, its frames and what they went through, and the data's fingerprint."""

    tokens: list[str]  # the end mark first
    features: int = Field(ge=1)  # of a frame
    frame_seconds: float = Field(gt=0)  # from one frame to the next
    folding: dict[str, str | None]  # token -> what it counts as when scored, None: not at all
    tokens_per_frame: float = Field(gt=0)  # the most of all utterances
    mean_tokens_per_frame: float = Field(gt=0)
    # "mean" and "deviation" of features before they were stacked; empty where these came with the data.
    normalisation: dict[str, list[float]] = Field(default_factory=dict)

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


def describe(corpus: SpeechCorpus) -> SpeechDescription:
    """The description of a corpus."""
    moments = {} if corpus.normalisation is None else corpus.normalisation._asdict()
    sizes = [(len(utterance.tokens), utterance.length) for utterance in corpus.train]
    return SpeechDescription(
        tokens=list(token_vocabulary(corpus).symbols),
        features=corpus.train[0].read().shape[-1],
        frame_seconds=corpus.frame_seconds,
        folding=dict(corpus.folding),
        tokens_per_frame=max(tokens / frames for tokens, frames in sizes),
        mean_tokens_per_frame=sum(tokens for tokens, _ in sizes) / sum(frames for _, frames in sizes),
        normalisation={name: value.tolist() for name, value in moments.items()},
        fingerprint=corpus.fingerprint(),
    )
