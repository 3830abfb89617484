"""Baselines: predictions of a latent's return that are made before the latent is drawn.

A score-function gradient needs, at each latent, only how much better its return was than could be
expected. A baseline is a module that predicts the return from the `History` of the latent: what the program
has done so far, and the latent's distributions under guide and model, which depend on earlier latents only,

    entropy = -E_q[log q(z_s)],     kl = E_q[log q(z_s) - log p(z_s)].

If it peeked at the latent it judges, or at a later one of the same particle, the gradient would be biased.
`ScoreFunctionELBO` trains it by the regression

    sum over k, instances and live stages of (return - prediction)^2, divided by K

Source: Mnih and Gregor (2014), section 2.3, for learned, input-dependent baselines.
Shapes: K particles, I instances, N stages (see `hardpp.inference.weights.weight_table`).
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hardpp.errors import UsageError
from hardpp.inference.control.closed_forms import divergences, entropies
from hardpp.inference.control.running_moments import RunningMoments
from hardpp.inference.weights.sample_sites import WITHIN_SUM, elements, steps_of
from hardpp.inference.weights.stages import side_by_side
from hardpp.inference.weights.weight_table import Latent, WeightTable
from hardpp.ops.weights import prefix_sums


class History(NamedTuple):
    """What is known of every stage before its latent is drawn: detached, in nats, 0 at what is masked.

    Nothing in it depends on padding or on how many latents are still to come: whether a later latent
    counts may depend on this one.
    """

    log_weight: Tensor  # (K, *I, N) what the stages before added to log p - log q
    entropy: Tensor  # (K, *I, N) of the latent under the guide; 0 where its distribution has no closed form
    kl: Tensor  # (K, *I, N) of the guide's distribution of it from the model's; 0 likewise
    drawn: Tensor  # (K, *I, N) how many live latents came before
    live: Tensor  # (K, *I, N) bool, does the latent count?


@torch.no_grad()
def history_of(table: WeightTable) -> History:
    """Reads off a table and its sites what was known before each draw."""
    if table.particles:
        return History(*map(_along_particles, zip(*map(history_of, table.particles), strict=True)))
    terms, live, latents = table.stage_weights, table.live, table.latents
    none = terms.new_zeros(())
    guide, comparable = [elements(latent.guide) for latent in latents], _comparable(latents)

    def by_stage(quantities: Sequence[Tensor | None]) -> Tensor:
        columns = [none]
        for latent, (_, counts), quantity in zip(latents, guide, quantities, strict=True):
            steps = steps_of(latent.guide)
            value = none.expand(() if steps is None else (steps,)) if quantity is None else quantity
            if counts is not None:
                value = value.where(counts, value.new_zeros(()))
            columns.append(table.layout.place_at(value.to(terms.dtype), latent.guide, len(terms)))
        return side_by_side(columns, terms.shape[:-1])

    pairs = [
        (q, elements(latent.model)[0]) if latent.model and latent.guide["name"] in comparable else None
        for latent, (q, _) in zip(latents, guide, strict=True)
    ]
    entropy, kl = by_stage(entropies([q for q, _ in guide])), by_stage(divergences(pairs))
    return History(prefix_sums(terms), entropy, kl, prefix_sums(live.to(terms.dtype)), live)


def _along_particles(parts: Sequence[Tensor]) -> Tensor:
    stages = max(part.shape[-1] for part in parts)
    return torch.cat([nn.functional.pad(part, (0, stages - part.shape[-1])) for part in parts])


# Latents of as many steps in both programs, that depend on none that is summed, and before which the model
# draws none that the guide draws later: had it, its distribution of them could tell of what follows.
def _comparable(latents: Sequence[Latent]) -> set[str]:
    names, least = set(), float("inf")
    for latent in reversed(latents):
        if latent.model is None:
            continue
        alone = not latent.model["infer"].get(WITHIN_SUM)
        if alone and latent.order < least and steps_of(latent.guide) == steps_of(latent.model):
            names.add(latent.guide["name"])
        least = min(least, latent.order)
    return names


class Baseline(nn.Module):
    """A prediction of every return. Any module with such a `forward` will do; `update` is optional."""

    def forward(self, history: History, *args: Any, **kwargs: Any) -> Tensor:
        """Predicts returns, in nats, as what broadcasts to (K, *I, N); args are those of the programs."""
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
        mean, _ = self.returns(history.live.shape[-1])  # (N)
        return mean

    def update(self, history: History, returns: Tensor) -> None:
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
        features = _features(history)
        mean, deviation = self.features(features.shape[-1])
        standard = (features - mean) / deviation.clamp(min=1e-3)
        output = self.network(standard.clamp(-5, 5).to(mean.dtype)).squeeze(-1)
        mean, deviation = self.returns(output.shape[-1])
        return mean + deviation * output

    def update(self, history: History, returns: Tensor) -> None:
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
    """What a baseline says of a table's returns, in a shape that broadcasts to (K, *I, N)."""
    prediction: Tensor = module(history, *table.args, **table.kwargs)
    got, expected = tuple(prediction.shape), tuple(history.live.shape)
    sizes = zip(got[::-1], expected[::-1], strict=False)
    if len(got) > len(expected) or any(size not in (1, full) for size, full in sizes):
        raise UsageError(
            f"baseline {type(module).__name__} predicts returns of shape {got}, which does not broadcast to "
            f"{expected}, particles by instances by stages"
        )
    return prediction.to(history.log_weight.dtype)
