"""Softmaxes of some rows of a linear readout, a chunk of logits at a time, and their gradients.

    logits[r] = weight features[r] + bias
    d logits  = g (onehot(value) - probs)
    d features = d logits weight        d weight += d logits^T features        d bias += d logits

Rows are normalised on demand. As many as there is room for keep their probabilities; the others are computed
again in the backward pass. Written out, the first gradient is

    d features = sum_u g[u] weight[value[u]] - (sum_u g[u]) mean_weight,        mean_weight = probs weight

so a row whose mean weight is known needs no product for it.

Shapes: R rows of features, U values a row, H features, V symbols; n rows of a chunk.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from hardpp.ops.precision import wide


class Room(NamedTuple):
    """How much may be held at once, and in which dtype the products run."""

    dtype: torch.dtype
    chunk: int  # rows of logits
    kept: int  # rows whose probabilities are kept for the backward pass, at most


class Kept(NamedTuple):
    """What the forward pass keeps for the backward pass."""

    probs: Tensor  # (slots, V), a row of features in each slot
    slot: Tensor  # (R) int64, the slot of a row, or -1
    mean_weight: Tensor  # (m, H) of the first m slots


class RowSoftmax:
    """Normalises rows of a readout on demand.

    `out` is the log-probabilities of the values, (R, U); minus infinity at rows that were not normalised.
    """

    def __init__(self, features: Tensor, weight: Tensor, bias: Tensor, index: Tensor, room: Room):
        self.features, self.index, self.chunk = features, index, room.chunk
        self.weight, self.bias = weight.to(room.dtype), bias.to(room.dtype)
        R, V, dtype = len(index), len(weight), wide(room.dtype)
        self.out = features.new_full(index.shape, -torch.inf, dtype=dtype)
        self.kept = Kept(
            features.new_empty(min(room.kept, R), V, dtype=dtype),
            index.new_full((R,), -1),
            features.new_empty(0, weight.shape[1], dtype=dtype),
        )
        self.logits = features.new_empty(min(room.chunk, R), V, dtype=room.dtype)
        self.scratch = self.out.new_empty(0 if room.kept >= R else len(self.logits), V)
        self.used = 0

    @property
    def filled(self) -> Kept:
        """What is kept, without the room that was not used."""
        return self.kept._replace(probs=self.kept.probs[: self.used])

    def normalise(self, rows: Tensor | None = None) -> Tensor:
        """Fills in the log-probabilities of rows (n,), or of all; returns their log normalisers (n,)."""
        n = len(self.index) if rows is None else len(rows)
        log_z = self.out.new_empty(n)
        for chunk in chunks(n, self.chunk):
            row = chunk if rows is None else rows[chunk]
            log_z[chunk] = self.normalise_chunk(row, self._place(row, chunk.stop - chunk.start))
        return log_z

    def normalise_chunk(self, row: slice | Tensor, probs: Tensor) -> Tensor:
        """The same for n rows at once, whose probabilities are written into `probs` (n, V)."""
        x = self.features[row].to(self.weight.dtype)
        if len(x) > len(self.logits):
            self.logits = self.logits.new_empty(len(x), len(self.weight))
        logits = self.logits[: len(x)]
        torch.addmm(self.bias, x, self.weight.T, out=logits)
        torch.softmax(logits, -1, probs.dtype, out=probs)
        # The largest logit and its probability give the normaliser without another pass of exponentials.
        log_z = logits.amax(-1).to(probs.dtype) - probs.amax(-1).log()
        self.out[row] = logits.gather(1, self.index[row]).to(probs.dtype) - log_z.unsqueeze(1)
        return log_z

    def find_mean_weights(self) -> Tensor:
        """The mean weight (m, H) of the m rows kept so far."""
        means = self.kept.mean_weight.new_empty(self.used, self.weight.shape[1])
        for chunk in chunks(self.used, self.chunk):
            means[chunk] = self.kept.probs[chunk].to(self.weight.dtype) @ self.weight
        self.kept = self.kept._replace(mean_weight=means)
        return means

    def two_chunks(self, size: int) -> tuple[Tensor, Tensor]:
        """Room for the probabilities (size, V) of two chunks at a time, overwritten by what is normalised.

        The second one may be that of the logits: it is free once a chunk has been normalised.
        """
        if len(self.scratch) < size:
            self.scratch = self.scratch.new_empty(size, len(self.weight))
        if len(self.logits) < size:
            self.logits = self.logits.new_empty(size, len(self.weight))
        same = self.logits.dtype == self.scratch.dtype
        return self.scratch, self.logits if same else torch.empty_like(self.scratch)

    # Where probabilities are written: to slots of their own while there are some, else to scratch memory.
    def _place(self, row: slice | Tensor, n: int) -> Tensor:
        start = self.used
        if start + n > len(self.kept.probs):
            return self.scratch[:n]
        self.used += n
        self.kept.slot[row] = torch.arange(start, self.used, device=self.out.device)
        return self.kept.probs[start : self.used]


class RowGradients:
    """Adds up the gradients of a readout over rows; those that are not needed stay None."""

    def __init__(self, features: Tensor, weight: Tensor, bias: Tensor, room: Room, needed: tuple[bool, ...]):
        dtype = wide(room.dtype)
        self.d_features = torch.zeros_like(features) if needed[0] else None
        self.d_weight = torch.zeros_like(weight, dtype=dtype) if needed[1] else None
        self.d_bias = torch.zeros_like(bias, dtype=dtype) if needed[2] else None
        self.features, self.room = features, room
        self.weight, self.bias = weight.to(room.dtype), bias.to(room.dtype)

    @property
    def gradients(self) -> list[Tensor | None]:
        """Of features, weight and bias."""
        return [self.d_features, self.d_weight, self.d_bias]

    def add(
        self, rows: Tensor, index: Tensor, gradient: Tensor, kept: Kept | None, mean_known: bool = False
    ) -> None:
        """Adds rows (n,) of all rows, which have values (R, U) and incoming gradients (R, U).

        Probabilities are those kept, or computed again. `mean_known`: the mean weights of all rows are kept.
        """
        size = min(self.room.chunk, len(rows))
        scratch = gradient.new_empty(size, len(self.weight))
        logits = scratch.new_empty(0 if kept else size, len(self.weight), dtype=self.room.dtype)
        for chunk in chunks(len(rows), size):
            row = rows[chunk]
            probs, mean = scratch[: len(row)], None
            if kept is None:
                x = self.features[row].to(self.room.dtype)
                torch.addmm(self.bias, x, self.weight.T, out=logits[: len(row)])
                torch.softmax(logits[: len(row)], -1, probs.dtype, out=probs)
            else:
                torch.index_select(kept.probs, 0, kept.slot[row], out=probs)
                mean = kept.mean_weight[kept.slot[row]] if mean_known else None
            self.add_chunk(row, index[row], gradient[row], probs, mean)

    def add_chunk(
        self, row: Tensor, index: Tensor, gradient: Tensor, probs: Tensor, mean_weight: Tensor | None = None
    ) -> None:
        """Adds rows (n,) with values and incoming gradients (n, U); overwrites their probabilities (n, V)."""
        x, total = self.features[row].to(self.room.dtype), gradient.sum(1, keepdim=True)
        d_logits = probs.mul_(-total).scatter_add_(1, index, gradient)
        if self.d_bias is not None:
            self.d_bias += d_logits.sum(0)
        d_logits = d_logits.to(self.room.dtype)
        if self.d_features is not None:
            if mean_weight is None:
                d_x = d_logits @ self.weight
            else:
                d_x = (gradient.unsqueeze(-1) * self.weight[index]).sum(1) - total * mean_weight
            self.d_features[row] = d_x.to(self.d_features.dtype)
        if self.d_weight is not None and self.room.dtype == self.d_weight.dtype:
            self.d_weight.addmm_(d_logits.T, x)
        elif self.d_weight is not None:
            self.d_weight += d_logits.T @ x


def chunks(n: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover n."""
    return (slice(start, min(start + size, n)) for start in range(0, n, max(size, 1)))
