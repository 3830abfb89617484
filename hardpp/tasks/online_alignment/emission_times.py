"""When each token of known utterances was said: medians and intervals, under a run's guide or posterior.

Shapes: B utterances, S frames, T tokens (the end mark included).
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hardpp import sites
from hardpp.data.speech.utterances import Segment, Utterance
from hardpp.diagnostics.emissions import Boundary, draw_emissions, exact_emissions
from hardpp.diagnostics.seeds import seeded, stream
from hardpp.distributions.ctc import CTCSequence
from hardpp.errors import UsageError
from hardpp.tasks.attention import apart, datum_stream
from hardpp.tasks.online_alignment.data import batches
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import SequenceBatch

MASS = 0.89  # of the intervals


class TokenTimes(NamedTuple):
    """When the tokens of one utterance were said."""

    boundaries: list[Boundary]  # one a token, where it ends
    confidences: list[float]  # probability of each token's likeliest frame

    def segments(self, tokens: Sequence[str]) -> list[Segment]:
        """Each token from when the one before it was said; medians of neighbours may not be in order."""
        ends = accumulate((boundary.time for boundary in self.boundaries), max, initial=0.0)
        return [Segment(*times, token) for times, token in zip(pairwise(ends), tokens, strict=True)]


def token_frames(run: OpenedRun, batch: SequenceBatch, view: str) -> Tensor:
    """p(token t was said at frame s), (B, T, S), under the guide or the posterior.

    The posterior is exact where the model has sums over alignments, and else that of weighted draws. They
    are the draws of `hardpp posterior`: of each utterance by itself.

    Raises:
        UsageError: the prior, which has no frames for tokens that are not known yet; or the guide of CTC.
    """
    if view == "prior":
        raise UsageError(
            "before tokens are known a model of decisions has no times for them", "give --of posterior"
        )
    form = run.network.form
    if form == "ctc":
        if view == "guide":
            raise UsageError("CTC has no guide", "give --of posterior")
        return _ctc_frames(run.programs.model, batch)
    if view == "posterior" and run.approximation is None:
        return exact_emissions(run.programs.model, batch)[0]
    frames = torch.zeros(*batch.target.shape, batch.source.shape[1], device=batch.source.device)
    for row, one in enumerate(apart(batch)):
        with seeded(stream(run.sampling.seed, datum_stream(one)), run.device):
            options: Any = {"site": sites.DECISIONS, "draws": run.sampling.draws, "exact": False}
            draws = draw_emissions(*run.programs, one, **options)
        found = (draws.guide if view == "guide" else draws.marginal)[0]
        frames[row, : found.shape[0], : found.shape[1]] = found
    return frames


def view_name(run: OpenedRun, view: str) -> str:
    """What pictures call the guide or the posterior that `token_frames` gives."""
    draws = run.sampling.draws
    if view == "guide":
        return f"guide, {draws} draws"
    return (
        "exact posterior" if run.approximation is None else f"posterior, {draws} weighted draws of the guide"
    )


def frames_of_items(run: OpenedRun, utterances: Sequence[Utterance], view: str) -> list[Tensor]:
    """The same of each utterance by itself, without padding and on the host: (T, S) each."""
    probabilities: dict[int, Tensor] = {}
    for indices, batch in batches(run, utterances):
        sizes = (mask.sum(-1).tolist() for mask in (batch.target_mask, batch.source_mask))
        of_batch = token_frames(run, batch, view).cpu()
        for index, padded, T, S in zip(indices, of_batch, *sizes, strict=True):
            probabilities[index] = padded[:T, :S]
    return [probabilities[index] for index in range(len(probabilities))]


def token_times(run: OpenedRun, utterances: Sequence[Utterance], view: str) -> list[TokenTimes]:
    """When each token of each utterance was said, the end mark left out."""
    seconds = run.description.frame_seconds
    times = [TokenTimes([], [])] * len(utterances)
    for indices, batch in batches(run, utterances):
        probabilities = token_frames(run, batch, view)
        frames = torch.stack(quantiles(probabilities), -1).tolist()  # (B, T, 3)
        confidences = probabilities.amax(-1).tolist()
        for row, index in enumerate(indices):
            n = len(utterances[index].tokens)
            boundaries = [
                Boundary((median + 1) * seconds, low * seconds, (high + 1) * seconds)
                for median, low, high in frames[row][:n]
            ]
            times[index] = TokenTimes(boundaries, confidences[row][:n])
    return times


def quantiles(frames: Tensor, mass: float = MASS) -> tuple[Tensor, Tensor, Tensor]:
    """Median, first and last frame of the central interval of so much mass: (B, T) int64 each."""
    cumulative = frames.cumsum(-1).contiguous()
    total, tail = cumulative[..., -1:], (1 - mass) / 2
    median, low, high = (
        torch.searchsorted(cumulative, share * total).squeeze(-1).clamp(max=frames.shape[-1] - 1)
        for share in (0.5, tail, 1 - tail)
    )
    return median, low, high


# A token is said where its first frame is, as decoding has it.
@torch.no_grad()
def _ctc_frames(model: Any, batch: SequenceBatch) -> Tensor:
    logits = model.read(batch.source, batch.source_mask)
    labelling = CTCSequence(logits, batch.source_mask, batch.target_mask, model.boundary)
    return torch.nn.functional.pad(labelling.token_frames(batch.target), (0, 0, 0, 1))  # (B, T, S)
