"""The predictive distribution of the next symbol, with the source position summed out or averaged.

    marginal:  log p(v) = log sum_s p(s) p(v | memory[s], query)      all positions summed out
    expected:  log p(v) = log p(v | sum_s p(s) memory[s], query)      soft attention

With `keep` only the positions of highest p(s) are read out and p(s) is renormalised over them: the readout
then costs `keep` products a step instead of S, for a small loss (Deng et al. 2018, table 2: K-max). With a
`tolerance` as many are left out as have no more than that share of p(s) together, so that no probability of a
symbol is off by more in the marginal; trained attention needs few positions.

Source: Deng, Kim, Chiu, Guo and Rush (2018), Latent Alignment and Variational Attention, section 4.
Shapes: R rows (data, or hypotheses of all data), S source positions, V symbols, M features of values, Q query
features.
"""

from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.types import Prediction


class StepState(Protocol):
    """The state between two decoding steps; every part has R rows."""

    def select(self, rows: Tensor) -> Self: ...  # other rows, (R',) int64


class SourceState(StepState, Protocol):
    """An encoded source; every part has R rows."""

    @property
    def values(self) -> Tensor: ...  # (R, S, M), what the readout attends to


class Readout(Protocol):
    """Gives the logits of symbols."""

    def logits(self, value: Tensor, query: Tensor) -> Tensor:
        """Attended values (..., M) and query (..., Q) -> logits (..., V); leading dims broadcast."""


SourceT = TypeVar("SourceT", bound=SourceState)
StateT = TypeVar("StateT", bound=StepState)


class Decodable(Protocol[SourceT, StateT]):
    """A model that can predict one output symbol at a time."""

    boundary: int  # the symbol before the first one and after the last

    @property
    def readout(self) -> Readout: ...

    def read(self, source: Tensor, mask: Tensor) -> tuple[SourceT, StateT]:
        """Encodes sources (R, S) int64 with their bool mask: what all steps read, and the first state."""

    def step(self, source: SourceT, state: StateT, previous: Tensor) -> tuple[Tensor, Tensor, StateT]:
        """After symbols (R,): query (R, Q), scores (R, S) with -inf at padding, and the next state."""


def next_symbol(
    model: Decodable[SourceT, StateT],
    source: SourceT,
    query: Tensor,
    scores: Tensor,
    prediction: Prediction = "marginal",
    keep: int | None = None,
    tolerance: float = 0.0,
) -> Tensor:
    """Log-probabilities (R, V) of the next symbol, in nats; each row's probabilities sum to 1.

    Query and scores are those of `model.step`, `keep` is how many positions are read out, None for all, and
    `tolerance` is how much of p(s), of those, may be left out in each row. Other rows do not matter.

    Raises:
        UsageError: an unknown prediction, or `keep` below 1.
    """
    if prediction not in ("marginal", "expected"):
        raise UsageError(f"prediction must be 'marginal' or 'expected', not {prediction!r}")
    if keep is not None and keep < 1:
        raise UsageError(f"at least 1 source position must be kept, not {keep}")
    values = source.values
    if keep is not None and keep < scores.shape[-1]:
        scores, position = scores.topk(keep, -1)  # (R, keep)
        values = values.take_along_dim(position.unsqueeze(-1), 1)  # (R, keep, M)
    elif tolerance > 0:
        scores, position = _likeliest(scores, tolerance)
        values = values.take_along_dim(position.unsqueeze(-1), 1)
    if prediction == "expected":
        attended = (scores.softmax(-1).unsqueeze(-2) @ values).squeeze(-2)  # (R, M)
        return model.readout.logits(attended, query).log_softmax(-1)
    emission = model.readout.logits(values, query.unsqueeze(-2)).log_softmax(-1)  # (R, S, V)
    return torch.logsumexp(scores.log_softmax(-1).unsqueeze(-1) + emission, -2)


# The scores and places (R, K) of the likeliest positions, which have all but the tolerance; -inf beyond it.
def _likeliest(scores: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    p, position = scores.softmax(-1).sort(-1, descending=True)
    counts = p.flip(-1).cumsum(-1).flip(-1) > tolerance  # those from here on have more than may be left out
    counts[..., 0] = True
    K = int(counts.sum(-1).max())
    position = position[..., :K]
    return scores.gather(-1, position).masked_fill(~counts[..., :K], -torch.inf), position
