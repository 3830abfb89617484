"""The scan against torch's LSTM and against differences, and within vmap and Pyro's provenance."""

from collections.abc import Callable

import pytest
import torch
from pyro.ops.provenance import get_provenance, track_provenance
from torch import Tensor, nn
from torch.nn.functional import linear

from hardpp.ops.lstm_scan import gates_in_order, lstm_scan

N, R, P, H = 20, 3, 7, 2  # more steps than are taken at once without gradients


def tables() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(P, 4 * H, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4 * H, H, generator=generator, dtype=torch.float64, requires_grad=True)
    return table, torch.randint(P, (N, R, 2), generator=generator), weight


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_it_is_the_lstm_of_torch(dtype: torch.dtype, atol: float) -> None:
    torch.manual_seed(0)
    lstm, inputs = nn.LSTM(4, H).to(dtype), torch.randn(N, R, 4, dtype=dtype)
    of_input, of_state, one, other = lstm.all_weights[0]
    gates = linear(inputs, gates_in_order(of_input), gates_in_order(one + other))
    found, expected = lstm_scan(gates, None, gates_in_order(of_state)), lstm(inputs)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)
    weight = torch.randn(N, R, H, dtype=dtype)
    gradients = [
        torch.autograd.grad((each * weight).sum(), list(lstm.parameters())) for each in (found, expected)
    ]
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=20 * atol)


def test_rows_are_summed_and_their_gradients_too() -> None:
    table, index, weight = tables()
    plain = lstm_scan(table[index].sum(-2), None, weight)
    assert torch.equal(lstm_scan(table, index, weight), plain)
    assert torch.autograd.gradcheck(
        lambda *each: lstm_scan(each[0], index, each[1]), (table, weight), fast_mode=True
    )
    gates = table[index].sum(-2).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda each: lstm_scan(each, None, weight), (gates,), fast_mode=True)


def test_what_wants_no_gradient_gets_none() -> None:
    table, index, weight = tables()
    states = lstm_scan(table.detach(), index, weight)
    (alone,) = torch.autograd.grad(states.sum(), [weight])
    both = torch.autograd.grad(lstm_scan(table, index, weight).sum(), [table, weight])
    assert torch.equal(alone, both[1])
    with torch.no_grad():
        assert torch.equal(lstm_scan(table, index, weight), states)


def test_within_vmap_each_element_is_its_own() -> None:
    table, index, weight = tables()
    several = torch.stack([table, 2 * table])
    found = torch.func.vmap(lstm_scan, (0, None, None))(several, index, weight)
    assert torch.equal(found, torch.stack([lstm_scan(each, index, weight) for each in several]))


def test_what_is_tracked_stays_tracked() -> None:
    table, index, weight = tables()
    found = lstm_scan(track_provenance(table, frozenset({"z"})), index, weight)
    assert get_provenance(found) == {"z"}


@pytest.mark.parametrize("loss", [torch.sum, lambda states: states.square().sum()])
def test_a_second_derivative_is_refused(loss: Callable[[Tensor], Tensor]) -> None:
    table, index, weight = tables()
    (first,) = torch.autograd.grad(loss(lstm_scan(table, index, weight)), table, create_graph=True)
    with pytest.raises(RuntimeError, match="one derivative"):
        (first.sum() + table.sum()).backward()


def test_no_steps_have_no_states() -> None:
    table, index, weight = tables()
    states = lstm_scan(table, index[:0], weight)
    assert states.shape == (0, index.shape[1], weight.shape[1])
    assert not any(each.any() for each in torch.autograd.grad(states.sum(), [table, weight]))
