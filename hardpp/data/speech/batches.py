"""Padded batches of utterances, and the check that their frames suffice for their tokens.

With m frames and n tokens, the mark of the end not counted, an utterance needs

    dwell      m >= 1            any number of tokens at one frame
    no-dwell   m >= n + 1        one token a frame at most, the end mark being one of them
    ctc        m >= n + r        a blank between the two of each of r pairs of equal neighbours

Shapes: B data, T tokens, S frames, F features.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch

from hardpp.data.batches import length_buckets, pad
from hardpp.data.speech.utterances import SpeechCorpus, Utterance
from hardpp.data.vocabulary import Vocabulary
from hardpp.errors import DataError
from hardpp.types import SequenceBatch

Topology = Literal["dwell", "no-dwell", "ctc"]


def token_vocabulary(corpus: SpeechCorpus) -> Vocabulary:
    """The vocabulary of the tokens of the train part."""
    return Vocabulary.of(utterance.tokens for utterance in corpus.train)


def collate(utterances: Sequence[Utterance], vocabulary: Vocabulary) -> SequenceBatch:
    """Read the frames, append the boundary to the tokens, and pad both on the right with 0.

    There must be an utterance, and all must have frames, of equally many features.
    """
    if not utterances:
        raise ValueError("expected at least one utterance a batch, got none")
    frames = [utterance.read() for utterance in utterances]
    for utterance, rows in zip(utterances, frames, strict=True):
        if not len(rows) or rows.shape[1:] != frames[0].shape[1:]:
            expected = f"frames of {frames[0].shape[-1]} features"
            raise ValueError(f"expected {expected}, got {tuple(rows.shape)} in utterance {utterance.name}")
    source = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True)
    source_mask = torch.arange(source.shape[1]) < torch.tensor([len(rows) for rows in frames])[:, None]
    return SequenceBatch(source, source_mask, *pad([vocabulary.encode(each.tokens) for each in utterances]))


def buckets(utterances: Sequence[Utterance], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Shuffled batches of places of utterances, nearly equally long in a batch (`length_buckets`)."""
    frames = [utterance.length for utterance in utterances]
    tokens = [len(utterance.tokens) for utterance in utterances]
    return length_buckets(frames, tokens, batch_size, seed, epoch)


def check_lengths(utterances: Sequence[Utterance], vocabulary: Vocabulary, topology: Topology) -> None:
    """Refuse utterances with too few frames for a model of some topology; the message names the first.

    All tokens that the vocabulary lacks are equal to CTC.
    """

    def needed(utterance: Utterance) -> int:
        return _needed(vocabulary.encode(utterance.tokens), topology)

    short = [utterance for utterance in utterances if utterance.length < needed(utterance)]
    if not short:
        return
    first = short[0]
    rest = f" (and {len(short) - 1} more)" if len(short) > 1 else ""
    raise DataError(
        f"utterance {first.name} has {first.length} frames and {len(first.tokens)} tokens, for which the "
        f"{topology} topology needs {needed(first)} frames{rest}",
        "stack fewer frames, or take the dwell topology",
    )


def _needed(ids: Sequence[int], topology: Topology) -> int:
    if topology == "dwell":
        return 1
    if topology == "no-dwell":
        return len(ids) + 1
    return max(1, len(ids) + sum(here == after for here, after in pairwise(ids)))
