"""What frames and tokens add to the gates of an LSTM that reads along paths, computed once for all paths.

    gates = W [frame, last decision, token] + b + V h = row of the frame + row of the token and decision + V h

Paths are many and long, and meet the same frames and tokens again and again: the products with W are taken
of these, and each step adds up two rows.

Shapes: B data, N steps, R rows (paths of all data), S frames, T tokens, F frame features, E token features,
H features; ... = dims inference adds on the left.
"""

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from hardpp.nn.recurrent import StepwiseLSTM
from hardpp.ops.lattice_grid import Path
from hardpp.ops.lstm_scan import gates_as_torch, gates_in_order, lstm_scan


class LayerWeights(NamedTuple):
    """Of a layer, with the gates in the order of `hardpp.ops.lstm_scan`."""

    of_input: Tensor  # (4 H, .)
    of_state: Tensor  # (4 H, H)
    bias: Tensor  # (4 H)


class GateRows(NamedTuple):
    """What is added to the gates of the first layer."""

    tokens: Tensor  # (B, T + 1, 2, 4 H) after a decision to consume, and after one to emit
    frames: Tensor  # (B, S + 1, 4 H)

    def as_torch(self) -> "GateRows":
        """The same with the gates in the order of `torch.nn.LSTM`."""
        return GateRows(*(gates_as_torch(each.movedim(-1, 0)).movedim(0, -1) for each in self))


class GateTables:
    """The rows of one batch; they are computed when they are first asked for.

    Args:
        frames: (B, S + 1, F), by the number of frames consumed.
        tokens: (B, T + 1, E), by the number of tokens emitted.
        recurrence: of F + 1 + E inputs.
    """

    def __init__(self, frames: Tensor, tokens: Tensor, recurrence: StepwiseLSTM):
        self.frames, self.tokens, self.recurrence = frames, tokens, recurrence
        self._learns = torch.is_grad_enabled()

    @cached_property
    def layers(self) -> list[LayerWeights]:
        """The weights of every layer."""
        # Whoever asks first may draw, which wants no gradients, and who asks next may want them.
        with torch.set_grad_enabled(self._learns):
            layers = self.recurrence.lstm.all_weights
            return [
                LayerWeights(*(gates_in_order(each) for each in (of_input, of_state, one + other)))
                for of_input, of_state, one, other in layers
            ]

    @cached_property
    def rows(self) -> GateRows:
        """The rows of frames and tokens."""
        with torch.set_grad_enabled(self._learns):
            weight, of_state, bias = self.layers[0]
            of_frames, of_last, of_tokens = weight.split([self.frames.shape[-1], 1, self.tokens.shape[-1]], 1)
            frames = linear(self.frames, of_frames).to(of_state.dtype)
            tokens = linear(self.tokens, of_tokens, bias).to(of_state.dtype)
            return GateRows(torch.stack([tokens, tokens + of_last.squeeze(-1)], 2), frames)

    def states(self, path: Path) -> Tensor:
        """The states of the last layer along paths (..., B, N): (..., B, N, H)."""
        tokens, frames = self.rows
        table = torch.cat([tokens.flatten(0, 2), frames.flatten(0, 1)])
        row = torch.arange(len(frames), device=frames.device).unsqueeze(-1)
        token = 2 * (path.emitted + row * tokens.shape[1]) + path.last
        frame = path.consumed + row * frames.shape[1] + tokens[..., 0].numel()
        index = torch.stack([token, frame], -1).flatten(0, -3).transpose(0, 1)  # (N, R, 2)
        first, *above = self.layers
        states = lstm_scan(table, index.contiguous(), first.of_state)
        for of_input, of_state, bias in above:
            states = lstm_scan(linear(states, of_input, bias).to(of_state.dtype), None, of_state)
        return states.transpose(0, 1).unflatten(0, path.consumed.shape[:-1])
