"""Baselines: predictions of a latent's return that are made before the latent is drawn.

A score-function gradient needs, at each latent, only how much better its return was than could be
expected. A baseline is a module that predicts the return from the history of the latent (see
`hardpp.inference.control.baseline_features`); if it peeked at the latent it judges, or at a later one of the
same particle, the gradient would be biased. `ScoreFunctionELBO` trains it by the regression

    sum over k, instances and live stages of (return - prediction)^2, divided by K

Source: Mnih and Gregor (2014), section 2.3, for learned, input-dependent baselines.
Shapes: K particles, I instances, N stages (see `hardpp.inference.weights.weight_table`).
"""

from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.inference.control.baseline_features import History
from hardpp.inference.control.running_moments import RunningMoments
from hardpp.inference.weights.weight_table import WeightTable


class Baseline(nn.Module):
    """A prediction of every return. Any module with such a `forward` will do; `update` is optional."""

    def forward(self, history: History, *args: Any, **kwargs: Any) -> Tensor:
        """Predicts returns, in nats.

        Args:
            history: what is known before the draws.
            *args: what the programs were called with.
            **kwargs: the same.

        Returns:
            A tensor that broadcasts to (K, *I, N).
        """
        raise NotImplementedError

    def update(self, history: History, returns: Tensor) -> None:
        """Told the returns (K, *I, N), detached, once the prediction has been used."""


class AverageBaseline(Baseline):
    """The decaying average of the returns at a stage: one number a latent.

    Args:
        decay: weight of the past at every batch.
        stages: how many numbers are kept; the stages after share the last.
    """

    def __init__(self, decay: float = 0.9, stages: int = 256):
        super().__init__()
        self.returns = RunningMoments(stages, decay)

    def forward(self, history: History, *args: Any, **kwargs: Any) -> Tensor:
        """The averages, (N)."""
        mean, _ = self.returns(history.live.shape[-1])
        return mean

    def update(self, history: History, returns: Tensor) -> None:
        """Averages over the live elements."""
        self.returns.update(returns, history.live)


class LearnedBaseline(Baseline):
    """The average return at a stage, corrected by a small network that reads the history.

        prediction[s] = mean[s] + deviation[s] network(log_weight[s], entropy[s], kl[s], drawn[s])

    Mean and deviation are running moments, so that the network sees and says numbers near one however
    large the returns are; it starts by saying 0. It serves any two programs.

    Args:
        hidden: units of each of the two hidden layers.
        decay: weight of the past at every batch, in the running moments.
        stages: see `AverageBaseline`.
    """

    def __init__(self, hidden: int = 32, *, decay: float = 0.9, stages: int = 256):
        super().__init__()
        self.returns, self.features = RunningMoments(stages, decay), RunningMoments(4, decay)
        last = nn.Linear(hidden, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(
            nn.Linear(4, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), last
        )

    def forward(self, history: History, *args: Any, **kwargs: Any) -> Tensor:
        """The prediction above, (K, *I, N)."""
        features = _features(history)
        mean, deviation = self.features(features.shape[-1])
        standard = (features - mean) / deviation.clamp(min=1e-3)
        output = self.network(standard.clamp(-5, 5).to(mean.dtype)).squeeze(-1)
        mean, deviation = self.returns(output.shape[-1])
        return mean + deviation * output

    def update(self, history: History, returns: Tensor) -> None:
        """Moments of returns and features over the live elements; of neither if a return is not finite."""
        self.returns.update(returns, history.live)
        sound = returns.isfinite().all()  # features are clamped: they would not tell
        self.features.update(_features(history), (history.live & sound).unsqueeze(-1))


def _features(history: History) -> Tensor:
    parts = [history.log_weight, history.entropy, history.kl, history.drawn]
    return torch.stack(parts).clamp(-1e6, 1e6).movedim(0, -1)  # in memory each feature by itself


def follow(module: nn.Module, device: torch.device) -> None:
    """Moves a module to where the programs compute, if it is not there; its parameters stay the same ones."""
    first = next(chain(module.parameters(), module.buffers()), None)
    if first is not None and first.device != device:
        module.to(device)


def predicted(module: nn.Module, history: History, table: WeightTable) -> Tensor:
    """What a baseline says of a table's returns.

    Raises:
        UsageError: its shape does not broadcast to (K, *I, N).
    """
    prediction: Tensor = module(history, *table.args, **table.kwargs)
    got, expected = tuple(prediction.shape), tuple(history.live.shape)
    sizes = zip(got[::-1], expected[::-1], strict=False)
    if len(got) > len(expected) or any(size not in (1, full) for size, full in sizes):
        raise UsageError(
            f"baseline {type(module).__name__} predicts returns of shape {got}, which does not broadcast to "
            f"{expected}, particles by instances by stages"
        )
    return prediction.to(history.log_weight.dtype)
