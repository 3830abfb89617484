"""What a run on speech recognises: tokens, and the frames they are said at.

Shapes: B utterances, S frames, T tokens, V symbols.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from hardpp.config import Section
from hardpp.data.speech.utterances import Utterance
from hardpp.data.vocabulary import BOUNDARY
from hardpp.decoding.online import beam, decode, draw
from hardpp.tasks.online_alignment.data import batches
from hardpp.tasks.opened_run import OpenedRun


class OnlineDecoding(Section):
    """How utterances are recognised."""

    beam: int = Field(1, ge=1, description="hypotheses kept by the beam; 1: greedy, as CTC always is")
    threshold: float = Field(
        0.5, ge=0, le=1, description="greedy: emit once it is as probable as this that a token came"
    )
    sample: bool = Field(False, description="draw decisions and tokens, without a beam")


class Transcript(NamedTuple):
    """What was recognised in an utterance."""

    tokens: list[str]
    times: list[float]  # when each was said, seconds: the end of the frame at hand


def recognise(run: OpenedRun, utterances: Sequence[Utterance], options: OnlineDecoding) -> list[Transcript]:
    """Tokens and times of every utterance, frames read in order."""
    vocabulary, seconds = run.description.vocabulary, run.description.frame_seconds
    transcripts = [Transcript([], [])] * len(utterances)
    for indices, batch in batches(run, utterances):
        lengths = batch.source_mask.sum(-1).tolist()
        emissions = _emissions(run, batch.source, batch.source_mask, options)
        for index, length, (ids, frames) in zip(indices, lengths, emissions, strict=True):
            times = [min(frame + 1, length) * seconds for frame in frames]
            transcripts[index] = Transcript(vocabulary.decode(ids), times)
    return transcripts


# Ids of the tokens of each utterance, and the frames they are emitted at.
def _emissions(
    run: OpenedRun, source: Tensor, mask: Tensor, options: OnlineDecoding
) -> list[tuple[list[int], list[int]]]:
    model: Any = run.programs.model
    if run.network.form == "ctc":
        return _best_labelling(model, source, mask)
    # Of each by itself: what is said of an utterance must not depend on how long the others are.
    limits = [run.description.most_tokens(length) for length in mask.sum(-1).tolist()]
    most = torch.tensor(limits, device=source.device)
    if options.sample:
        results = draw(model, source, mask, most=most)
    elif options.beam > 1:
        results = beam(model, source, mask, most=most, width=options.beam, merge=True)
    else:
        results = decode(model, source, mask, most=most, threshold=options.threshold)
    return [(result.tokens, result.frames) for result in results]


# The likeliest labelling of the frames: runs are joined and said at their first frame, blanks left out.
@torch.no_grad()
def _best_labelling(model: Any, source: Tensor, mask: Tensor) -> list[tuple[list[int], list[int]]]:
    best = model.read(source, mask).argmax(-1).masked_fill(~mask, BOUNDARY).tolist()
    emissions = []
    for labels in best:
        changes = enumerate(pairwise([BOUNDARY, *labels]))
        frames = [frame for frame, (before, label) in changes if label not in (before, BOUNDARY)]
        emissions.append(([labels[frame] for frame in frames], frames))
    return emissions
