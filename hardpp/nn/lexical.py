"""Words by themselves: a memory without context, and a readout that sees nothing else.

An alignment model that reads whole sentences may let any position stand for any word. Here a source word's
features, and with them the distribution over what it turns into, are the same wherever it stands, as in
the translation tables of statistical alignment models: position s can explain a symbol only by its own word.

Source: Brown et al. (1993), The Mathematics of Statistical Machine Translation, with the table given by a
network: rare words share what their features share.

Shapes: B data, S source positions, E embedding features, H features, V symbols.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class LexicalEncoder(nn.Module):
    """memory[b, s] = dropout(tanh(W embedded[b, s]))."""

    def __init__(self, embedded: int, hidden: int, dropout: float):
        super().__init__()
        self.hidden = nn.Linear(embedded, hidden)
        self.dropout = nn.Dropout(dropout)
        self.features = hidden

    def forward(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """Maps (B, S, E) to (B, S, H); the mask is not needed."""
        return self.dropout(torch.tanh(self.hidden(embedded)))


class LexicalReadout(nn.Module):
    """logits = U attended, whatever the query."""

    def __init__(self, memory: int, symbols: int):
        super().__init__()
        self.symbols = nn.Linear(memory, symbols)

    def features(self, attended: Tensor, query: Tensor) -> Tensor:
        """What the logits are linear in: the attended memory (..., H)."""
        return attended

    def forward(self, attended: Tensor, query: Tensor) -> Tensor:
        """Logits (..., V) of attended (..., H)."""
        return self.symbols(attended)


class FactoredEmbedding(nn.Module):
    """A symbol's features are the sum of its factors': a lemma and its case, number or person.

    Args:
        vocabulary: the symbols; one of factors has them joined by the mark.
        features: E.
        mark: what joins factors.
    """

    parts: Tensor

    def __init__(self, vocabulary: Sequence[str], features: int, mark: str = "|"):
        super().__init__()
        cut = [symbol.split(mark) if symbol.strip(mark) else [symbol] for symbol in vocabulary]
        # A factor is known by its place, too: a lemma is not a case of the same spelling.
        factors: dict[tuple[int, str], int] = {}
        for symbol in cut:
            for place, factor in enumerate(symbol):
                factors.setdefault((place, factor), 1 + len(factors))
        rows = torch.zeros(len(cut), max(map(len, cut)), dtype=torch.int64)  # 0 is no factor
        for row, symbol in enumerate(cut):
            rows[row, : len(symbol)] = torch.tensor([factors[item] for item in enumerate(symbol)])
        self.register_buffer("parts", rows, persistent=False)
        self.factors = nn.Embedding(1 + len(factors), features, padding_idx=0)
        self.num_embeddings, self.embedding_dim = len(cut), features

    def forward(self, symbols: Tensor) -> Tensor:
        """Features (..., E) of int64 symbols (...)."""
        return self.factors(self.parts[symbols]).sum(-2)
