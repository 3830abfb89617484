"""Running means and variances, updated batch by batch; old batches count less and less.

A batch of mean m and variance v is mixed into what was known with the weight that decay leaves it,
a = (1 - decay) / (1 - decay^n) for the n-th batch, so that the first one counts in full:

    mean     <- (1 - a) mean + a m
    variance <- (1 - a) variance + a v + a (1 - a) (m - mean)^2

A batch in which a number that counts is not finite is not mixed in: a training step that is left out for
its numbers leaves no trace here.

Shapes: N columns of what is watched, M streams that are remembered; ... = particles and instances.
"""

import torch
from torch import Tensor, nn


class RunningMoments(nn.Module):
    """The running mean and standard deviation of M streams of numbers.

    Column j belongs to stream j, and every column from the last stream on to that one: how many columns
    there are may change from batch to batch, and the state keeps its size (an average of weights, or
    another process, copies it as it is). A stream that was never seen has mean 0 and deviation 1.

    Args:
        streams: M.
        decay: of the weight of a batch, with every later one that shows the same stream; in [0, 1).
    """

    weight: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, streams: int = 1, decay: float = 0.9):
        super().__init__()
        self.decay = decay
        self.register_buffer("weight", torch.zeros(streams))
        self.register_buffer("mean", torch.zeros(streams))
        self.register_buffer("variance", torch.ones(streams))

    def forward(self, columns: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of so many columns, (N) each."""
        return self._by_column(self.mean, columns), self._by_column(self.variance, columns).sqrt()

    def update(self, values: Tensor, live: Tensor) -> None:
        """Mixes in a batch, in training mode and with gradients enabled; else nothing is remembered.

        Args:
            values: (..., N).
            live: which of them count, bool, broadcast to (..., N); a stream without any stays as it is.
        """
        if not (self.training and torch.is_grad_enabled()):
            return
        with torch.no_grad():
            before = self._by_column(self.mean, values.shape[-1])
            off = (values - before).where(live, values.new_zeros(()))  # no large common part to cancel
            live = live & off.isfinite().all()
            off = off.where(live, off.new_zeros(())).to(self.mean.dtype).flatten(0, -2)
            count = live.expand_as(values).flatten(0, -2).sum(0)
            sums = self._by_stream(torch.stack([count.to(off.dtype), off.sum(0), off.square().sum(0)]))
            count, mean, square = sums[0], *(sums[1:] / sums[0].clamp(min=1))
            weight = self.decay * self.weight + (1 - self.decay)
            part = (1 - self.decay) / weight
            seen = count > 0
            variance = (self.variance + part * (square - self.variance) - (part * mean).square()).clamp(min=0)
            self.weight.copy_(weight.where(seen, self.weight))
            self.mean.copy_(self.mean + part * mean)
            self.variance.copy_(variance.where(seen, self.variance))

    # (M) to (N): a stream's number for each of its columns.
    def _by_column(self, state: Tensor, columns: int) -> Tensor:
        more = columns - len(state)
        return state[:columns] if more <= 0 else torch.cat([state, state[-1:].expand(more)])

    # (..., N) to (..., M): the sum over each stream's columns.
    def _by_stream(self, terms: Tensor) -> Tensor:
        own, missing = len(self.mean) - 1, len(self.mean) - terms.shape[-1]
        if missing >= 0:
            return nn.functional.pad(terms, (0, missing))
        return torch.cat([terms[..., :own], terms[..., own:].sum(-1, keepdim=True)], -1)
