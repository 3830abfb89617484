"""The decoder: stepping is unrolling, and it feeds back the expected memory."""

import cases
import pytest
import torch
from torch import nn

from hardpp.nn.attention import AdditiveScorer
from hardpp.nn.decoder import InputFeedingDecoder

E, M, Q, V = 3, 4, 5, 6


def decoder(layers: int = 1) -> InputFeedingDecoder:
    return InputFeedingDecoder(
        nn.Embedding(V, E), E, AdditiveScorer(Q, M, 2), M, Q, layers, dropout=0.0
    ).double()


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    previous = torch.randint(0, V, (2, 4))
    return previous, torch.randn(2, 3, M, dtype=torch.float64), cases.ragged([3, 2])


@pytest.mark.parametrize("layers", [1, 2])
def test_forward_is_step_after_step(layers: int) -> None:
    net, (previous, memory, mask) = decoder(layers), inputs()
    queries, scores = net(previous, memory, mask)
    state, keys = net.start(memory), net.scorer.keys(memory)
    for t in range(4):
        query, score, state = net.step(net.embedding(previous[:, t]), memory, keys, mask, state)
        torch.testing.assert_close(query, queries[:, t], rtol=0, atol=1e-12)
        torch.testing.assert_close(score, scores[:, t], rtol=0, atol=1e-12)
        expected = torch.einsum("bs,bsm->bm", score.softmax(-1), memory)
        torch.testing.assert_close(state.context, expected, rtol=0, atol=1e-12)


def test_one_layer_by_hand() -> None:
    net, (previous, memory, mask) = decoder(), inputs()
    queries, scores = net(previous, memory, mask)
    hidden = cell = torch.zeros(2, Q, dtype=torch.float64)
    context = torch.zeros(2, M, dtype=torch.float64)
    for t in range(4):
        hidden, cell = net.cells[0](
            torch.cat([net.embedding.weight[previous[:, t]], context], -1), (hidden, cell)
        )
        score = net.scorer(hidden.unsqueeze(1), net.scorer.keys(memory), mask).squeeze(1)
        context = torch.stack([score[b].softmax(-1) @ memory[b] for b in range(2)])
        torch.testing.assert_close(queries[:, t], hidden, rtol=0, atol=1e-12)
        torch.testing.assert_close(scores[:, t], score, rtol=0, atol=1e-12)


def test_no_step_sees_later_symbols() -> None:
    net, (previous, memory, mask) = decoder(2), inputs()
    other = previous.clone()
    other[:, 2] = (other[:, 2] + 1) % V
    (queries, scores), (changed, rescored) = net(previous, memory, mask), net(other, memory, mask)
    assert torch.equal(queries[:, :2], changed[:, :2])
    assert torch.equal(scores[:, :2], rescored[:, :2])
    assert (queries[:, 2:] != changed[:, 2:]).any()


def test_a_state_can_be_reordered() -> None:
    net, (previous, memory, mask) = decoder(2), inputs()
    _, _, state = net.step(
        net.embedding(previous[:, 0]), memory, net.scorer.keys(memory), mask, net.start(memory)
    )
    rows = torch.tensor([1, 1, 0])
    chosen = state.select(rows)
    for (hidden, cell), (old, carry) in zip(chosen.cells, state.cells, strict=True):
        assert torch.equal(hidden, old[rows])
        assert torch.equal(cell, carry[rows])
    assert torch.equal(chosen.context, state.context[rows])
