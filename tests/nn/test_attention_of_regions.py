"""Scores of regions against their formulas."""

import torch

from hardpp.nn.attention import GAIN, GatedScorer, RegionScorer

DOUBLE = torch.float64


def scorer() -> RegionScorer:
    torch.manual_seed(0)
    return RegionScorer(3, 4, 5).to(DOUBLE)


def scores(net: RegionScorer, query: torch.Tensor, memory: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return net(query, net.keys(memory), mask)


def test_at_first_every_question_looks_alike() -> None:
    net, mask = scorer(), torch.ones(2, 6, dtype=torch.bool)
    query, memory = torch.randn(2, 3, 3, dtype=DOUBLE), torch.randn(2, 6, 4, dtype=DOUBLE)
    found = scores(net, query, memory, mask)
    assert found.shape == (2, 3, 6)
    assert torch.equal(found, found[:, :1].expand_as(found))
    found.square().sum().backward()
    assert net.query.weight.grad is not None
    assert net.query.weight.grad.abs().max() > 0  # and may learn to look elsewhere


def test_scores_are_the_formula_region_by_region() -> None:
    net = scorer()
    torch.nn.init.normal_(net.query.weight)
    query, memory = torch.randn(1, 2, 3, dtype=DOUBLE), torch.randn(1, 3, 4, dtype=DOUBLE)
    mask = torch.tensor([[True, True, False]])
    found = scores(net, query, memory, mask)
    for t in range(2):
        for s in range(2):
            hidden = net.key.weight @ memory[0, s] + GAIN * net.query.weight @ query[0, t]
            expected = net.score.weight[0] @ hidden.tanh()
            torch.testing.assert_close(found[0, t, s], expected, rtol=0, atol=1e-12)
    assert (found[..., 2] == -torch.inf).all()


def test_gated_scores_are_the_formula_region_by_region() -> None:
    torch.manual_seed(0)
    net = GatedScorer(4, 3, 2, 5).to(DOUBLE)
    memory, query, answer = torch.randn(2, 3, 4), torch.randn(2, 2, 3), torch.randn(2, 2, 2)
    memory, query, answer = memory.double(), query.double(), answer.double()
    mask = torch.tensor([[True, True, False], [True, True, True]])
    found = net(memory, query, answer, mask)
    assert found.shape == (2, 2, 3)
    for b in range(2):
        for t in range(2):
            for s in range(3):
                x = memory[b, s] * (net.memory_gate.weight @ answer[b, t] + net.memory_gate.bias).relu()
                q = query[b, t] * (net.query_gate.weight @ answer[b, t] + net.query_gate.bias).relu()
                hidden = net.memory.weight @ x + net.memory.bias + net.query.weight @ q
                score = net.score.weight[0] @ torch.tanh(hidden)
                expected = score if mask[b, s] else torch.tensor(-torch.inf, dtype=DOUBLE)
                torch.testing.assert_close(found[b, t, s], expected, rtol=0, atol=1e-12)
