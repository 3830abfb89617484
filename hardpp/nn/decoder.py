"""A recurrent decoder with input feeding: each step reads the last step's expected context.

Shapes: B data, T steps, S source positions, M memory features, E embedding, Q query features.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from hardpp.nn.attention import Scorer
from hardpp.nn.dropout import Dropout
from hardpp.nn.lstm_loop import LSTMLoop
from hardpp.nn.recurrent import Cells, select


class DecoderState(NamedTuple):
    """The state between two steps; every part has B rows."""

    cells: Cells
    context: Tensor  # (B, M) the expected memory under the last step's attention

    def select(self, rows: Tensor) -> "DecoderState":
        """The same state for other rows, (R,) int64, as a beam reorders its hypotheses."""
        return DecoderState(select(self.cells, rows), self.context[rows])


class InputFeedingDecoder(nn.Module):
    """LSTM over (previous symbol, previous expected context); each state scores the source.

    Deng et al. (2018), section 2.2: the context that is fed back is always the expectation under the
    attention scores, in training and test. Given the previous symbols nothing random enters the recurrence,
    so the alignments of different steps are independent.
    """

    scorer: Scorer
    embedding: nn.Module

    def __init__(
        self,
        embedding: nn.Module,
        embedded: int,
        scorer: Scorer,
        memory: int,
        hidden: int,
        layers: int,
        dropout: float,
    ):
        super().__init__()
        self.embedding, self.scorer = embedding, scorer
        sizes = [embedded + memory] + [hidden] * (layers - 1)
        self.cells = nn.ModuleList(nn.LSTMCell(size, hidden) for size in sizes)
        self.dropout = Dropout(dropout)
        self.hidden, self.memory = hidden, memory

    def start(self, memory: Tensor) -> DecoderState:
        """The state before the first symbol, for a memory (B, S, M): zeros."""
        zero = memory.new_zeros(memory.shape[0], self.hidden)
        return DecoderState(((zero, zero),) * len(self.cells), memory.new_zeros(memory.shape[0], self.memory))

    def step(
        self, embedded: Tensor, memory: Tensor, keys: Tensor, mask: Tensor, state: DecoderState
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """One symbol further: embedded (B, E) -> query (B, Q), scores (B, S), next state."""
        inputs = torch.cat([embedded, state.context], -1)
        cells = []
        for layer, (cell, previous) in enumerate(zip(self.cells, state.cells, strict=True)):
            if layer:
                inputs = self.dropout(inputs)
            cells.append(cell(inputs, previous))
            inputs = cells[-1][0]
        scores, context = self._look(inputs, memory, keys, mask)
        return inputs, scores, DecoderState(tuple(cells), context)

    def forward(self, previous: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """All steps of known previous symbols (B, T): queries (B, T, Q) and scores (B, T, S)."""
        keys = self.scorer.keys(memory)
        embedded = self.embedding(previous)  # (B, T, E)
        first, *others = self.cells
        loops = [LSTMLoop(first, embedded), *(LSTMLoop(cell) for cell in others)]
        state = self.start(memory)
        queries, scores = [], []
        for t in range(previous.shape[1]):
            inputs, cells = state.context, []
            for layer, (loop, before) in enumerate(zip(loops, state.cells, strict=True)):
                if layer:
                    inputs = self.dropout(inputs)
                cells.append(loop.step(t, inputs, before))
                inputs = cells[-1][0]
            score, context = self._look(inputs, memory, keys, mask)
            state = DecoderState(tuple(cells), context)
            queries.append(inputs)
            scores.append(score)
        return torch.stack(queries, 1), torch.stack(scores, 1)

    # The scores (B, S) and the expected memory (B, M) at a query (B, Q).
    def _look(self, query: Tensor, memory: Tensor, keys: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.scorer(query.unsqueeze(1), keys, mask)  # (B, 1, S)
        return scores.squeeze(1), (scores.softmax(-1) @ memory).squeeze(1)
