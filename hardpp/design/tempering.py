"""Weights made flatter until enough of them count.

    W_n proportional to w_n^beta,    0 < beta <= 1

Images of a database never agree with what was seen to the last grey value, and then one of them has all the
weight. A power of the weights is what a larger deviation of the noise would give.

Source: Harvey, Teng and Wood (2019), Near-optimal glimpse sequences, whose code finds the temperature of a
proposal by bisection.
Shapes: N weights.
"""

from torch import Tensor

from hardpp.ops.weights import effective_sample_size

_HALVINGS = 50


def tempered(log_weights: Tensor, least: float) -> Tensor:
    """Log weights (N,) times the largest power, at most 1, at which at least so many effectively count.

    `least` is at most N; -inf stays -inf, so that the possible ones have to be as many.
    """
    if effective_sample_size(log_weights) >= least:
        return log_weights
    low, high = 0.0, 1.0  # enough at low, too few at high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if effective_sample_size(_power(log_weights, middle)) >= least:
            low = middle
        else:
            high = middle
    return _power(log_weights, low)


def _power(log_weights: Tensor, beta: float) -> Tensor:
    # 0 times minus infinity would be no number.
    impossible = log_weights.isneginf()
    return (beta * log_weights.masked_fill(impossible, 0.0)).masked_fill(impossible, -float("inf"))
