"""A readout: from attended memory and a query to logits of symbols.

Shapes: M memory features, Q query features, H hidden features, V symbols; ... = any leading dims.
"""

import torch
from torch import Tensor, nn


class Readout(nn.Module):
    """logits = W tanh(A attended + B query) (Deng et al. 2018, section 2.2).

    The two products are separate, so enumerated alignments cost one product a source position and not one
    for each pair of position and step.
    """

    def __init__(self, memory: int, query: int, hidden: int, symbols: int, dropout: float):
        super().__init__()
        self.attended = nn.Linear(memory, hidden, bias=False)
        self.query = nn.Linear(query, hidden)
        self.dropout = nn.Dropout(dropout)
        self.symbols = nn.Linear(hidden, symbols)

    def features(self, attended: Tensor, query: Tensor) -> Tensor:
        """The features (..., H) that logits are linear in, from attended (..., M) and query (..., Q)."""
        return self.dropout(torch.tanh(self.attended(attended) + self.query(query)))

    def forward(self, attended: Tensor, query: Tensor) -> Tensor:
        """Logits (..., V) of attended (..., M) and query (..., Q); the leading dims broadcast."""
        return self.symbols(self.features(attended, query))
