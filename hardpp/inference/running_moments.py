"""Decaying means and variances, remembered from batch to batch.

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
        stream = torch.arange(columns, device=self.mean.device).clamp(max=len(self.mean) - 1)
        return self.mean[stream], self.variance[stream].sqrt()

    def update(self, values: Tensor, live: Tensor) -> None:
        """Mixes in a batch, in training mode and with gradients enabled; else nothing is remembered.

        Args:
            values: (..., N).
            live: which of them count, bool, broadcast to (..., N); a stream without any stays as it is, and
                all streams do if one that counts is not finite.
        """
        if not (self.training and torch.is_grad_enabled()):
            return
        with torch.no_grad():
            known, _ = self(values.shape[-1])
            zero = values.new_zeros(())
            live = live & values.where(live, zero).isfinite().all()
            off = (values - known).where(live, zero).to(self.mean.dtype)  # no large common part to cancel
            count = self._streams(live.expand_as(off).to(off.dtype))
            mean = self._streams(off) / count.clamp(min=1)
            square = self._streams(off.square()) / count.clamp(min=1)
            weight = self.decay * self.weight + (1 - self.decay)
            part = (1 - self.decay) / weight
            seen = count > 0
            variance = (self.variance + part * (square - self.variance) - (part * mean).square()).clamp(min=0)
            self.weight.copy_(weight.where(seen, self.weight))
            self.mean.copy_(self.mean + part * mean)
            self.variance.copy_(variance.where(seen, self.variance))

    # Sums (..., N) to (M).
    def _streams(self, terms: Tensor) -> Tensor:
        columns = terms.flatten(0, -2).sum(0)
        own = len(self.mean) - 1
        none = columns.new_zeros(max(0, own - len(columns)))
        return torch.cat([columns[:own], none, columns[own:].sum(0, keepdim=True)])
