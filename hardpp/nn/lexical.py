"""A lexical model: an encoder without context, and a readout that uses the attended word only.

In an encoder that reads whole sentences any position may stand for any word. Here a source word has the same
features, and the same distribution over target symbols, wherever it stands, as in the translation tables of
statistical alignment models: position s can explain a symbol only by its own word.

Source: Brown et al. (1993), The Mathematics of Statistical Machine Translation, with a network for the table.

Shapes: B data, S source positions, E embedding features, H features, V symbols.
"""

import torch
from torch import Tensor, nn

from hardpp.nn.dropout import Dropout
from hardpp.nn.factors import FactoredLinear


class LexicalEncoder(nn.Module):
    """memory[b, s] = dropout(tanh(W embedded[b, s]))."""

    def __init__(self, embedded: int, hidden: int, dropout: float):
        super().__init__()
        self.hidden = nn.Linear(embedded, hidden)
        self.dropout = Dropout(dropout)
        self.features = hidden

    def forward(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """Maps (B, S, E) to (B, S, H); the mask is not needed."""
        return self.dropout(torch.tanh(self.hidden(embedded)))


class LexicalReadout(nn.Module):
    """logits = U attended; the query is not used. `symbols` is the layer U."""

    def __init__(self, symbols: nn.Linear | FactoredLinear):
        super().__init__()
        self.symbols: nn.Linear | FactoredLinear = symbols

    def start(self, counts: Tensor) -> None:
        """Sets the bias to log frequencies, so that positions need not explain which symbols are frequent.

        Otherwise a chain spends its first epochs on frequencies, and can get stuck where every position
        explains every symbol equally well. Counts are (V,) float, above 0.
        """
        if isinstance(self.symbols, FactoredLinear):
            self.symbols.start(counts)
            return
        with torch.no_grad():
            self.symbols.bias.copy_((counts / counts.sum()).log())

    def values(self, memory: Tensor) -> Tensor:
        return memory

    def features(self, value: Tensor, query: Tensor) -> Tensor:
        return value

    def logits(self, value: Tensor, query: Tensor) -> Tensor:
        return self.symbols(value)

    def forward(self, attended: Tensor, query: Tensor) -> Tensor:
        return self.symbols(attended)
