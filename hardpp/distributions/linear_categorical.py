"""A categorical over a large vocabulary that never holds its logits.

    value ~ Categorical(logits=features weight^T + bias)        # 0 .. V-1

Scoring V symbols at S enumerated positions takes (S, B, T, V) logits; here it takes a chunk of them
(`hardpp.ops.linear_log_softmax`), and training skips the rows that hardly count in the posterior.

Shapes: H features, V symbols; ... = batch dims: plates, and what inference adds on their left.
"""

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.utils import lazy_property

from hardpp.ops.linear_log_softmax import (
    CHUNK_BYTES,
    NEGLIGIBLE,
    linear_draws,
    linear_log_probs,
    linear_log_softmax,
)


class LinearCategorical(TorchDistribution):
    """Categorical whose logits are linear in features.

    `log_prob` and `sample` form the logits chunk by chunk, once a row of features, whether a plate
    repeats the row or several values belong to it; `logits` and `probs` hold them all. Log-probabilities
    are float32 or wider. They can be differentiated once, and the backward pass reads from the device
    which rows it may skip: on CUDA one host synchronisation a site, and none in the forward pass.

    Args:
        features: (..., H).
        weight: (V, H).
        bias: (V,), or None for zeros; minus infinity rules a symbol out.
        chunk_bytes: size of the log-probabilities (rows, V) held at once, one row at least. A site that
            fits keeps them for the backward pass.
        negligible: the backward pass skips the rows of smallest incoming gradient, each at most this
            share of the largest and together at most this share of all; the relative error of the
            gradients is of that size, by default about float32's own. 0 skips only the rows without
            any gradient and is exact.
        validate_args: whether to check arguments and values, as in torch.

    Raises:
        ValueError: shapes that do not fit.
    """

    arg_constraints = {  # noqa: RUF012  (torch's protocol)
        "features": constraints.real_vector,
        "weight": constraints.independent(constraints.real, 2),
        "bias": constraints.real_vector,
    }
    has_enumerate_support = True

    def __init__(
        self,
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        chunk_bytes: int = CHUNK_BYTES,
        negligible: float = NEGLIGIBLE,
        validate_args: bool | None = None,
    ):
        if weight.dim() != 2:
            raise ValueError(f"weight must have shape (V, H), got {tuple(weight.shape)}")
        V, H = weight.shape
        if features.dim() < 1 or features.shape[-1] != H:
            raise ValueError(
                f"features must have shape (..., {H}) with a weight of shape {(V, H)}, "
                f"got {tuple(features.shape)}"
            )
        if bias is None:
            bias = weight.new_zeros(V)
        if bias.shape != (V,):
            raise ValueError(
                f"bias must have shape ({V},) with a weight of shape {(V, H)}, got {tuple(bias.shape)}"
            )
        self.features, self.weight, self.bias = features, weight, bias
        self.chunk_bytes, self.negligible = chunk_bytes, negligible
        super().__init__(features.shape[:-1], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "LinearCategorical":
        new: LinearCategorical = self._get_checked_instance(LinearCategorical, _instance)
        batch_shape = torch.Size(batch_shape)
        if torch.broadcast_shapes(self.batch_shape, batch_shape) != batch_shape:
            raise ValueError(
                f"batch shape {tuple(self.batch_shape)} cannot be expanded to {tuple(batch_shape)}"
            )
        # The features stay as they are: a repeated row is still one product.
        new.features, new.weight, new.bias = self.features, self.weight, self.bias
        new.chunk_bytes, new.negligible = self.chunk_bytes, self.negligible
        super(LinearCategorical, new).__init__(batch_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        """The symbols 0 .. V-1."""
        return constraints.integer_interval(0, len(self.weight) - 1)

    @lazy_property
    def logits(self) -> Tensor:
        """Normalised log-probabilities (..., V), in nats; holds them all."""
        log_probs = linear_log_probs(self.features, self.weight, self.bias)
        return log_probs.expand(*self.batch_shape, len(self.weight))

    @lazy_property
    def probs(self) -> Tensor:
        """Probabilities (..., V); holds them all."""
        return self.logits.exp()

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probabilities in nats, of the shape that value and batch shape broadcast to."""
        if self._validate_args:
            self._validate_sample(value)
        found = linear_log_softmax(
            self.features,
            self.weight,
            self.bias,
            value.long(),
            chunk_bytes=self.chunk_bytes,
            negligible=self.negligible,
        )
        return found.expand(torch.broadcast_shapes(self.batch_shape, value.shape))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Independent draws, int64 (*sample_shape, ...), without gradient."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return linear_draws(self.features, self.weight, self.bias, shape, chunk_bytes=self.chunk_bytes)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """The symbols along a dim of their own on the left, (V, ...) or, not expanded, (V, 1, ...)."""
        symbols = torch.arange(len(self.weight), device=self.features.device)
        symbols = symbols.reshape(-1, *(1,) * len(self.batch_shape))
        return symbols.expand(-1, *self.batch_shape) if expand else symbols
