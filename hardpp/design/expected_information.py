"""How much a look at each candidate place would tell about a label, by images that agree with what was seen.

With completions x_n of an image, weights W_n that sum to 1, and a classifier q of partly seen images,

    EPE(l)  = sum_n W_n H[q(y | x_n seen at l)]                           expected posterior entropy
    gain(l) = H[sum_n W_n q(y | x_n seen at l)] - EPE(l)                  never negative, for any q

where "seen at l" means at l and wherever the image was seen before. The best place has the smallest EPE; the
gain is what is then learnt, if q is right. H[q(y | seen before)] - EPE(l) is the textbook form of the gain,
and may be negative where q is not consistent from one mask to another.

All places are judged by the same completions, so that a difference of two has a far smaller standard error
than either.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, section 3; Harvey, Naderiparizi and Wood
(2022), Conditional image generation by conditioning variational auto-encoders, equation 9, for the gain.
Shapes: N completions, L places, V classes; entropies in nats.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Information(NamedTuple):
    """What is expected of a look at each place."""

    entropies: Tensor  # (N, L) of the label, if the image were completion n
    weights: Tensor  # (N,) that sum to 1
    expected_entropy: Tensor  # (L,)
    gain: Tensor  # (L,) never negative

    @property
    def standard_error(self) -> Tensor:
        """Of each expected entropy, (L,), by the completions' spread."""
        return weighted_error(self.entropies, self.weights)

    @property
    def best(self) -> int:
        """The place of the smallest expected entropy, the first of equal ones."""
        return int(self.expected_entropy.argmin())

    @property
    def behind(self) -> Tensor:
        """How much larger each expected entropy is than the smallest, (L,)."""
        return self.expected_entropy - self.expected_entropy[self.best]

    @property
    def behind_error(self) -> Tensor:
        """The standard error of `behind`, (L,): completions are common to all places."""
        return weighted_error(self.entropies - self.entropies[:, self.best, None], self.weights)

    @property
    def effective_completions(self) -> float:
        """The effective number of completions, 1 to N: 1 / sum_n W_n^2."""
        return float(1 / self.weights.square().sum())


def expected_information(log_p: Tensor, log_weights: Tensor) -> Information:
    """Judges places by predictions.

    Args:
        log_p: (N, L, V) log-probabilities of labels given completion n, seen at place l.
        log_weights: (N,) of the completions, up to a constant.
    """
    weights = log_weights.softmax(0)
    entropies = entropy(log_p)
    expected = torch.einsum("n,nl->l", weights, entropies)
    mean = (log_p + weights.log().view(-1, 1, 1)).logsumexp(0)  # (L, V)
    return Information(entropies, weights, expected, (entropy(mean) - expected).clamp(min=0))


def entropy(log_p: Tensor) -> Tensor:
    """The entropy in nats, (...), of log-probabilities (..., V); impossible labels add nothing."""
    return -(log_p.exp() * log_p.where(log_p > -torch.inf, torch.zeros_like(log_p))).sum(-1)


def weighted_error(values: Tensor, weights: Tensor) -> Tensor:
    """The standard error of the weighted mean, (L,), of values (N, L) with weights (N,) that sum to 1."""
    apart = values - torch.einsum("n,nl->l", weights, values)
    return torch.einsum("n,nl->l", weights.square(), apart.square()).sqrt()
