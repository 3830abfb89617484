"""Reading at an index is reading at its one-hot weights."""

import pytest
import torch

from hardpp.nn.attention import attend

B, S, T, H = 2, 3, 4, 5


@pytest.mark.parametrize("lead", [(), (6,), (2, 3)])
def test_an_index_and_its_one_hot_weights_read_the_same(lead: tuple[int, ...], device: torch.device) -> None:
    memory = torch.randn(B, S, H, dtype=torch.float64, device=device)
    index = torch.randint(0, S, (*lead, B, T), device=device)
    weights = torch.nn.functional.one_hot(index, S).double()
    read = attend(memory, index)
    assert read.shape == (*lead, B, T, H)
    torch.testing.assert_close(read, attend(memory, weights))
    *_, b, t = index.shape
    for at in ((0, 0), (b - 1, t - 1)):
        where = (*(0 for _ in lead), *at)
        torch.testing.assert_close(read[where], memory[at[0], index[where]])


def test_weights_are_averaged() -> None:
    memory = torch.randn(B, S, H)
    read = attend(memory, torch.full((B, T, S), 1 / S))
    torch.testing.assert_close(read, memory.mean(1, keepdim=True).expand(B, T, H))


def test_an_enumerated_alignment_is_read_once_for_all_steps() -> None:
    memory = torch.randn(B, S, H)
    positions = torch.arange(S).reshape(S, 1, 1)
    read = attend(memory, positions)
    assert read.shape == (S, B, 1, H)
    torch.testing.assert_close(read.squeeze(2), memory.transpose(0, 1))


def test_gradients_reach_the_memory_only_where_it_is_read() -> None:
    memory = torch.randn(B, S, H, requires_grad=True)
    index = torch.zeros(B, T, dtype=torch.int64)
    (gradient,) = torch.autograd.grad(attend(memory, index).sum(), [memory])
    assert (gradient[:, 0] == T).all()
    assert (gradient[:, 1:] == 0).all()
