"""Features for baselines: what is known of a latent before it is drawn, read off a weight table.

Of the program: what all earlier stages have added to log p - log q, and how many latents there were. Of the
latent itself: its distributions under guide and model, which depend on earlier latents only,

    entropy = -E_q[log q(z_s)],     kl = E_q[log q(z_s) - log p(z_s)].

Shapes: K particles, I instances, N stages (see `hardpp.inference.weights.weight_table`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hardpp.inference.control.closed_forms import divergences, entropies
from hardpp.inference.weights.sample_sites import steps_of
from hardpp.inference.weights.weight_table import Latent, WeightTable, elements
from hardpp.ops.weights import prefix_sums


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
    terms = table.stage_weights
    live = table.live.expand_as(terms)
    none = terms.new_zeros(()).expand(*terms.shape[:-1], 1)
    guide, comparable = [elements(latent.guide) for latent in table.latents], _comparable(table.latents)
    pairs = [
        (q, elements(latent.model)[0]) if latent.guide["name"] in comparable else None
        for latent, (q, _) in zip(table.latents, guide, strict=True)
    ]

    def by_stage(quantities: Sequence[Tensor | None]) -> Tensor:
        columns = [none]
        for latent, (_, counts), quantity in zip(table.latents, guide, quantities, strict=True):
            steps = steps_of(latent.guide)
            value = terms.new_zeros(() if steps is None else steps) if quantity is None else quantity
            if counts is not None:
                value = value.where(counts, value.new_zeros(()))
            value = table.layout.place(value.to(terms.dtype), steps is not None)
            columns.append((value.unsqueeze(-1) if steps is None else value).expand(*none.shape[:-1], -1))
        return torch.cat(columns, -1)

    entropy, kl = by_stage(entropies([q for q, _ in guide])), by_stage(divergences(pairs))
    return History(prefix_sums(terms), entropy, kl, prefix_sums(live.to(terms.dtype)), live)


# Latents of as many steps in both programs, and before which the model draws none that the guide draws later:
# had it, its distribution of them could tell of what follows.
def _comparable(latents: Sequence[Latent]) -> set[str]:
    names, least = set(), float("inf")
    for latent in reversed(latents):
        if latent.order < least and steps_of(latent.guide) == steps_of(latent.model):
            names.add(latent.guide["name"])
        least = min(least, latent.order)
    return names
