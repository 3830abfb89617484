"""The readout broadcasts: what is shared is multiplied once."""

import pytest
import torch

from hardpp.nn.readout import Readout

M, Q, V = 3, 4, 5


@pytest.mark.parametrize(
    ("attended", "query"), [((), ()), ((2, 3), (2, 3)), ((7, 2, 1), (2, 3)), ((6, 1, 2, 3), (2, 3))]
)
def test_leading_dims_broadcast(attended: tuple[int, ...], query: tuple[int, ...]) -> None:
    readout = Readout(M, Q, 6, V, dropout=0.0).double()
    a = torch.randn(*attended, M, dtype=torch.float64)
    q = torch.randn(*query, Q, dtype=torch.float64)
    logits = readout(a, q)
    lead = torch.broadcast_shapes(attended, query)
    assert logits.shape == (*lead, V)
    a, q = a.expand(*lead, M).reshape(-1, M), q.expand(*lead, Q).reshape(-1, Q)
    for row in range(len(a)):
        hidden = torch.tanh(
            readout.attended.weight @ a[row] + readout.query.weight @ q[row] + readout.query.bias
        )
        expected = readout.symbols.weight @ hidden + readout.symbols.bias
        torch.testing.assert_close(logits.reshape(-1, V)[row], expected)


def test_dropout_acts_in_training_only() -> None:
    readout = Readout(M, Q, 6, V, dropout=0.5)
    a, q = torch.randn(2, M), torch.randn(2, Q)
    assert not torch.equal(readout(a, q), readout(a, q))
    readout.eval()
    assert torch.equal(readout(a, q), readout(a, q))
