"""Readouts: features of two things together (attended memory and a query, a frame and tokens), and logits.

The products with the two are separate. So alignments, drawn or enumerated, cost one product a source position
and not one for each draw and step, and a grid of frames and tokens as many as its sides, not its area.

Shapes: M memory features, Q query features, H hidden features, V symbols or answers; ... = any leading dims,
which broadcast.
"""

import torch
from torch import Tensor, nn

from hardpp.nn.dropout import Dropout


class Readout(nn.Module):
    """logits = W tanh(A attended + B query) (Deng et al. 2018, section 2.2)."""

    def __init__(self, memory: int, query: int, hidden: int, symbols: int, dropout: float):
        super().__init__()
        self.attended = nn.Linear(memory, hidden, bias=False)
        self.query = nn.Linear(query, hidden)
        self.dropout = Dropout(dropout)
        self.symbols = nn.Linear(hidden, symbols)

    def values(self, memory: Tensor) -> Tensor:
        """What the features need of a memory (..., M), computed once for all steps and draws: (..., H)."""
        return self.attended(memory)

    def features(self, value: Tensor, query: Tensor) -> Tensor:
        """The features (..., H) that logits are linear in, of attended values (..., H) and query (..., Q)."""
        return self.dropout(torch.tanh(value + self.query(query)))

    def logits(self, value: Tensor, query: Tensor) -> Tensor:
        """Logits (..., V) of attended values (..., H) and query (..., Q)."""
        return self.symbols(self.features(value, query))

    def forward(self, attended: Tensor, query: Tensor) -> Tensor:
        """Logits (..., V) of attended memory (..., M) and query (..., Q)."""
        return self.logits(self.values(attended), query)


class AnswerReadout(nn.Module):
    """logits = W relu(A region + B query), for question answering (Deng et al. 2018, section 5)."""

    def __init__(self, memory: int, query: int, hidden: int, answers: int, dropout: float):
        super().__init__()
        self.region = nn.Linear(memory, hidden, bias=False)
        self.query = nn.Linear(query, hidden)
        self.dropout = Dropout(dropout)
        self.answers = nn.Linear(hidden, answers)

    def values(self, memory: Tensor) -> Tensor:
        """What the logits need of a memory (..., M), computed once for all questions and draws: (..., H)."""
        return self.region(memory)

    def logits(self, value: Tensor, query: Tensor) -> Tensor:
        """Logits (..., V) of attended values (..., H) and query (..., Q)."""
        return self.answers(self.dropout((value + self.query(query)).relu()))

    def forward(self, attended: Tensor, query: Tensor) -> Tensor:
        """Logits (..., V) of attended memory (..., M) and query (..., Q)."""
        return self.logits(self.values(attended), query)


class Joint(nn.Module):
    """features = tanh(A frame + B token), the joint network of a transducer.

    Source: Graves, Mohamed and Hinton (2013), Speech Recognition with Deep Recurrent Neural Networks, section
    3.2.
    """

    def __init__(self, frame: int, token: int, hidden: int):
        super().__init__()
        self.frame = nn.Linear(frame, hidden)
        self.token = nn.Linear(token, hidden, bias=False)

    def forward(self, frame: Tensor, token: Tensor) -> Tensor:
        """The features (..., H) of a frame and of the tokens so far."""
        return self.joined(*self.sides(frame, token))

    def sides(self, frame: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        """What frames and tokens each add to the features: (..., H) of both, to be joined."""
        return self.frame(frame), self.token(token)

    def joined(self, frame: Tensor, token: Tensor) -> Tensor:
        """The features (..., H) of two sides, which broadcast."""
        return torch.tanh(frame + token)
