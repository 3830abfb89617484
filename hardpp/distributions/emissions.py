"""The tokens of an utterance, observed where decisions emit them.

    step t:   log p(y[o] | all before) where decision t emits token o,   0 elsewhere

As many steps as the decisions have, so that objectives credit each decision with the tokens that come with it
and after it (`hardpp.distributions.step_independent`). The value is the tokens themselves, (B, T).

Source: Lawson et al. (2017), equation 1.
Shapes: B data, N steps, S frames, T tokens; ... = dims inference adds on the left.
"""

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints

from hardpp.distributions.step_independent import StepIndependent
from hardpp.ops.lattice_grid import Grid
from hardpp.ops.precision import at_least_single


class Emissions(StepIndependent):
    """Tokens (B, T) given decisions (..., B, N); a path that does not emit all of them is impossible.

    Args:
        grid: how many frames and tokens there are.
        decisions: (..., B, N), int64.
        tokens: the distribution of every token where it is emitted, of batch shape (..., B, T); what it says
            of padding is not read.
    """

    has_rsample = False
    has_enumerate_support = False
    reinterpreted_batch_ndims = 1
    _validate_args = False  # a plain attribute: there is no base to hand it on to

    def __init__(self, grid: Grid, decisions: Tensor, tokens: Any):
        self.grid, self.decisions, self.tokens = grid, decisions, tokens
        self.at = grid.emission_steps(decisions)  # (..., B, T)
        dist.TorchDistribution.__init__(self, decisions.shape[:-1], decisions.shape[-1:], validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Emissions":
        """The same emissions in more plates."""
        wide = self.decisions.expand(*torch.Size(batch_shape), self.grid.steps)
        return type(self)(self.grid, wide, self.tokens)

    @property
    def support(self) -> Any:
        """Whole numbers."""
        return constraints.independent(constraints.nonnegative_integer, 1)

    @property
    def base_dist(self) -> Any:
        """What is drawn: the distribution of every token."""
        return self.tokens

    def step_mask(self) -> bool:
        """Every step counts: those without a token say 0."""
        return True

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """No draws: what a token's distribution was made of has seen the tokens before it.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("tokens are drawn one by one, as the decisions are: by decoding")

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of all tokens, (..., B), in nats."""
        return self.step_log_prob(value).sum(-1)

    def step_log_prob(self, value: Tensor) -> Tensor:
        """What every step emits, (..., B, N), in nats."""
        steps = self.grid.steps
        found = self._known(self.token_log_prob(value)).masked_fill(self._missing(), -torch.inf)
        return found.new_zeros(*found.shape[:-1], steps).scatter_add(
            -1, self.at.clamp(max=steps - 1).expand(found.shape), found
        )

    def token_log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of every token where it is emitted, (..., B, T), in nats."""
        log_prob: Tensor = self.tokens.log_prob(value)
        return log_prob.expand(self.at.shape)

    # 0 at padding, never narrower than float32.
    def _known(self, log_prob: Tensor) -> Tensor:
        wide = at_least_single(log_prob)
        return wide.where(self._token_mask(), wide.new_zeros(()))

    def _token_mask(self) -> Tensor:
        return torch.arange(self.grid.T, device=self.at.device) < self.grid.tokens.unsqueeze(-1)

    def _missing(self) -> Tensor:
        return (self.at >= self.grid.steps) & self._token_mask()


class GridEmissions(Emissions):
    """Tokens that depend on how many frames were consumed before them, and on no other decision.

    Args:
        grid: how many frames and tokens there are.
        decisions: (..., B, N), int64.
        tokens: the distribution of every token after so many frames, of batch shape (B, S + 1, T).
    """

    def arc_log_prob(self, value: Tensor) -> Tensor:
        """What every arc of the lattice adds, (B, N, T + 1, 2), whatever the decisions are."""
        mask = self._token_mask().unsqueeze(-2)
        table = self._table(value)
        return self.grid.token_arcs(table.where(mask, table.new_zeros(())))

    def token_log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of every token where it is emitted, (..., B, T), in nats."""
        consumed = self.grid.emitted_at(self.decisions).unsqueeze(-2)  # (..., B, 1, T)
        table = self._table(value)
        return table.expand(*consumed.shape[:-2], -1, -1).gather(-2, consumed).squeeze(-2)

    def _table(self, value: Tensor) -> Tensor:
        log_prob: Tensor = self.tokens.log_prob(value.unsqueeze(-2))  # (B, S + 1, T)
        return at_least_single(log_prob)
