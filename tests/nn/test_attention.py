"""Scores against their formulas; padding scores minus infinity."""

import cases
import pytest
import torch
from torch import nn

from hardpp.nn.attention import AdditiveScorer, BilinearScorer, SparseScorer
from hardpp.ops.sparse_softmax import sparse_log_softmax

B, T, S, Q, M, A = 2, 3, 4, 5, 6, 7
SCORERS = {"bilinear": lambda: BilinearScorer(Q, M), "additive": lambda: AdditiveScorer(Q, M, A)}


def by_hand(scorer: nn.Module, query: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
    if isinstance(scorer, BilinearScorer):
        return query @ scorer.key.weight @ memory
    return scorer.score.weight[0] @ torch.tanh(scorer.query.weight @ query + scorer.key.weight @ memory)


@pytest.mark.parametrize("name", SCORERS)
def test_formula(name: str, device: torch.device) -> None:
    scorer = SCORERS[name]().double().to(device)
    query = torch.randn(B, T, Q, dtype=torch.float64, device=device)
    memory = torch.randn(B, S, M, dtype=torch.float64, device=device)
    mask = cases.ragged([4, 2]).to(device)
    scores = scorer(query, scorer.keys(memory), mask)
    assert scores.shape == (B, T, S)
    for b, t, s in torch.cartesian_prod(torch.arange(B), torch.arange(T), torch.arange(S)).tolist():
        if mask[b, s]:
            torch.testing.assert_close(scores[b, t, s], by_hand(scorer, query[b, t], memory[b, s]))
        else:
            assert scores[b, t, s] == -torch.inf


@pytest.mark.parametrize("name", SCORERS)
def test_padding_gives_no_gradient(name: str) -> None:
    scorer = SCORERS[name]()
    memory = torch.randn(B, S, M, requires_grad=True)
    mask = cases.ragged([4, 2])
    weights = scorer(torch.randn(B, T, Q), scorer.keys(memory), mask).softmax(-1)
    (gradient,) = torch.autograd.grad(weights[..., 0].sum(), [memory])
    assert gradient.isfinite().all()
    assert (gradient[~mask] == 0).all()
    assert (gradient[mask] != 0).any()


def test_sparse_scores_are_log_probabilities() -> None:
    scorer = BilinearScorer(Q, M)
    sparse = SparseScorer(scorer, "sparsemax")
    query, memory, mask = 3 * torch.randn(B, T, Q), torch.randn(B, S, M), cases.ragged([4, 2])
    found = sparse(query, sparse.keys(memory), mask)
    expected = sparse_log_softmax(scorer(query, scorer.keys(memory), mask), "sparsemax")
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found.softmax(-1), expected.exp())
    assert (found[mask.unsqueeze(1).expand_as(found)] == -torch.inf).any()
