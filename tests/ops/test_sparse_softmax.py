"""Sparse transforms against the number tau found by bisection."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from hardpp.ops.sparse_softmax import Threshold, sparse_log_softmax

THRESHOLDS: dict[Threshold, int] = {"sparsemax": 1, "entmax15": 2}
NONE = -torch.inf

every_threshold = pytest.mark.parametrize("sparsity", THRESHOLDS)


def random_scores(rows: int, S: int, spread: float, seed: int = 0) -> Tensor:
    return spread * torch.randn(rows, S, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_bisection(scores: Tensor, power: int) -> Tensor:
    """[x - tau]_+ ^ power, x = scores / power, with the tau at which it sums to 1."""
    x = scores / power
    low, high = x.amax(-1, keepdim=True) - 1, x.amax(-1, keepdim=True)
    for _ in range(100):
        tau = (low + high) / 2
        too_low = ((x - tau).clamp(min=0) ** power).sum(-1, keepdim=True) > 1
        low, high = tau.where(too_low, low), high.where(too_low, tau)
    return (x - low).clamp(min=0) ** power


@every_threshold
@pytest.mark.parametrize("spread", [0.01, 0.5, 2.0, 30.0])
@pytest.mark.parametrize("S", [1, 2, 13, 200])
def test_probabilities(sparsity: Threshold, S: int, spread: float) -> None:
    scores = random_scores(50, S, spread)
    if S > 2:
        scores[::3, 4] = NONE
    found = sparse_log_softmax(scores, sparsity).exp()
    torch.testing.assert_close(found, by_bisection(scores, THRESHOLDS[sparsity]), rtol=0, atol=1e-13)
    torch.testing.assert_close(found.sum(-1), torch.ones(50, dtype=torch.float64), rtol=0, atol=1e-13)


def test_by_hand() -> None:
    """Two values whose scores differ by d: sparsemax has (1 + d) / 2; half of d is entmax15's x."""
    scores = torch.tensor([[0.4, 0.0, -3.0], [1.0, 0.0, NONE], [1.4, 0.0, -0.1]])
    expected = torch.tensor([[0.7, 0.3, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(sparse_log_softmax(scores, "sparsemax").exp(), expected)
    # (0.3 - tau)^2 + tau^2 = 1 at tau = (0.3 - sqrt(2 - 0.09)) / 2
    tau = (0.3 - (2 - 0.3**2) ** 0.5) / 2
    found = sparse_log_softmax(torch.tensor([0.6, 0.0]), "entmax15").exp()
    torch.testing.assert_close(found, torch.tensor([(0.3 - tau) ** 2, tau**2]))


def test_the_largest_are_kept_and_their_softmax_taken() -> None:
    scores = torch.tensor([[0.3, 2.0, NONE, 1.0], [NONE, NONE, 0.5, NONE], [0.0, 0.0, 0.0, 0.0]])
    found = sparse_log_softmax(scores, 2).exp()
    assert found[0, [0, 2]].tolist() == [0, 0]
    torch.testing.assert_close(found[0, [1, 3]], scores[0, [1, 3]].softmax(-1))
    assert found[1].tolist() == [0, 0, 1, 0]
    assert sorted(found[2].tolist()) == [0, 0, 0.5, 0.5]
    torch.testing.assert_close(sparse_log_softmax(scores, 9), scores.log_softmax(-1))


@pytest.mark.parametrize("sparsity", [*THRESHOLDS, 3])
def test_gradients_of_first_and_second_order_are_finite_differences(sparsity: Threshold | int) -> None:
    scores = random_scores(6, 7, 1.0).requires_grad_()
    sizes = (sparse_log_softmax(scores, sparsity) > NONE).sum(-1)
    assert 1 < int(sizes.max()) < 7  # otherwise there is nothing to check

    def probabilities(scores: Tensor) -> Tensor:
        return sparse_log_softmax(scores, sparsity).exp()

    assert gradcheck(probabilities, scores)
    assert gradgradcheck(probabilities, scores)


@every_threshold
def test_the_jacobian_is_that_of_the_paper(sparsity: Threshold) -> None:
    """diag(s) - s s^T / sum s, with s = p^(2 - alpha) on the support: Peters et al. (2019), proposition 1."""
    scores = random_scores(1, 9, 0.7)[0]
    scores[3] = NONE

    def probabilities(scores: Tensor) -> Tensor:
        return sparse_log_softmax(scores, sparsity).exp()

    p = probabilities(scores)
    s = (p > 0).to(p) if sparsity == "sparsemax" else p.sqrt()
    found = torch.autograd.functional.jacobian(probabilities, scores)
    assert (found[p == 0] == 0).all()
    assert (found[:, p == 0] == 0).all()
    torch.testing.assert_close(found, s.diag() - s.outer(s) / s.sum(), rtol=0, atol=1e-12)


@every_threshold
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", [0.0, 1e-6, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("S", [1, 2, 40, 3000])
def test_the_support_is_never_empty(sparsity: Threshold, dtype: torch.dtype, S: int, spread: float) -> None:
    scores = random_scores(40, S, spread).to(dtype).requires_grad_()
    log_p = sparse_log_softmax(scores, sparsity)
    best = scores.argmax(-1, keepdim=True)
    assert (log_p.gather(-1, best) == log_p.amax(-1, keepdim=True)).all()
    assert (log_p.amax(-1) >= -torch.tensor(float(S), dtype=dtype).log() - 1e-3).all()
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(40, dtype=dtype), rtol=0, atol=1e-5)
    (gradient,) = torch.autograd.grad(log_p.exp().square().sum(), scores)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("sparsity", [*THRESHOLDS, 1, 2])
def test_impossible_scores_stay_impossible_and_have_no_gradient(sparsity: Threshold | int) -> None:
    scores = torch.tensor([[NONE, 0.1, NONE, 0.2], [NONE, NONE, NONE, -5.0]], requires_grad=True)
    log_p = sparse_log_softmax(scores, sparsity)
    assert (log_p[scores == NONE] == NONE).all()
    assert log_p[1, 3] == 0
    (gradient,) = torch.autograd.grad((log_p.exp() * torch.arange(4)).sum(), scores)
    assert gradient.isfinite().all()
    assert (gradient[scores == NONE] == 0).all()


@pytest.mark.parametrize("sparsity", [*THRESHOLDS, 2])
def test_what_has_no_softmax_has_no_sparse_one(sparsity: Threshold | int) -> None:
    scores = torch.tensor([[NONE, NONE, NONE], [0.0, torch.nan, 1.0], [0.0, 1.0, 3.0]])
    log_p = sparse_log_softmax(scores, sparsity)
    assert log_p.isnan().all(-1).tolist()[0]
    assert log_p.isnan().any(-1).tolist() == [True, True, False]


def test_half_precision_scores_give_single_precision() -> None:
    scores = random_scores(4, 9, 1.0).bfloat16()
    for sparsity in (*THRESHOLDS, 3):
        log_p = sparse_log_softmax(scores, sparsity)
        assert log_p.dtype == torch.float32
        torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(4), rtol=0, atol=1e-6)


@pytest.mark.parametrize("sparsity", ["softmax", 0, -1, 1.5, True])
def test_other_words_are_refused(sparsity: Threshold) -> None:
    with pytest.raises(ValueError, match="sparsity is 'sparsemax', 'entmax15' or a number of values, not"):
        sparse_log_softmax(torch.zeros(2, 3), sparsity)
