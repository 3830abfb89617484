"""The chain decoder: stepping is unrolling, moves are what they say, and padding does not count."""

import cases
import pytest
import torch
from torch import Tensor, nn

from hardpp.nn.chain_decoder import END, NEARER, ChainDecoder, end_mark
from hardpp.nn.lexical import LexicalReadout

M, V, T = 4, 6, 5
CLOSE = {"rtol": 0, "atol": 1e-12}


def decoder(reach: int = 2) -> ChainDecoder:
    net = ChainDecoder(V, LexicalReadout(nn.Linear(M, V)), M, reach, 3, dropout=0.0).double()
    with torch.no_grad():  # moves start alike
        for parameter in net.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return net


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    return torch.randint(0, V, (2, T)), torch.randn(2, 4, M, dtype=torch.float64), cases.ragged([4, 3])


def test_forward_is_step_after_step() -> None:
    net, (previous, memory, mask) = decoder(), inputs()
    queries, scores = net(previous, memory, mask)
    state, keys = net.start(memory), net.scorer.keys(memory)
    for t in range(T):
        query, score, state = net.step(net.embedding(previous[:, t]), memory, keys, mask, state)
        torch.testing.assert_close(query, queries[:, t], **CLOSE)
        torch.testing.assert_close(score, scores[:, t], **CLOSE)


def test_the_first_steps_by_hand() -> None:
    net, (previous, memory, mask) = decoder(), inputs()
    _, scores = net(previous, memory, mask)
    keys = net.moves.keys(memory)
    b, n = 1, 3  # two words and the end mark
    first, second = (net.symbol.weight[previous[b, t]] for t in range(2))

    def moves(leave: Tensor, place: int, history: Tensor) -> Tensor:
        """Probabilities of going from a place to every position."""
        bias = leave + net.move.weight @ history  # (J,)
        distance = [max(-2, min(2, s - place)) + 2 for s in range(n)]
        arrive = keys[b, :n, -1] + torch.tensor([0, 0, 1]) * net.moves.end
        return torch.stack([bias[d] + arrive[s] for s, d in enumerate(distance)]).softmax(-1)

    start = moves(net.moves.before, -1, torch.cat([first, first]))
    torch.testing.assert_close(scores[b, 0].exp()[:n], start, **CLOSE)
    emitted = net.readout(memory[b, :n], memory[b, :n]).softmax(-1)[:, previous[b, 1]]
    stands = start * emitted / (start * emitted).sum()
    history = torch.cat([second, first])
    places = [(-1, net.moves.before, stands[2]), *((s, keys[b, s, :-1], stands[s]) for s in range(2))]
    expected = sum(share * moves(leave, place, history) for place, leave, share in places)
    torch.testing.assert_close(scores[b, 1].exp()[:n], expected, **CLOSE)


def test_at_first_the_next_word_is_likeliest_and_the_end_mark_least_likely() -> None:
    net = ChainDecoder(V, LexicalReadout(nn.Linear(M, V)), M, 2, 3, dropout=0.0).double()
    previous, memory, mask = inputs()
    _, scores = net(previous, memory, mask)
    first = torch.tensor([0.0, -NEARER, -NEARER, END - NEARER]).double().log_softmax(-1)  # the reach is 2
    torch.testing.assert_close(scores[0, 0], first, rtol=0, atol=1e-6)
    assert (scores.argmin(-1)[0] == 3).all()


def test_no_step_sees_later_symbols_and_later_steps_see_them() -> None:
    net, (previous, memory, mask) = decoder(), inputs()
    other = previous.clone()
    other[:, 2] = (other[:, 2] + 1) % V
    (queries, scores), (changed, rescored) = net(previous, memory, mask), net(other, memory, mask)
    assert torch.equal(queries[:, :2], changed[:, :2])
    assert torch.equal(scores[:, :2], rescored[:, :2])
    assert (
        scores[:, 2:][mask.unsqueeze(1).expand(-1, 3, -1)]
        != rescored[:, 2:][mask.unsqueeze(1).expand(-1, 3, -1)]
    ).all()


def test_padding_does_not_count() -> None:
    net, (previous, memory, mask) = decoder(), inputs()
    alone = previous[1:], memory[1:, :3], mask[1:, :3]
    torch.testing.assert_close(net(*alone)[1], net(previous, memory, mask)[1][1:, :, :3], **CLOSE)
    target_mask = cases.ragged([T, 3])
    together = net.smoothed(previous, target_mask, memory, mask, 0)[1:, :3, :3]
    by_itself = net.smoothed(previous[1:, :3], target_mask[1:, :3], memory[1:, :3], mask[1:, :3], 0)
    torch.testing.assert_close(by_itself, together, **CLOSE)


def test_smoothing_is_the_gradient_of_the_likelihood() -> None:
    net, (target, memory, mask) = decoder(), inputs()
    previous = torch.nn.functional.pad(target[:, :-1], (1, 0))
    emission = net.emission(target, memory, mask).detach().requires_grad_()
    net.emission = lambda symbols, memory, mask: emission[:, : symbols.shape[1]]
    _, scores = net(previous, memory, mask)
    log_p = (scores + emission.masked_fill(~mask.unsqueeze(1), -torch.inf)).logsumexp(-1).sum()
    (expected,) = torch.autograd.grad(log_p, emission)
    found = net.smoothed(target, torch.ones_like(target, dtype=torch.bool), memory, mask, 0).exp()
    torch.testing.assert_close(found, expected, **CLOSE)


def test_emissions_are_the_readout_s() -> None:
    net, (symbols, memory, mask) = decoder(), inputs()
    logits = net.readout(memory, memory).log_softmax(-1)  # (2, 4, V)
    expected = logits.take_along_dim(symbols.unsqueeze(1), -1).transpose(1, 2)
    torch.testing.assert_close(
        net.emission(symbols, memory, mask), expected.masked_fill(~mask.unsqueeze(1), 0.0), **CLOSE
    )


def test_a_state_can_be_reordered() -> None:
    net, (previous, memory, mask) = decoder(), inputs()
    keys, rows = net.scorer.keys(memory), torch.tensor([1, 1, 0])
    state = net.start(memory)
    for t in range(2):
        _, plain, after = net.step(previous[:, t], memory, keys, mask, state)
        _, scores, _ = net.step(previous[rows, t], memory[rows], keys[rows], mask[rows], state.select(rows))
        torch.testing.assert_close(scores, plain[rows], **CLOSE)
        state = after


def test_whole_previous_symbols_are_dropped_in_training() -> None:
    net, (previous, memory, mask) = decoder(), inputs()
    net.dropout.p = 1.0
    query, _ = net(previous, memory, mask)
    assert (query == 0).all()
    query, _ = net.eval()(previous, memory, mask)
    assert (query != 0).any()


@pytest.mark.parametrize("lengths", [[3, 1], [1, 1]])
def test_the_end_mark_is_the_last_position(lengths: list[int]) -> None:
    found = end_mark(cases.ragged(lengths))
    assert found.long().argmax(-1).tolist() == [n - 1 for n in lengths]
    assert found.sum(-1).tolist() == [1, 1]
