"""Draws beside their relaxations: categorical latents as indices and, from the same noise, as weights.

    zeta = log q + g,   g standard Gumbel noise,   z = argmax zeta ~ q,   w = softmax(zeta / temperature)

A model then scores both in one run, on 2 K rows: first the draws as one-hot weights, with log p(z), then the
relaxations, with w . (log p - log q).

Source: Maddison, Mnih and Teh (2017) and Jang, Gu and Poole (2017), Gumbel-softmax.
Shapes: K particles, S values of a latent, ... = plates.
"""

from typing import Any, NamedTuple

import pyro.distributions as dist
import torch
from pyro.poutine import Trace
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from hardpp.errors import UsageError
from hardpp.inference.relaxed import log_probs

RELAXED = "relaxed"  # key of the infer of a latent of the guide, which holds a `Relaxed`


class Relaxed(NamedTuple):
    """A latent of every particle beside its relaxation, all (K, ..., S)."""

    log_q: Tensor
    zeta: Tensor  # detached
    weights: Tensor  # w, for slopes in them; they depend on the temperature alone
    hard: Tensor  # z, one-hot


class IndependentLatents(Messenger):
    """Refuses a guide with a latent whose logits depend on a draw; it belongs inside the particles."""

    def __init__(self, nesting: int):
        super().__init__()
        self.nesting = nesting

    def _pyro_sample(self, msg: Any) -> None:
        logits = getattr(msg["fn"], "logits", None)
        if msg["is_observed"] or logits is None:
            return
        if logits.dim() > self.nesting + 1 and len(logits) > 1:
            raise UsageError(
                f"rebar takes latents whose logits depend on no draw, as those of site {msg['name']!r} do"
            )


class RelaxedDraws(Messenger):
    """Draws categorical latents as the largest of their noisy logits, and keeps these as weights, too.

    The noise is a draw like any other: handlers further out may fix it.
    """

    def __init__(self, temperature: Tensor):
        super().__init__()
        self.temperature = temperature
        self.drawn: dict[str, tuple[Any, Tensor]] = {}

    def _pyro_sample(self, msg: Any) -> None:
        if not msg["is_observed"] and not site_is_subsample(msg):
            log_q = log_probs(msg)
            self.drawn[msg["name"]] = msg["fn"], log_q
            msg["fn"] = dist.Gumbel(torch.zeros_like(log_q), torch.ones_like(log_q)).to_event(1)

    def _pyro_post_sample(self, msg: Any) -> None:
        if msg["name"] not in self.drawn:
            return
        msg["fn"], log_q = self.drawn[msg["name"]]
        zeta = log_q.detach() + msg["value"]
        msg["value"] = zeta.argmax(-1)
        possible = log_q > -torch.inf
        cold = zeta.where(possible, 0.0) / self.temperature  # infinity would have no slope in it
        weights = cold.masked_fill(~possible, -torch.inf).softmax(-1)
        if not weights.requires_grad:
            weights.requires_grad_()
        values = torch.arange(zeta.shape[-1], device=zeta.device)
        hard = (msg["value"].unsqueeze(-1) == values).to(zeta.dtype)
        msg["infer"] = {**msg["infer"], RELAXED: Relaxed(log_q, zeta, weights, hard)}


class RelaxedRows(Messenger):
    """Scores draws and relaxations in one run of a model: (2 K, ..., S), the latter less w . log q."""

    def __init__(self, draws: Trace):
        super().__init__()
        self.draws = draws

    def _pyro_sample(self, msg: Any) -> None:
        if msg["is_observed"]:
            return
        site = self.draws.nodes[msg["name"]]
        if site_is_subsample(msg):
            msg["value"], msg["done"] = site["value"], True
            return
        relaxed, log_p = site["infer"][RELAXED], log_probs(msg)
        rows = torch.cat([relaxed.hard, relaxed.weights])
        log_q = relaxed.log_q.detach()
        log_ratio = log_p - torch.cat([torch.zeros_like(log_q), log_q])
        density = (rows * log_ratio.where(rows > 0, 0.0)).sum(-1)
        value = rows.to(msg["fn"].logits.dtype)
        msg["fn"], msg["value"], msg["done"] = dist.Delta(value, density, event_dim=1), value, True
