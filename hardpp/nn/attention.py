"""Attention scores of source positions for a query; padding scores minus infinity.

Shapes: B data, T queries, S source positions, Q query features, M memory features, H hidden.
"""

from typing import Protocol

import torch
from torch import Tensor, nn


class Scorer(Protocol):
    """How well each source position fits each query."""

    def keys(self, memory: Tensor) -> Tensor:
        """The keys of a memory (B, S, M), computed once for all queries."""

    def __call__(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Scores (B, T, S) of queries (B, T, Q) against `keys(memory)`; mask is (B, S) bool."""


class BilinearScorer(nn.Module):
    """score[b, t, s] = query[b, t]^T U memory[b, s] (Luong et al. 2015, "general")."""

    def __init__(self, query: int, memory: int):
        super().__init__()
        self.key = nn.Linear(memory, query, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """The keys of a memory, computed once for all queries: (B, S, M) -> (B, S, Q)."""
        return self.key(memory)

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Scores (B, T, S) of queries (B, T, Q) against `keys(memory)`; mask is (B, S) bool."""
        scores = query @ keys.transpose(-1, -2)
        return scores.masked_fill(~mask.unsqueeze(-2), -torch.inf)


class AdditiveScorer(nn.Module):
    """score[b, t, s] = v^T tanh(W query[b, t] + U memory[b, s]) (Bahdanau et al. 2015)."""

    def __init__(self, query: int, memory: int, hidden: int):
        super().__init__()
        self.query = nn.Linear(query, hidden, bias=False)
        self.key = nn.Linear(memory, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """The keys of a memory, computed once for all queries: (B, S, M) -> (B, S, H)."""
        return self.key(memory)

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Scores (B, T, S) of queries (B, T, Q) against `keys(memory)`; mask is (B, S) bool."""
        joint = torch.tanh(self.query(query).unsqueeze(-2) + keys.unsqueeze(-3))  # (B, T, S, H)
        return self.score(joint).squeeze(-1).masked_fill(~mask.unsqueeze(-2), -torch.inf)
