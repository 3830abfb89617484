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
from hardpp.tasks.family import Run
from hardpp.tasks.online_alignment.data import batches, most_tokens, vocabulary
from hardpp.tasks.online_alignment.network import form


class OnlineDecoding(Section):
    """How utterances are recognised."""

    beam: int = Field(1, ge=1, description="hypotheses kept by the beam; 1: greedy, as CTC always is")
    threshold: float = Field(
        0.5, ge=0, le=1, description="greedy: emit once it is as probable as this that a token came"
    )
    sample: bool = Field(False, description="draw decisions and tokens, without a beam")


class Said(NamedTuple):
    """What was recognised in an utterance."""

    tokens: list[str]
    times: list[float]  # when each was said, seconds: the end of the frame at hand


def recognise(run: Run, utterances: Sequence[Utterance], how: OnlineDecoding) -> list[Said]:
    """Tokens and times of every utterance, frames read in order."""
    known, seconds = vocabulary(run.description), float(run.description["frame_seconds"])
    out = [Said([], [])] * len(utterances)
    for rows, batch in batches(run, utterances):
        found = _recognise(run, batch.source, batch.source_mask, how)
        lengths = batch.source_mask.sum(-1).tolist()
        for row, length, (ids, frames) in zip(rows, lengths, found, strict=True):
            times = [min(frame + 1, length) * seconds for frame in frames]
            out[row] = Said(known.decode(ids), times)
    return out


def _recognise(
    run: Run, source: Tensor, mask: Tensor, how: OnlineDecoding
) -> list[tuple[list[int], list[int]]]:
    model: Any = run.programs.model
    kind = form(run.config)
    if kind == "ctc":
        return _collapsed(model, source, mask)
    # Of each by itself: what is said of an utterance must not depend on how long the others are.
    limits = [most_tokens(run.description, length) for length in mask.sum(-1).tolist()]
    most = torch.tensor(limits, device=source.device)
    if how.sample:
        found = draw(model, source, mask, most=most)
    elif how.beam > 1:
        found = beam(model, source, mask, most=most, width=how.beam, merge=True)
    else:
        found = decode(model, source, mask, most=most, threshold=how.threshold)
    return [(result.tokens, result.frames) for result in found]


# The likeliest labelling of the frames: runs are joined and said at their first frame, blanks left out.
@torch.no_grad()
def _collapsed(model: Any, source: Tensor, mask: Tensor) -> list[tuple[list[int], list[int]]]:
    best = model.read(source, mask).argmax(-1).masked_fill(~mask, BOUNDARY).tolist()
    out = []
    for labels in best:
        heard = [
            (label, frame)
            for frame, (before, label) in enumerate(pairwise([BOUNDARY, *labels]))
            if label not in (before, BOUNDARY)
        ]
        out.append(([label for label, _ in heard], [frame for _, frame in heard]))
    return out
