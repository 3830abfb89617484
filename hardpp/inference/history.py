"""What is known of a latent before it is drawn, read off a weight table and its sites.

Of the program: what all earlier stages have added to log p - log q, and how many latents there were. Of the
latent itself: its distributions under guide and model, which depend on earlier latents only,

    entropy = -E_q[log q(z_s)],     kl = E_q[log q(z_s) - log p(z_s)].

Shapes: K particles, I instances, N stages (see `hardpp.inference.weight_table`).
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from pyro.distributions import MaskedDistribution
from torch import Tensor
from torch.distributions import kl_divergence

from hardpp.distributions.step_independent import StepIndependent
from hardpp.inference.sample_sites import Site, steps_of
from hardpp.inference.weight_table import Latent, WeightTable


class History(NamedTuple):
    """What is known of every stage before its latent is drawn: detached, in nats, 0 at what is masked.

    Nothing in it depends on padding or on how many latents are still to come: whether a later latent
    counts may depend on this one.
    """

    log_weight: Tensor  # (K, *I, N) what the stages before added to log p - log q
    entropy: Tensor  # (K, *I, N) of the latent under the guide; 0 where its distribution has no closed form
    kl: Tensor  # (K, *I, N) of the guide's distribution of it from the model's; 0 likewise
    drawn: Tensor  # (K, *I, N) how many live latents came before
    live: Tensor  # (K, *I, N) bool, does the latent count?


@torch.no_grad()
def history_of(table: WeightTable) -> History:
    """Reads off a table and its sites what was known before each draw."""
    terms = table.log_p[: len(table.log_q)] - table.log_q
    live = table.live.expand_as(terms)
    none = terms.new_zeros(()).expand(*terms.shape[:-1], 1)

    def by_stage(quantity: Callable[[Latent], Tensor]) -> Tensor:
        columns = [none]
        for latent in table.latents:
            stepwise = steps_of(latent.guide) is not None
            value = table.layout.place(quantity(latent).to(none.dtype), stepwise)
            columns.append((value if stepwise else value.unsqueeze(-1)).expand(*none.shape[:-1], -1))
        return torch.cat(columns, -1)

    def before(amounts: Tensor) -> Tensor:
        return torch.cat([none, amounts.to(none.dtype).cumsum(-1)[..., :-1]], -1)

    known = _known(table.latents)

    def kl(latent: Latent) -> Tensor:
        return _kl(latent, latent.guide["name"] in known)

    return History(before(terms), by_stage(_entropy), by_stage(kl), before(live), live)


# Latents before which the model draws none that the guide draws later: had it, its distribution of them
# could tell of what follows.
def _known(latents: Sequence[Latent]) -> set[str]:
    known, least = set(), float("inf")
    for latent in reversed(latents):
        if latent.order < least:
            known.add(latent.guide["name"])
        least = min(least, latent.order)
    return known


def _entropy(latent: Latent) -> Tensor:
    fn, live = _elements(latent.guide)
    try:
        entropy: Tensor = fn.entropy()
    except NotImplementedError:
        entropy = torch.zeros(fn.batch_shape, device=live.device)
    return entropy.where(live, entropy.new_zeros(()))


def _kl(latent: Latent, known: bool) -> Tensor:
    q, live = _elements(latent.guide)
    p, _ = _elements(latent.model)
    kl = torch.zeros(q.batch_shape, device=live.device)
    if known and steps_of(latent.guide) == steps_of(latent.model):
        with suppress(NotImplementedError):
            kl = kl_divergence(q, p)
    return kl.where(live, kl.new_zeros(()))


# The distribution of each element, or of each step, and which of them count.
def _elements(site: Site) -> tuple[Any, Tensor]:
    fn, mask = site["fn"], True if site["mask"] is None else site["mask"]
    live = torch.as_tensor(mask, device=site["value"].device)
    if isinstance(fn, StepIndependent):
        fn, live = fn.base_dist, live.unsqueeze(-1)
    while isinstance(fn, MaskedDistribution):
        live, fn = live & fn._mask, fn.base_dist
    return fn, live
