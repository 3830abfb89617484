"""Recurrent networks that read a whole sequence at once, or one step at a time with the same weights.

    StepwiseLSTM         forwards, at once or stepwise
    StepwiseRNN          the same with one layer of another cell:
                             relu    h[t] = relu(U x[t] + V h[t-1] + b)     a third of a GRU's products
                             gru     a gated recurrent unit
    BidirectionalLSTM    from both ends, at once
    QuestionReader       a sentence as one vector

Source: Mnih et al. (2014), section 3.1; Le, Jaitly and Hinton (2015), A Simple Way to Initialize Recurrent
Networks of Rectified Linear Units (the relu cell); Cho et al. (2014) for the GRU.
Shapes: B data, N steps, E inputs, H features; ... = rows, any leading dims.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from hardpp.nn.dropout import Dropout
from hardpp.ops.own_derivatives import is_watched
from hardpp.ops.relu_scan import relu_scan

Cells = tuple[tuple[Tensor, Tensor], ...]  # the state of an LSTM; a layer: hidden and cell, (..., H) each
Cell = Literal["relu", "gru"]


class StepwiseLSTM(nn.Module):
    """`layers` of LSTM over the last dim but one; without dropout, so that both ways of reading agree."""

    def __init__(self, inputs: int, hidden: int, layers: int = 1):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, layers, batch_first=True)
        self.features = hidden

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Maps (..., N, E) to (..., N, H); padding on the right changes nothing before it."""
        rows = inputs.shape[:-2]
        states = _all_states(self.lstm, inputs.flatten(0, -3) if len(rows) > 1 else inputs)
        return states.reshape(*rows, *states.shape[-2:])

    def start(self, rows: torch.Size) -> Cells:
        """The state before the first step: zeros."""
        zero = next(self.lstm.parameters()).new_zeros(*rows, self.features)
        return ((zero, zero),) * self.lstm.num_layers

    def step(self, inputs: Tensor, cells: Cells) -> tuple[Tensor, Cells]:
        """One step further: (..., E) to the features (..., H) and the next state."""
        rows, new = inputs.shape[:-1], []
        for weights, previous in zip(self.lstm.all_weights, cells, strict=True):
            flat = [each.reshape(-1, each.shape[-1]) for each in (inputs, *previous)]
            hidden, carry = torch.lstm_cell(flat[0], flat[1:], *weights)
            inputs, carry = hidden.reshape(*rows, -1), carry.reshape(*rows, -1)
            new.append((inputs, carry))
        return inputs, tuple(new)


# Under autocast, too: many CPUs lack what torch's LSTM of half precision needs.
def _all_states(lstm: nn.Module, inputs: Tensor) -> Tensor:
    if inputs.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        states: Tensor = lstm(inputs)[0]
        return states
    with torch.autocast("cpu", enabled=False):
        return _all_states(lstm, inputs.to(next(lstm.parameters()).dtype))


def select(cells: Cells, rows: Tensor) -> Cells:
    """The state of other rows, (R,) int64, of one leading dim."""
    return tuple((hidden[rows], carry[rows]) for hidden, carry in cells)


def choose(where: Tensor, one: Cells, other: Cells) -> Cells:
    """The one state in the rows (...) where a bool is True, the other elsewhere."""
    mask = where.unsqueeze(-1)
    return tuple(
        (torch.where(mask, a, c), torch.where(mask, b, d)) for (a, b), (c, d) in zip(one, other, strict=True)
    )


class ReluWeights(NamedTuple):
    """Of a relu cell."""

    of_inputs: Tensor  # U (H, E)
    of_state: Tensor  # V (H, H)
    bias: Tensor  # b (H)


