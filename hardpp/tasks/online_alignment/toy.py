"""Made-up speech: every token sounds like a frame of its own, and networks of a few numbers."""

import torch

from hardpp.data.speech.utterances import Segment, SpeechCorpus, Utterance
from hardpp.tasks.family import Toy

_TOKENS = ("a", "b", "k")
_TRAIN, _OTHERS = ("b", "a b", "k a", "b a k", "a k b"), ("a", "k b", "b a")
_FRAME = 0.01  # seconds


def toy() -> Toy:
    """Eight utterances of two frames a token; the first has one token."""
    train, others = ([_utterance(said) for said in words] for words in (_TRAIN, _OTHERS))
    settings = {
        "network": {"embedding": 4, "hidden": 6, "reader": 4, "guide": 5},
        "training": {"batch_size": 4, "log_every": 1},
        "optimiser": {"warmup_steps": 1},
    }
    return Toy(SpeechCorpus("toy", train, others, others, frame_seconds=_FRAME), settings)


def _utterance(said: str) -> Utterance:
    tokens = tuple(said.split())
    loud = torch.tensor([_TOKENS.index(token) for token in tokens for _ in range(2)])
    frames = torch.nn.functional.one_hot(loud, len(_TOKENS)).float() - 0.5
    segments = tuple(
        Segment(2 * _FRAME * number, 2 * _FRAME * (number + 1), token) for number, token in enumerate(tokens)
    )
    return Utterance(said, "", frames, segments, tokens)
