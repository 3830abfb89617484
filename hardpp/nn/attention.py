"""Attention: scores of source positions (or regions) for a query, and reading a memory at an alignment.

Padding scores minus infinity.

Source: Luong et al. (2015) and Bahdanau et al. (2015) for translation; Deng, Kim, Chiu, Guo and Rush (2018),
Latent Alignment and Variational Attention, section 5, for question answering.
Shapes: B data, T queries, S source positions, Q query features, M memory features, H hidden; ... = dims
inference adds on the left.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from hardpp.ops.sparse_softmax import Sparsity, sparse_log_softmax

GAIN = 0.1  # g: optimisers like Adam move the query's weight a tenth as fast as the rest


def attend(memory: Tensor, alignment: Tensor) -> Tensor:
    """The memory (B, S, M) at an alignment, (..., B, T, M).

    Args:
        memory: (B, S, M).
        alignment: int64 (..., B, T), one position a step; or, relaxed by a handler, weights over
            positions, floating (..., B, T, S). The sizes B and T may be 1 where inference
            enumerates; the memory is then read once for all of them.
    """
    if alignment.is_floating_point():
        return alignment.to(memory.dtype) @ memory
    row = torch.arange(memory.shape[0], device=memory.device).unsqueeze(-1)  # (B, 1)
    return memory[row, alignment]


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
        return self.key(memory)

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
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
        return self.key(memory)

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        joint = torch.tanh(self.query(query).unsqueeze(-2) + keys.unsqueeze(-3))  # (B, T, S, H)
        return self.score(joint).squeeze(-1).masked_fill(~mask.unsqueeze(-2), -torch.inf)


class RegionScorer(AdditiveScorer):
    """score[b, t, s] = v^T tanh(g W query[b, t] + U memory[b, s]), with W = 0 at the start.

    At first the scores of an image's regions are the same for every question. Before the readout can use a
    region's features, they only disturb it. A question that is slow to learn then tends to attend to empty
    regions, and never learns. While all questions have the same scores, those that learn quickly teach the
    others which regions matter; the gain g, which is ours, slows W down, so that this lasts long enough.
    """

    def __init__(self, query: int, memory: int, hidden: int):
        super().__init__(query, memory, hidden)
        nn.init.zeros_(self.query.weight)

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        return super().forward(GAIN * query, keys, mask)


class SparseScorer(nn.Module):
    """The scores of another scorer, made log-probabilities of which most are minus infinity.

    Their softmax is the sparse transform, wherever a program or a decoder takes it.

    Args:
        scorer: what scores.
        sparsity: see `hardpp.ops.sparse_softmax`.
    """

    def __init__(self, scorer: Scorer, sparsity: Sparsity):
        super().__init__()
        self.scorer, self.sparsity = scorer, sparsity

    def keys(self, memory: Tensor) -> Tensor:
        return self.scorer.keys(memory)

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        return sparse_log_softmax(self.scorer(query, keys, mask), self.sparsity)


class GatedScorer(nn.Module):
    """How well each region explains a known answer, which gates region and question feature by feature.

        score[b, t, s] = u^T tanh(U1 (x[b, s] * relu(V1 h[b, t])) + U2 (q[b, t] * relu(V2 h[b, t])))

    with x the memory, q the query and h features of the answer, of which there are `answer`.
    """

    def __init__(self, memory: int, query: int, answer: int, hidden: int):
        super().__init__()
        self.memory_gate, self.query_gate = nn.Linear(answer, memory), nn.Linear(answer, query)
        self.memory = nn.Linear(memory, hidden)
        self.query = nn.Linear(query, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)
        for gate in (self.memory_gate, self.query_gate):
            nn.init.ones_(gate.bias)  # open at first, else an answer ignores half of the features

    def forward(self, memory: Tensor, query: Tensor, answer: Tensor, mask: Tensor) -> Tensor:
        """Scores (B, T, S) of memory (B, S, M) for queries (B, T, Q) and answers (B, T, .); (B, S) mask."""
        gated = memory.unsqueeze(-3) * self.memory_gate(answer).relu().unsqueeze(-2)  # (B, T, S, M)
        asked = self.query(query * self.query_gate(answer).relu()).unsqueeze(-2)  # (B, T, 1, H)
        joint = torch.tanh(self.memory(gated) + asked)
        return self.score(joint).squeeze(-1).masked_fill(~mask.unsqueeze(-2), -torch.inf)
