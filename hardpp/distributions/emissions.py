"""The tokens of an utterance, observed at the steps whose decisions emit them.

    step t:   log p(y[o] | all before) where decision t emits token o,   0 elsewhere

There is one step for each decision, so objectives credit a decision with the tokens that come with it and
after it (`hardpp.distributions.step_independent`). The value is the tokens themselves, (B, T).

Source: Lawson et al. (2017), equation 1.
Shapes: B data, N steps, S frames, T tokens; ... = dims inference adds on the left.
"""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from hardpp.distributions.step_independent import DependentSteps
from hardpp.ops.lattice_grid import Grid
from hardpp.ops.precision import at_least_single


class Emissions(DependentSteps):
    """Tokens (B, T) given decisions (..., B, N); a path that does not emit all tokens is impossible.

    Args:
        grid: how many frames and tokens there are.
        decisions: (..., B, N), int64.
        tokens: the distribution of every token where it is emitted, of batch shape (..., B, T); at padding
            it is not used.
    """

    def __init__(self, grid: Grid, decisions: Tensor, tokens: Any):
        self.grid, self.decisions, self.tokens = grid, decisions, tokens
        self.at = grid.emission_steps(decisions)  # (..., B, T)
        super().__init__(decisions.shape[:-1], decisions.shape[-1:])

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Emissions":
        wide = self.decisions.expand(*torch.Size(batch_shape), self.grid.steps)
        return type(self)(self.grid, wide, self.tokens)

    @property
    def support(self) -> Any:
        return constraints.independent(constraints.nonnegative_integer, 1)

    @property
    def base_dist(self) -> Any:
        return self.tokens

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Not possible: the distribution of a token was computed from the observed tokens before it."""
        raise NotImplementedError("tokens are drawn one by one, as the decisions are: by decoding")

    def one_ahead(self) -> Tensor:
        """Draws every token given the observed ones before it, (..., B, T) int64; padding means nothing."""
        drawn: Tensor = self.tokens.sample()
        return drawn

    def step_log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of the token of every step, (..., B, N), in nats; 0 without a token."""
        steps = self.grid.steps
        tokens = self._unpadded(self.token_log_prob(value)).masked_fill(self._missing(), -torch.inf)
        return tokens.new_zeros(*tokens.shape[:-1], steps).scatter_add(
            -1, self.at.clamp(max=steps - 1).expand(tokens.shape), tokens
        )

    def token_log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of every token where it is emitted, (..., B, T), in nats."""
        log_prob: Tensor = self.tokens.log_prob(value)
        return log_prob.expand(self.at.shape)

    # 0 at padding, never narrower than float32.
    def _unpadded(self, log_prob: Tensor) -> Tensor:
        wide = at_least_single(log_prob)
        return wide.where(self._token_mask(), wide.new_zeros(()))

    def _token_mask(self) -> Tensor:
        return torch.arange(self.grid.T, device=self.at.device) < self.grid.tokens.unsqueeze(-1)

    def _missing(self) -> Tensor:
        return (self.at >= self.grid.steps) & self._token_mask()


class GridEmissions(Emissions):
    """Tokens that depend on the number of frames consumed, and otherwise not on the decisions.

    Their distributions are given by that number, with batch shape (B, S + 1, T).
    """

    def arc_log_prob(self, value: Tensor) -> Tensor:
        """Log-probabilities for every arc of the lattice, (B, N, T + 1, 2), the same for all decisions."""
        mask = self._token_mask().unsqueeze(-2)
        table = self._table(value)
        return self.grid.token_arcs(table.where(mask, table.new_zeros(())))

    def one_ahead(self) -> Tensor:
        consumed = self.grid.emitted_at(self.decisions).unsqueeze(-2)  # (..., B, 1, T)
        drawn: Tensor = self.tokens.sample(consumed.shape[:-3])  # (..., B, S + 1, T)
        return drawn.gather(-2, consumed).squeeze(-2)

    def token_log_prob(self, value: Tensor) -> Tensor:
        consumed = self.grid.emitted_at(self.decisions).unsqueeze(-2)  # (..., B, 1, T)
        table = self._table(value)
        return table.expand(*consumed.shape[:-2], -1, -1).gather(-2, consumed).squeeze(-2)

    def _table(self, value: Tensor) -> Tensor:
        log_prob: Tensor = self.tokens.log_prob(value.unsqueeze(-2))  # (B, S + 1, T)
        return at_least_single(log_prob)
