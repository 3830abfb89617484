"""The loop of an LSTM cell: the steps of the cell itself, with and without inputs known beforehand."""

import pytest
import torch
from torch import Tensor, nn

from hardpp.nn.lstm_loop import LSTMLoop

R, T, E, INPUTS, H = 3, 4, 2, 5, 6


@pytest.mark.parametrize("known_features", [0, E])
def test_steps_and_gradients_are_those_of_the_cell(known_features: int) -> None:
    torch.manual_seed(0)
    cell = nn.LSTMCell(known_features + INPUTS, H).double()
    known = torch.randn(R, T, known_features, dtype=torch.float64, requires_grad=True)
    inputs = torch.randn(T, R, INPUTS, dtype=torch.float64, requires_grad=True)
    zero = torch.zeros(R, H, dtype=torch.float64)

    def run(ours: bool) -> Tensor:
        loop = LSTMLoop(cell, known if known_features else None)
        state, found = (zero, zero), []
        for t in range(T):
            state = (
                loop.step(t, inputs[t], state)
                if ours
                else cell(torch.cat([known[:, t], inputs[t]], -1), state)
            )
            found += state
        return torch.stack(found)

    leaves = [*cell.parameters(), inputs, *([known] if known_features else [])]
    torch.testing.assert_close(run(True), run(False), rtol=0, atol=1e-14)
    ours, theirs = (torch.autograd.grad(run(which).square().sum(), leaves) for which in (True, False))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
