"""Which utterances train a model of speech, and how they become batches.

Shapes: B utterances, S frames, T tokens (the end mark included).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from pydantic import Field

from hardpp.config import DataConfig
from hardpp.data.lines import OnBad
from hardpp.data.order import in_order
from hardpp.data.speech.batches import collate, token_vocabulary
from hardpp.data.speech.corpora import SpeechOptions, corpus
from hardpp.data.speech.log_mel import STACKED
from hardpp.data.speech.synthetic_speech import Size
from hardpp.data.speech.timit import PhoneSet
from hardpp.data.speech.utterances import SpeechCorpus, Utterance
from hardpp.data.vocabulary import Vocabulary
from hardpp.errors import DataError
from hardpp.tasks.family import Run
from hardpp.types import SequenceBatch

ROWS = 50  # utterances read at once when a run is asked about them


class SpeechData(DataConfig):
    """Which utterances, and how they are heard."""

    size: Size = Field("small", description="of speech that is made")
    phones: PhoneSet = Field(61, description="kinds of phones in TIMIT to train on")
    merged: list[str] = Field([], description="phones of TIMIT of which several in a row count as one")
    mixed: int = Field(0, ge=0, le=100, description="a second speaker in TIMIT, per cent of the first's peak")
    stacked: int = Field(STACKED, ge=1, description="frames of 10 ms of speech that become one")
    on_bad: OnBad = Field(
        "stop",
        description="a recording that cannot be used: refuse the list, or leave it out and say so",
    )


def load(config: SpeechData, report: Callable[[str], None]) -> SpeechCorpus:
    """The utterances: a named corpus, fetched or made, or the user's own TIMIT or recordings.

    Raises:
        DataError: they cannot be fetched, made or read.
    """
    chosen = SpeechOptions(
        size=config.size,
        phones=config.phones,
        merged=tuple(config.merged),
        mixed=config.mixed,
        stacked=config.stacked,
        on_bad=config.on_bad,
    )
    found = corpus(config.name, chosen, report)
    return found._replace(train=found.train[: config.train_limit])


def describe(data: SpeechCorpus) -> dict[str, Any]:
    """Tokens, frames, what they were normalised by, how tokens are scored, and the data's fingerprint."""
    first = data.train[0].read()
    kept = {} if data.normalisation is None else data.normalisation._asdict()
    return {
        "tokens": list(token_vocabulary(data).symbols),
        "features": first.shape[-1],
        "frame_seconds": data.frame_seconds,
        "folding": dict(data.folding),
        "tokens_per_frame": max(len(one.tokens) / one.length for one in data.train),
        "mean_tokens_per_frame": sum(len(one.tokens) for one in data.train)
        / sum(one.length for one in data.train),
        "normalisation": {name: value.tolist() for name, value in kept.items()},
        "fingerprint": data.fingerprint(),
    }


def vocabulary(description: Mapping[str, Any]) -> Vocabulary:
    """The tokens a run knows, the end mark first."""
    return Vocabulary(tuple(description["tokens"]))


def most_tokens(description: Mapping[str, Any], frames: int) -> int:
    """As many as any utterance of so many frames is likely to have."""
    return 2 + ceil(1.2 * float(description["tokens_per_frame"]) * frames)


def ordered_batches(
    utterances: Sequence[Utterance], description: Mapping[str, Any]
) -> Iterator[tuple[list[int], SequenceBatch]]:
    """All utterances in batches of like length, each with the places of its utterances.

    Raises:
        DataError: there are no utterances.
    """
    if not utterances:
        raise DataError("there are no utterances in this part of the data")
    known = vocabulary(description)
    for rows in in_order([one.length for one in utterances], ROWS):
        yield rows, collate([utterances[row] for row in rows], known)


def batches(run: Run, utterances: Sequence[Utterance]) -> Iterator[tuple[list[int], SequenceBatch]]:
    """The same on the run's device."""
    for rows, batch in ordered_batches(utterances, run.description):
        yield rows, batch.to(run.device)
