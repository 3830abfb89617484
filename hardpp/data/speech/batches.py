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
from hardpp.data.lines import OnBad, Report
from hardpp.data.speech.bad_recordings import Fault, report_faults
from hardpp.data.speech.utterances import SpeechCorpus, Utterance
from hardpp.data.vocabulary import Vocabulary
from hardpp.types import SequenceBatch

Topology = Literal["dwell", "no-dwell", "ctc"]

_OTHERS: dict[Topology, str] = {  # models in which a frame may have several tokens
    "dwell": "bring more sound",
    "no-dwell": "--set network.dwell=true lets a frame have several tokens",
    "ctc": "with --set network.form=transducer (or online) a frame may have several tokens",
}


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


def too_many_tokens(
    utterances: Sequence[Utterance], vocabulary: Vocabulary, topology: Topology
) -> dict[int, Fault]:
    """The utterances, by their indices, that have too few frames for a model of some topology.

    All tokens that the vocabulary lacks are equal to CTC.
    """
    found = {}
    for index, utterance in enumerate(utterances):
        needed = _needed(vocabulary.encode(utterance.tokens), topology)
        if utterance.length < needed:
            sizes = f"{utterance.length} frames and {len(utterance.tokens)} tokens"
            form = "network.form=ctc" if topology == "ctc" else "network.dwell=false"
            found[index] = Fault(utterance.where, f"{sizes}, for which {form} needs {needed} frames")
    return found


def fitting(
    utterances: Sequence[Utterance],
    vocabulary: Vocabulary,
    topology: Topology,
    stacked: int | None,
    on_bad: OnBad = "stop",
    report: Report = lambda text: None,
) -> list[Utterance]:
    """The utterances with frames enough for their tokens; those without are refused, or left out and named.

    Args:
        utterances: In any order, which stays.
        vocabulary: Of the model.
        topology: Of the model.
        stacked: Frames of 10 ms that became one; None where frames came with the data.
        on_bad: "stop" or "skip".
        report: Told what is left out.
    """
    faults = too_many_tokens(utterances, vocabulary, topology)
    ways = [f"--set data.stacked=1 (now {stacked}) has more frames"] if (stacked or 1) > 1 else []
    ways.append(_OTHERS[topology])
    report_faults(list(faults.values()), on_bad, report, "; ".join(ways))
    return [utterance for index, utterance in enumerate(utterances) if index not in faults]


def _needed(ids: Sequence[int], topology: Topology) -> int:
    if topology == "dwell":
        return 1
    if topology == "no-dwell":
        return len(ids) + 1
    return max(1, len(ids) + sum(here == after for here, after in pairwise(ids)))
