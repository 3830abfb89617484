"""Codes of images, vectors of features, and the distributions that a network may give them.

    code ~ sum_m weight[m] Normal(loc[m], diag(scale[m]^2))

One component is a normal with independent features, whose draws are reparameterised. What is seen of an image
may agree with different wholes, and then several components fit its code far better than one.

Shapes: D features of a code, M components; ... = plates.
"""

from typing import Any

import pyro.distributions as dist
from torch import Tensor
from torch.nn.functional import softplus

SMALLEST = 1e-3  # deviation of a feature
_UNIT = 0.5413  # softplus of it is 1


class CodeSpace:
    """Distributions of codes of D features, from parameters that a network computes.

    Args:
        features: D.
        components: M normals that are mixed.
    """

    def __init__(self, features: int, components: int = 1):
        if features < 1 or components < 1:
            raise ValueError(f"expected at least 1 feature and component, got {features} and {components}")
        self.features, self.components = features, components

    @property
    def parameters(self) -> int:
        """How many numbers say a distribution; with all of them 0 it is the standard normal."""
        weights = self.components if self.components > 1 else 0
        return 2 * self.features * self.components + weights

    def distribution(self, parameters: Tensor) -> Any:
        """The distribution of codes, of plates (...), with the event (D,).

        Args:
            parameters: (..., self.parameters).
        """
        M, D = self.components, self.features
        loc, raw = parameters[..., : 2 * M * D].unflatten(-1, (2, M, D)).unbind(-3)  # (..., M, D) each
        scale = softplus(raw + _UNIT) + SMALLEST
        if M == 1:
            return dist.Normal(loc.squeeze(-2), scale.squeeze(-2), validate_args=False).to_event(1)
        weights = dist.Categorical(logits=parameters[..., 2 * M * D :], validate_args=False)
        normals = dist.Normal(loc, scale, validate_args=False).to_event(1)
        return dist.MixtureSameFamily(weights, normals, validate_args=False)

    def standard(self, like: Tensor) -> Any:
        """The standard normal, of the device and dtype of a tensor."""
        return dist.Normal(like.new_zeros(self.features), 1.0).to_event(1)
