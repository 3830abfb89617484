"""When each token of known utterances was said: medians and intervals of what a run makes of it.

Shapes: B utterances, S frames, T tokens (the end mark included).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hardpp import sites
from hardpp.data.speech.utterances import Utterance
from hardpp.diagnostics.boundary import Boundary
from hardpp.diagnostics.draws import AlignmentDraws
from hardpp.diagnostics.emissions import draw_emissions
from hardpp.distributions.ctc import CTCSequence
from hardpp.errors import UsageError
from hardpp.tasks.family import Run
from hardpp.tasks.online_alignment.data import batches
from hardpp.tasks.online_alignment.network import form
from hardpp.types import SequenceBatch

MASS = 0.89  # of the intervals
DRAWS = 32  # where there is no exact posterior


class TokenTimes(NamedTuple):
    """Of one utterance, a boundary a token: when it was said, and between which times that lies."""

    boundaries: list[Boundary]
    confidences: list[float]  # probability of the likeliest frame


def _emissions(run: Run, batch: SequenceBatch, *, draws: int = DRAWS, exact: bool = True) -> AlignmentDraws:
    """Draws of the run's guide, and the exact posterior where the model's form allows it.

    Raises:
        UsageError: CTC has no decisions to draw.
    """
    if form(run.config) == "ctc":
        raise UsageError("CTC sums its alignments out, so there are none to draw", "train another form")
    exact = exact and form(run.config) == "transducer"
    return draw_emissions(*run.programs, batch, site=sites.DECISIONS, draws=draws, at_once=16, exact=exact)


def token_frames(run: Run, batch: SequenceBatch, which: str) -> Tensor:
    """p(token t was said at frame s), (B, T, S), under the guide or the posterior.

    Raises:
        UsageError: the prior, which has no frames for tokens that are not known yet.
    """
    if which == "prior":
        raise UsageError(
            "before tokens are known a model of decisions has no times for them", "give --of posterior"
        )
    model: Any = run.programs.model
    if form(run.config) == "ctc":
        if which == "guide":
            raise UsageError("CTC has no guide", "give --of posterior")
        return _ctc_frames(model, batch)
    found = _emissions(run, batch)
    if which == "guide":
        return found.guide
    return found.marginal if found.exact is None else found.exact


def token_times(run: Run, utterances: Sequence[Utterance], which: str) -> list[TokenTimes]:
    """When each token of each utterance was said, the end mark left out."""
    seconds = float(run.description["frame_seconds"])
    out = [TokenTimes([], [])] * len(utterances)
    for rows, batch in batches(run, utterances):
        frames = token_frames(run, batch, which)
        median, low, high = (part.tolist() for part in quantiles(frames))
        best = frames.amax(-1).tolist()
        for place, row in enumerate(rows):
            n = len(utterances[row].tokens)
            said = zip(median[place][:n], low[place][:n], high[place][:n], strict=True)
            boundaries = [Boundary((m + 1) * seconds, s * seconds, (e + 1) * seconds) for m, s, e in said]
            out[row] = TokenTimes(boundaries, best[place][:n])
    return out


def quantiles(frames: Tensor, mass: float = MASS) -> tuple[Tensor, Tensor, Tensor]:
    """Median, first and last frame of the central interval of so much mass: (B, T) int64 each."""
    below = frames.cumsum(-1)
    total = below[..., -1:]
    least = (1 - mass) / 2
    find = partial(torch.searchsorted, below.contiguous())
    found = [find(share * total).squeeze(-1) for share in (0.5, least, 1 - least)]
    median, low, high = (each.clamp(max=frames.shape[-1] - 1) for each in found)
    return median, low, high


# A token is said where its first frame is, as decoding has it.
def _ctc_frames(model: Any, batch: SequenceBatch) -> Tensor:
    with torch.no_grad():
        logits = model.read(batch.source, batch.source_mask)
        said = CTCSequence(logits, batch.source_mask, batch.target_mask, model.boundary)
        frames = said.token_frames(batch.target)  # (B, T - 1, S)
    return torch.nn.functional.pad(frames, (0, 0, 0, 1))
