"""Stochastic beam search: K different values of all latents together, drawn without replacement.

Every value v of the latents so far has an arrival time: that of the first whole draw that begins with it, if
whole draws arrive at random, each at the rate of its probability. The K first to arrive are K draws without
replacement, in order. A value arrives with the first of its children, which are independent otherwise:

    time[v, z] = time[v] + e[z] - min over z' of e[z'],     e[z] ~ Exp(q(v) q(z given v))

so that latent by latent only K beginnings need be kept, those that arrive first. A latent that `poutine.mask`
takes out has one value of probability one, which the guide draws. Latents with reparameterised draws are
drawn once for all that begins with them.

No handler can permute what a program holds in local variables, so the guide is run again from the start, its
latents so far given, for each categorical latent from the second on: T runs of a guide with T of them, which
is T^2 / 2 steps of it. One alone costs one run.

Source: Kool, van Hoof and Welling (2019), Stochastic Beams and Where to Find Them, algorithm 1; minus the
logarithm of a time is their perturbed log-probability, a Gumbel variable.
Shapes: K particles, R = 1 or K beginnings so far, ... = all plates, S values of a latent.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor
from torch.distributions import Categorical
from torch.nn.functional import pad

from hardpp.errors import UsageError
from hardpp.inference.weights.sample_sites import mask_of

Out = TypeVar("Out")


class StochasticBeam(Messenger):
    """Draws the Categorical latents of a guide without replacement, at each element of its plates.

    It belongs inside the particles. Where fewer than K values have any probability, the first one stands in
    for those that are missing. Values that a handler closer to the guide has given stay as they are.

    Attributes:
        log_q: log-probabilities of the latents so far, (R, ...), masked; -inf where one is missing.
        runs: how often the guide was begun.
    """

    def __init__(self, particles: int, nesting: int):
        super().__init__()
        self.particles, self.nesting, self.runs = particles, nesting, 0
        self.given: dict[str, Tensor] = {}  # latents of all runs, and subsamples of plates
        self.latents: dict[str, int] = {}  # which of these are latents, and how many event dims they have
        self.log_q: Tensor | None = None
        self.log_time = torch.empty(0)  # (R, ...)

    def until_done(self, run: Callable[[], Out]) -> Out:
        """Calls what runs the guide in this handler, until all latents are drawn; its last result."""
        while True:
            self.runs += 1
            try:
                return run()
            except _BeginAgain:
                continue

    def _pyro_sample(self, msg: Any) -> None:
        if msg["is_observed"] or msg["done"]:
            return
        if msg["name"] in self.given:
            msg["value"], msg["done"] = self.given[msg["name"]], True
        elif isinstance(msg["fn"], Categorical):
            parent, msg["value"] = self._extend(msg)
            msg["done"] = True
            if self.latents:
                for name, events in self.latents.items():
                    index = parent[(..., *[None] * events)]
                    self.given[name] = self.given[name].take_along_dim(index, 0)
                self._keep(msg)
                raise _BeginAgain

    def _pyro_post_sample(self, msg: Any) -> None:
        if not msg["is_observed"] and msg["name"] not in self.given:
            self._keep(msg)

    def _keep(self, msg: Any) -> None:
        self.given[msg["name"]] = msg["value"]
        if not site_is_subsample(msg):
            self.latents[msg["name"]] = len(msg["fn"].event_shape)

    # One more latent: which beginning each particle goes on from, and with what value, both (K, ...).
    def _extend(self, msg: Any) -> tuple[Tensor, Tensor]:
        logits = msg["fn"].logits.detach().double()
        logits = logits.reshape((1,) * (self.nesting + 2 - logits.dim()) + logits.shape)
        *batch, S = logits.shape
        if self.log_q is None:  # one beginning, which is empty
            self.log_time = logits.new_full(batch, -torch.inf)
            self.log_q = self.log_time.clone()
            self.log_q[0] = 0.0
        elif (wanted := tuple(self.log_q.shape[1:])) != tuple(batch[1:]):
            raise UsageError(
                f"site {msg['name']!r} has shape {tuple(batch[1:])} in the guide's plates, but {wanted} is "
                "wanted, that of the Categorical latents before it: a sequence is drawn of all of them"
            )
        log_q = logits.log_softmax(-1).expand(*self.log_q.shape, S)
        log_wait = torch.empty_like(log_q).exponential_().log() - log_q  # log e, but for q(v)
        earliest = log_wait.amin(-1, keepdim=True)
        log_later = log_wait + (-torch.expm1(earliest - log_wait)).log()
        if (mask := mask_of(msg, log_q.device)) is not None:
            only = log_q.new_zeros(()).where(log_wait == earliest, -torch.inf)
            log_q = log_q.where(mask.unsqueeze(-1), only)
        log_time = torch.logaddexp(self.log_time.unsqueeze(-1), log_later - self.log_q.unsqueeze(-1))
        log_q = (self.log_q.unsqueeze(-1) + log_q).movedim(0, -2).flatten(-2)  # (..., R S), of all
        log_time = log_time.movedim(0, -2).flatten(-2).where(log_q > -torch.inf, torch.inf)
        best = log_time.topk(min(self.particles, log_q.shape[-1]), largest=False).indices
        self.log_q = self._row_each(log_q.gather(-1, best), -torch.inf)
        self.log_time = self._row_each(log_time.gather(-1, best), torch.inf)
        best = self._row_each(best, 0)
        best = best.where(self.log_q > -torch.inf, best[:1])
        return best // S, best % S

    # What belongs to the best (..., at most K) as (K, ...).
    def _row_each(self, terms: Tensor, fill: float) -> Tensor:
        return pad(terms, (0, self.particles - terms.shape[-1]), value=fill).movedim(-1, 0)


class _BeginAgain(Exception):
    """The guide has to run again, its latents so far having changed places."""
