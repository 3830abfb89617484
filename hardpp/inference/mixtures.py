"""Observations that need not say how probable they are under every value of a latent.

    log p(y) = log sum_s exp(log_weight[s]) p(y | z = s)

A distribution whose log-probabilities are dear may have a method

    mixture_terms(value, log_weight, dim, tolerance) -> Tensor

which is `log_prob(value)`, save that terms of the sum over `dim` may be minus infinity that together make
log p(y) no more than `tolerance` nats too low (`hardpp.distributions.linear_categorical` has one).
It is asked where everything else that is said of the latent is known: the other factors that hold it (its
prior, other observations) hold no other latent, and are in plates that the observation is in, too.

Shapes: ... = plates, and one dim of S values of the latent on their left.
"""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from hardpp.inference.sample_sites import Site
from hardpp.ops.marginal import Factor, align, spread


def latent_in_sight(site: Site, latents: Collection[str]) -> str | None:
    """The letter of the one latent that an observation with `mixture_terms` depends on, or None."""
    if not site["is_observed"] or not hasattr(site["fn"], "mixture_terms"):
        return None
    shape, letters = site["fn"].batch_shape, site["infer"]["_dim_to_symbol"]
    held = [letters.get(i - len(shape)) for i, size in enumerate(shape) if size > 1]
    found = [letter for letter in held if letter in latents]
    return found[0] if len(found) == 1 else None


def mixture_terms(
    site: Site, latent: str, factors: Mapping[str, Factor], plates: frozenset[str], tolerance: float
) -> Tensor | None:
    """The observation's log-probability, masked, (S, ...); None where too little is known of the latent.

    Args:
        site: an observation.
        latent: the letter of the latent it depends on.
        factors: of all other sites.
        plates: the letters of the observation's plates, which must be the latent's.
        tolerance: nats.
    """
    others = [factor for factor in factors.values() if latent in factor.dims]
    if not others or not all(set(factor.dims) <= plates | {latent} for factor in others):
        return None
    dim_of = {letter: dim for dim, letter in site["infer"]["_dim_to_symbol"].items()}
    weight = align(others)
    held = sorted(weight.dims, key=dim_of.__getitem__)
    value = spread(weight, "".join(held)).detach()
    shape = [1] * -dim_of[held[0]]
    for letter, size in zip(held, value.shape, strict=True):
        shape[dim_of[letter]] = size
    log_weight, mask = value.reshape(shape), site["mask"]
    if mask is not None:
        mask = torch.as_tensor(mask, device=value.device)
        log_weight = log_weight.masked_fill(~mask, -torch.inf)
    terms: Tensor = site["fn"].mixture_terms(site["value"], log_weight, dim_of[latent], tolerance)
    return terms if mask is None else terms.where(mask, terms.new_zeros(()))
