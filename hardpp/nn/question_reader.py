"""Encodes a question as one vector: the last state of an LSTM over its words.

Shapes: B images, T questions of an image, L words, E embedding, Q query features.
"""

from torch import Tensor, nn


class QuestionReader(nn.Module):
    """Reads questions from left to right; padding on the right is not read.

    Args:
        embedding: words (..., L) -> (..., L, E).
        embedded: E.
        hidden: Q.
        dropout: of the last state.
    """

    def __init__(self, embedding: nn.Module, embedded: int, hidden: int, dropout: float = 0.0):
        super().__init__()
        self.embedding = embedding
        self.lstm = nn.LSTM(embedded, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.features = hidden

    def forward(self, question: Tensor, mask: Tensor) -> Tensor:
        """Questions (B, T, L) and their bool mask -> (B, T, Q); an empty question has one padding word."""
        embedded = self.embedding(question).flatten(0, 1)  # (B T, L, E)
        states, _ = self.lstm(embedded)  # (B T, L, Q)
        last = (mask.sum(-1) - 1).clamp(min=0).reshape(-1, 1, 1)  # (B T, 1, 1)
        last_state = states.gather(1, last.expand(-1, 1, self.features))
        return self.dropout(last_state.reshape(*mask.shape[:-1], self.features))
