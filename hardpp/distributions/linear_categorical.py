"""A categorical over a large vocabulary that never holds its logits.

    value ~ Categorical(logits=features weight^T + bias)        # 0 .. V-1

Scoring V symbols at S enumerated positions takes (S, B, T, V) logits; here only a chunk of them exists at a
time (`hardpp.ops.linear_log_softmax`). If inference knows the weights of the positions, only those that can
count are normalised (`hardpp.ops.pruned_mixture`), and training skips rows of negligible posterior
probability.

Shapes: H features, V symbols; ... = batch dims: plates, and what inference adds on their left.
"""

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.utils import lazy_property

from hardpp.ops.broadcast_shape import broadcast_shape
from hardpp.ops.linear_log_softmax import (
    CHUNK_BYTES,
    KEPT_BYTES,
    NEGLIGIBLE,
    linear_draws,
    linear_log_probs,
    linear_log_softmax,
)
from hardpp.ops.pruned_mixture import pruned_mixture_terms

WRITTEN_OUT = 512


class LinearCategorical(TorchDistribution):
    """Categorical whose logits are linear in features.

    `log_prob` and `sample` compute the logits chunk by chunk, once for each row of features, even if a plate
    repeats the row or it has several values; `logits` and `probs` hold all of them. Log-probabilities are
    float32 or wider. They can be differentiated twice, in reverse mode. The backward pass reads from the
    device which rows it may skip: one or two host synchronisations a site on CUDA, none in the forward pass.
    A small vocabulary is a plain categorical.

    Args:
        features: (..., H).
        weight: (V, H).
        bias: (V,), or None for zeros; minus infinity rules a symbol out.
        chunk_bytes, kept_bytes, negligible: see `hardpp.ops.linear_log_softmax.linear_log_softmax`.
        written_out: for a vocabulary of at most so many symbols all logits are held, which is faster; the
            options above are then ignored.

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
        kept_bytes: int = KEPT_BYTES,
        negligible: float = NEGLIGIBLE,
        written_out: int = WRITTEN_OUT,
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
        self.written_out, self.constant = written_out, 0
        self.options: dict[str, Any] = {"chunk_bytes": chunk_bytes, "kept_bytes": kept_bytes}
        self.options["negligible"] = negligible
        super().__init__(features.shape[:-1], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "LinearCategorical":
        new: LinearCategorical = self._get_checked_instance(LinearCategorical, _instance)
        batch_shape = torch.Size(batch_shape)
        if broadcast_shape(self.batch_shape, batch_shape) != batch_shape:
            raise ValueError(
                f"batch shape {tuple(self.batch_shape)} cannot be expanded to {tuple(batch_shape)}"
            )
        # The features stay as they are: a repeated row is still one product.
        new.features, new.weight, new.bias = self.features, self.weight, self.bias
        new.options, new.written_out, new.constant = self.options, self.written_out, self.constant
        super(LinearCategorical, new).__init__(batch_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
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
        if self._validate_args:
            self._validate_sample(value)
        shape = broadcast_shape(self.batch_shape, value.shape)
        if len(self.weight) <= self.written_out:
            index = value.long().expand(shape).unsqueeze(-1)
            return self.logits.expand(*shape, len(self.weight)).gather(-1, index).squeeze(-1)
        if self.constant and value.dim() < len(self.batch_shape) == self.features.dim() - 1:
            learnt, constant = self.features.tensor_split([-self.constant])
            with torch.no_grad():
                without_gradient = self._log_prob(constant, value)
            log_prob = torch.cat([self._log_prob(learnt, value), without_gradient])
        else:
            log_prob = self._log_prob(self.features, value)
        return log_prob.expand(shape)

    def last_constant(self, rows: int) -> "LinearCategorical":
        """The same, without gradient for the last rows of the leftmost batch dim, which saves time."""
        new = self.expand(self.batch_shape)
        new.constant = rows
        return new

    def mixture_terms(self, value: Tensor, log_weight: Tensor, dim: int, tolerance: float) -> Tensor:
        """`log_prob` of the terms of mixtures; negligible terms may be minus infinity.

        All together they make log p(y) = log sum exp(log_weight + log_prob(y)) over `dim` at most `tolerance`
        nats too low. Value, weights and batch shape broadcast.

        Args:
            value: the same for all terms of a mixture.
            log_weight: of the terms, in nats; a constant.
            dim: of the batch shape, negative.
            tolerance: nats.
        """
        return self._terms(value, log_weight, dim, tolerance, average=False)

    def mean_terms(self, value: Tensor, log_weight: Tensor, dim: int, tolerance: float) -> Tensor:
        """`log_prob` of the terms of means, arguments as for `mixture_terms`; negligible terms may be 0.

        All together they change the mean, sum exp(log_weight) log_prob(y) over `dim`, by at most `tolerance`.
        """
        return self._terms(value, log_weight, dim, tolerance, average=True)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        return linear_draws(
            self.features, self.weight, self.bias, shape, chunk_bytes=self.options["chunk_bytes"]
        )

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """The symbols along a new dim on the left, (V, ...) or, not expanded, (V, 1, ...)."""
        symbols = torch.arange(len(self.weight), device=self.features.device)
        symbols = symbols.reshape(-1, *(1,) * len(self.batch_shape))
        return symbols.expand(-1, *self.batch_shape) if expand else symbols

    def _log_prob(self, features: Tensor, value: Tensor) -> Tensor:
        return linear_log_softmax(features, self.weight, self.bias, value.long(), **self.options)

    def _terms(self, value: Tensor, log_weight: Tensor, dim: int, tolerance: float, average: bool) -> Tensor:
        if len(self.weight) <= self.written_out:
            return self.log_prob(value)
        if self._validate_args:
            self._validate_sample(value)
        readout = self.features, self.weight, self.bias
        options = self.options | {"tolerance": tolerance, "average": average}
        return pruned_mixture_terms(*readout, value.long(), log_weight, dim, **options)
