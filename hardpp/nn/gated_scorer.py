"""Attention scores of regions for a question with a known answer, which gates the features.

    score[b, t, s] = u^T tanh(U1 (x[b, s] * relu(V1 h[b, t])) + U2 (q[b, t] * relu(V2 h[b, t])))

Source: Deng et al. (2018), section 5, the inference network for visual question answering.
Shapes: B images, T questions, S regions, M memory features, Q query features, E answer features,
H hidden.
"""

import torch
from torch import Tensor, nn


class GatedScorer(nn.Module):
    """How well each region explains an answer; the answer gates region and question feature by feature.

    Args:
        memory: M, features of a region.
        query: Q, features of a question.
        answer: E, features of an answer.
        hidden: H.
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
        """Scores (B, T, S) of memory (B, S, M) for queries (B, T, Q) and answers (B, T, E).

        Regions where the mask (B, S) is False have the score -inf.
        """
        gated = memory.unsqueeze(-3) * self.memory_gate(answer).relu().unsqueeze(-2)  # (B, T, S, M)
        asked = self.query(query * self.query_gate(answer).relu()).unsqueeze(-2)  # (B, T, 1, H)
        joint = torch.tanh(self.memory(gated) + asked)
        return self.score(joint).squeeze(-1).masked_fill(~mask.unsqueeze(-2), -torch.inf)
