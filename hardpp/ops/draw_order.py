"""Which of K values drawn without replacement came first, and which second, given only their set.

    P(first = k | S)              = p[k] h({k}) / h({}),              h({}) = P(S)
    P(second = j | S, first = k)  = p[j] / (1 - p[k]) h({k, j}) / h({k})

with h(A) the probability that draws without replacement go on to all of S once A is drawn:

    h(A) = sum over s in S but not in A of p[s] / (1 - p(A)) h(A + s),     h(S) = 1

In log space only positive terms are added: no cancellation, unlike inclusion and exclusion, and no integral.
What is outside of S has the probability 1 - p(S), where rounding counts: everything is float64, and right to
1e-12 of float64 log-probabilities. Time is K 2^(K - 1) an instance and memory 2^K, hence `MOST`.

Source: Kool, van Hoof and Welling (2020), Estimating Gradients for Discrete Random Variables by Sampling
without Replacement, section 3, where P(S) is a sum over orders, subsets or an integral.
Shapes: K values, ... = instances.
"""

from math import comb

import torch
from torch import Tensor

MOST = 12  # values of a set


@torch.no_grad()
def first_and_second(log_p: Tensor) -> tuple[Tensor, Tensor]:
    """The probabilities of having been drawn first and second, float64 (K, ...) and (K, K, ...).

    Both are made to average something of the values: by the first it has the mean over all values in
    expectation, and so it has by row k of the second, in expectation over the values drawn after k:

        first[k]      P(first = k | S)
        second[k, k]  p[k]
        second[k, j]  (1 - p[k]) P(second = j | S, first = k)

    Each adds up to 1. If S is all there is, both are p.

    Args:
        log_p: log-probabilities of K different values, (K, ...), together at most 1. -inf is no value, and
            of a set that has fewer than K; its `first` is 0.
    """
    K, log_p = len(log_p), log_p.double()
    each = torch.arange(K, device=log_p.device)
    outside = (1 - log_p.exp().sum(0)).clamp(min=0).log()
    log_left = outside.unsqueeze(0)  # log (1 - p(A)) by A, whose s-th bit is whether s is in A: (2^K, ...)
    for s in range(K):
        log_left = torch.cat([torch.logaddexp(log_left, log_p[s]), log_left])
    bits = torch.arange(2**K, device=log_p.device).unsqueeze(-1) >> each & 1  # (2^K, K)
    by_size, end = bits.sum(-1).argsort(), 2**K - 1
    log_h = torch.zeros_like(log_left)
    for size in reversed(range(K)):
        start = end - comb(K, size)
        sets = by_size[start:end]
        absent = bits[sets].argsort(dim=-1)[:, : K - size]  # (sets, K - size)
        after = sets.unsqueeze(-1) + (1 << absent)
        log_sum = (log_p[absent] + log_h[after]).logsumexp(1)
        complete = log_sum == -torch.inf  # nothing of S is left to be drawn
        log_h[sets] = (log_sum - log_left[sets]).masked_fill(complete, 0.0)
        end = start
    log_p = log_p - log_left[0]  # the sum of all is 1 up to rounding
    one = 1 << each
    first = log_p + log_h[one] - log_h[0]
    second = log_p + log_h[one.unsqueeze(-1) | one] - log_h[one].unsqueeze(1)
    return first.exp(), second.exp()
