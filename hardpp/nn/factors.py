"""Symbols of several factors, such as a lemma and its case: what is rare together is known by its parts.

    embedding[v] = sum_f embedding[factor f of v]
    logits[v] = sum_f (W[factor f of v] h + b[factor f of v])

A symbol is cut at the marks in it. A factor is known by its place, too, so a lemma is not a case that is
spelled alike; a symbol without marks is its own only factor.

Source: Bilmes and Kirchhoff (2003), Factored Language Models; Alexandrescu and Kirchhoff (2006).
Shapes: V symbols, E embedding features, H features, F most factors of a symbol.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear

MARK = "|"


class FactoredEmbedding(nn.Module):
    """Features of a symbol: the sum of its factors'.

    Args:
        vocabulary: the symbols.
        features: E.
        mark: what joins factors.
    """

    parts: Tensor  # (V, F)

    def __init__(self, vocabulary: Sequence[str], features: int, mark: str = MARK):
        super().__init__()
        parts, count = factors(vocabulary, mark)
        self.register_buffer("parts", parts, persistent=False)
        self.factors = nn.Embedding(count, features, padding_idx=0)
        self.num_embeddings, self.embedding_dim = len(vocabulary), features

    def forward(self, symbols: Tensor) -> Tensor:
        """Features (..., E) of int64 symbols (...)."""
        return self.factors(self.parts[symbols]).sum(-2)


class FactoredLinear(nn.Module):
    """Logits of symbols: the sums of their factors'; `weight` (V, H) and `bias` (V,) as those of `nn.Linear`.

    Args:
        features: H.
        vocabulary: the symbols.
        mark: what joins factors.
    """

    parts: Tensor  # (V, F)

    def __init__(self, features: int, vocabulary: Sequence[str], mark: str = MARK):
        super().__init__()
        parts, count = factors(vocabulary, mark)
        self.register_buffer("parts", parts, persistent=False)
        self.rows = nn.Linear(features, count)  # of factors; the first is of no factor and never read
        self.in_features, self.out_features = features, len(vocabulary)

    @property
    def weight(self) -> Tensor:
        """(V, H)."""
        return self._sums(self.rows.weight)

    @property
    def bias(self) -> Tensor:
        """(V,)."""
        return self._sums(self.rows.bias.unsqueeze(-1)).squeeze(-1)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (..., V) of features (..., H)."""
        return linear(features, self.weight, self.bias)

    def start(self, counts: Tensor) -> None:
        """Sets the bias to log frequencies of factors, from how often each symbol occurs, (V,)."""
        found = counts.new_zeros(self.rows.out_features)
        with torch.no_grad():
            for place in self.parts.unbind(-1):
                found.index_add_(0, place, counts * (place > 0) / (counts * (place > 0)).sum())
            self.rows.bias.copy_(found.clamp_min(torch.finfo(found.dtype).tiny).log())

    def _sums(self, rows: Tensor) -> Tensor:
        kept = (self.parts > 0).unsqueeze(-1)
        return (embedding(self.parts, rows) * kept).sum(-2)


def factors(vocabulary: Sequence[str], mark: str) -> tuple[Tensor, int]:
    """The factors of every symbol, (V, F) int64, 0 where it has no more; and their number, 0 included."""
    cut = [symbol.split(mark) if symbol.strip(mark) else [symbol] for symbol in vocabulary]
    known: dict[tuple[int, str], int] = {}
    for symbol in cut:
        for item in enumerate(symbol):
            known.setdefault(item, 1 + len(known))
    rows = torch.zeros(len(cut), max(map(len, cut)), dtype=torch.int64)
    for row, symbol in enumerate(cut):
        rows[row, : len(symbol)] = torch.tensor([known[item] for item in enumerate(symbol)])
    return rows, 1 + len(known)