class StepwiseRNN(nn.Module):
    """One layer over the last dim but one.

    In a relu cell V starts as the identity, so that early steps are not forgotten before anything is learnt.
    """

    def __init__(self, inputs: int, hidden: int, cell: Cell = "gru"):
        super().__init__()
        self.features = hidden
        if cell == "gru":
            self.recurrence: nn.RNNBase = nn.GRU(inputs, hidden, batch_first=True)
            self.cell = torch.gru_cell
            return
        self.recurrence = nn.RNN(inputs, hidden, nonlinearity="relu", batch_first=True)
        self.cell = torch.rnn_relu_cell
        of_inputs, of_state, *biases = self.recurrence.all_weights[0]
        nn.init.kaiming_uniform_(of_inputs, nonlinearity="relu")
        nn.init.eye_(of_state)
        for bias in biases:
            nn.init.zeros_(bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (..., N, E) to (..., N, H)."""
        weights = self.relu_weights()
        if weights is not None and not any(is_watched(each) for each in (inputs, *weights)):
            by_step = inputs.movedim(-2, 0).flatten(1, -2)
            _, states = relu_scan(linear(by_step, weights.of_inputs, weights.bias), weights.of_state)
            return states.unflatten(1, inputs.shape[:-2]).movedim(0, -2)
        states, _ = self.recurrence(inputs.flatten(0, -3))
        return states.reshape(*inputs.shape[:-1], self.features)

    def relu_weights(self) -> ReluWeights | None:
        """The weights of a relu cell; None of another one."""
        if self.cell is not torch.rnn_relu_cell:
            return None
        of_inputs, of_state, one, other = self.recurrence.all_weights[0]
        return ReluWeights(of_inputs, of_state, one + other)

    def start(self, rows: torch.Size) -> Tensor:
        """The state before the first step, (..., H): zeros."""
        return self.recurrence.all_weights[0][0].new_zeros(*rows, self.features)

    def step(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One step further: (..., E) to the features (..., H) and the next state."""
        new = self.cell(inputs.flatten(0, -2), state.flatten(0, -2), *self.recurrence.all_weights[0])
        new = new.reshape(state.shape)
        return new, new


class BidirectionalLSTM(nn.Module):
    """Reads a sequence from both ends; layers are stacked on the joined directions, each with dropout.

    Each direction starts at its own end of every sequence (the backward one at the last symbol that is not
    padding), so outputs do not depend on the padding of a batch. Lengths stay on the device: packing would
    move them to the host. With `skip` each output also contains its own input.
    """

    def __init__(
        self, inputs: int, hidden: int, layers: int = 1, dropout: float = 0.0, *, skip: bool = False
    ):
        super().__init__()
        sizes = [inputs] + [2 * hidden] * (layers - 1)
        self.forwards = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in sizes)
        self.backwards = nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for size in sizes)
        self.dropout = Dropout(dropout)
        self.skip = skip
        self.features = 2 * hidden + (inputs if skip else 0)

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Maps (B, N, E) and a right-padded (B, N) bool mask to (B, N, 2H), with `skip` (B, N, 2H + E)."""
        reversal = reversed_positions(mask).unsqueeze(-1)  # (B, N, 1)
        hidden = inputs
        for ahead, back in zip(self.forwards, self.backwards, strict=True):
            flipped = hidden.gather(1, reversal.expand_as(hidden))
            left, right = _all_states(ahead, hidden), _all_states(back, flipped)
            hidden = self.dropout(torch.cat([left, right.gather(1, reversal.expand_as(right))], -1))
        return torch.cat([hidden, inputs], -1) if self.skip else hidden


def reversed_positions(mask: Tensor) -> Tensor:
    """For a right-padded (B, N) bool mask, the (B, N) int64 index that reverses each sequence in place."""
    position = torch.arange(mask.shape[-1], device=mask.device).expand_as(mask)
    last = mask.sum(-1, keepdim=True) - 1
    return torch.where(mask, last - position, position)


class QuestionReader(nn.Module):
    """The last state of an LSTM over a question's words, with dropout; padding on the right is not read.

    Args:
        embedding: words (..., N) -> (..., N, E).
        embedded: E.
        hidden: H.
        dropout: of the last state.
    """

    def __init__(self, embedding: nn.Module, embedded: int, hidden: int, dropout: float = 0.0):
        super().__init__()
        self.embedding = embedding
        self.lstm = nn.LSTM(embedded, hidden, batch_first=True)
        self.dropout = Dropout(dropout)
        self.features = hidden

    def forward(self, question: Tensor, mask: Tensor) -> Tensor:
        """Questions (B, T, N) and their bool mask -> (B, T, H); an empty question has one padding word."""
        states = _all_states(self.lstm, self.embedding(question).flatten(0, 1))  # (B T, N, H)
        last = (mask.sum(-1) - 1).clamp(min=0).reshape(-1, 1, 1)  # (B T, 1, 1)
        last_state = states.gather(1, last.expand(-1, 1, self.features))
        return self.dropout(last_state.reshape(*mask.shape[:-1], self.features))
