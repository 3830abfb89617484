"""The readout broadcasts: what is shared is multiplied once."""

import pytest
import torch

from hardpp.nn.readout import AnswerReadout, Readout

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


def test_the_answer_readout_broadcasts_and_is_one_hidden_layer_on_both() -> None:
    torch.manual_seed(0)
    net = AnswerReadout(4, 3, 6, 5, 0.0).to(torch.float64)
    regions, queries = torch.randn(7, 2, 1, 4).double(), torch.randn(2, 3, 3).double()
    found = net(regions, queries)
    assert found.shape == (7, 2, 3, 5)
    joined = torch.cat([regions[4, 1, 0], queries[1, 2]])
    weight = torch.cat([net.region.weight, net.query.weight], 1)
    expected = net.answers.weight @ (weight @ joined + net.query.bias).relu() + net.answers.bias
    torch.testing.assert_close(found[4, 1, 2], expected, rtol=0, atol=1e-12)
