"""Sums over a latent that leave out the terms which hardly count.

    log p(y) = log sum_s exp(log_weight[s]) p(y | z = s)            exact marginals
    mean     = sum_s exp(log_weight[s]) log p(y | z = s)            bounds, with a guide's probabilities

Most values of a latent hardly count in either. A distribution whose log-probabilities are expensive may have
the methods

    mixture_terms(value, log_weight, dim, tolerance) -> Tensor
    mean_terms(value, log_weight, dim, tolerance) -> Tensor

which are `log_prob(value)`, save that terms of the sum over `dim` may be left out that together change log
p(y), or the mean, by no more than `tolerance` nats. A term that is left out is minus infinity in a mixture
and 0 in a mean. (`hardpp.distributions.linear_categorical` has both; p(y | z) must not exceed 1.)

A mixture's weights are the product of all other factors that hold the latent, so it is asked when those are
known, and only if they hold no other latent and no plate that the observation is outside of. A mean's weights
are the guide's probabilities, if they depend on no other latent.

Shapes: ... = plates, and one dim of S values of the latent on their left.
"""

from collections.abc import Collection, Iterable
from typing import Literal

import torch
from torch import Tensor

from hardpp.inference.weights.sample_sites import Site, mask_of
from hardpp.ops.marginal import Factor, align, spread

Sum = Literal["mixture_terms", "mean_terms"]  # which sum is taken over the latent


def latent_in_sight(site: Site, latents: Collection[str], kind: Sum) -> str | None:
    """The letter of the one latent that an observation with such a method depends on, or None."""
    if not site["is_observed"] or not hasattr(site["fn"], kind):
        return None
    shape, letters = site["fn"].batch_shape, site["infer"]["_dim_to_symbol"]
    held = [letters.get(i - len(shape)) for i, size in enumerate(shape) if size > 1]
    seen = [letter for letter in held if letter in latents]
    return seen[0] if len(seen) == 1 else None


def log_weight(latent: str, factors: Iterable[Factor], plates: frozenset[str]) -> Factor | None:
    """The product of the factors that hold a latent, if they hold nothing else but these plates."""
    held = [factor for factor in factors if latent in factor.dims]
    if not held or not all(set(factor.dims) <= plates | {latent} for factor in held):
        return None
    return align(held)


def terms_that_count(site: Site, latent: str, weight: Factor, kind: Sum, tolerance: float) -> Tensor:
    """An observation's log-probability, masked, (S, ...), without the terms that do not count.

    The latent is given by its letter, and the log weights of its values over plates of the observation.
    """
    dim_of = {letter: dim for dim, letter in site["infer"]["_dim_to_symbol"].items()}
    held = sorted(weight.dims, key=dim_of.__getitem__)
    value = spread(weight, "".join(held)).detach()
    shape = [1] * -dim_of[held[0]]
    for letter, size in zip(held, value.shape, strict=True):
        shape[dim_of[letter]] = size
    value, mask = value.reshape(shape), mask_of(site, value.device)
    if mask is not None:
        value = value.masked_fill(~mask, -torch.inf)
    terms: Tensor = getattr(site["fn"], kind)(site["value"], value, dim_of[latent], tolerance)
    return terms if mask is None else terms.where(mask, terms.new_zeros(()))
