"""Factored symbols, such as a lemma with its case: rare combinations share the features of their factors.

    embedding[v] = sum_f embedding[factor f of v]
    logits[v] = sum_f (W[factor f of v] h + b[factor f of v])

A symbol is split at the marks in it. The same text in another place of a symbol is another factor, so a lemma
never shares features with a case. A symbol without marks is its own only factor.

Source: Bilmes and Kirchhoff (2003), Factored Language Models; Alexandrescu and Kirchhoff (2006).
Shapes: V symbols, E embedding features, H features; (V, .) has a column for each factor of the longest
symbol.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear

MARK = "|"


class FactoredEmbedding(nn.Module):
    """The features (E) of a symbol are the sum of those of its factors, which the mark separates."""

    parts: Tensor  # (V, .)

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
    """The logit of a symbol is the sum of those of its factors; `weight` and `bias` are as in `nn.Linear`."""

    parts: Tensor  # (V, .)

    def __init__(self, features: int, vocabulary: Sequence[str], mark: str = MARK):
        super().__init__()
        parts, count = factors(vocabulary, mark)
        self.register_buffer("parts", parts, persistent=False)
        self.rows = nn.Linear(features, count)  # of factors; row 0 stands for no factor and is never read
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
        """Sets the bias to log frequencies of factors, from counts of symbols (V,)."""
        frequency = counts.new_zeros(self.rows.out_features)
        with torch.no_grad():
            for place in self.parts.unbind(-1):
                frequency.index_add_(0, place, counts * (place > 0) / (counts * (place > 0)).sum())
            self.rows.bias.copy_(frequency.clamp_min(torch.finfo(frequency.dtype).tiny).log())

    def _sums(self, rows: Tensor) -> Tensor:
        kept = (self.parts > 0).unsqueeze(-1)
        return (embedding(self.parts, rows) * kept).sum(-2)


def factors(vocabulary: Sequence[str], mark: str) -> tuple[Tensor, int]:
    """The factors of every symbol, (V, .) int64, padded with 0; and the number of factors, 0 included."""
    split = [symbol.split(mark) if symbol.strip(mark) else [symbol] for symbol in vocabulary]
    number: dict[tuple[int, str], int] = {}
    for symbol in split:
        for factor in enumerate(symbol):
            number.setdefault(factor, 1 + len(number))
    rows = torch.zeros(len(split), max(map(len, split)), dtype=torch.int64)
    for row, symbol in enumerate(split):
        rows[row, : len(symbol)] = torch.tensor([number[factor] for factor in enumerate(symbol)])
    return rows, 1 + len(number)
