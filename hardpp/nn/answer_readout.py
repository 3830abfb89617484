"""A readout for question answering: from an attended region and a question to logits of answers.

Shapes: M memory features, Q query features, H hidden features, V answers; ... = any leading dims.
"""

from torch import Tensor, nn


class AnswerReadout(nn.Module):
    """logits = W relu(A region + B query) (Deng et al. 2018, section 5).

    The two products are separate, so enumerated regions cost one product each and not one for each pair of
    region and question.
    """

    def __init__(self, memory: int, query: int, hidden: int, answers: int, dropout: float):
        super().__init__()
        self.region = nn.Linear(memory, hidden, bias=False)
        self.query = nn.Linear(query, hidden)
        self.dropout = nn.Dropout(dropout)
        self.answers = nn.Linear(hidden, answers)

    def forward(self, attended: Tensor, query: Tensor) -> Tensor:
        """Logits (..., V) of attended (..., M) and query (..., Q); the leading dims broadcast."""
        return self.answers(self.dropout((self.region(attended) + self.query(query)).relu()))
