"""The set of visited places, hard and relaxed."""

import pytest
import torch
from torch import Tensor

from hardpp.ops.visited import barred, visit

A = 5
ALL = torch.arange(A)


def of(*places: int) -> Tensor:
    """The set of places, (A,) bool."""
    return (ALL.unsqueeze(-1) == torch.tensor(places or [A])).any(-1)


def weights(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_visits_are_the_union_of_what_was_visited() -> None:
    generator = torch.Generator().manual_seed(0)
    path = torch.randint(0, A, (4, 3, 2), generator=generator)  # 4 glimpses of any dims
    visited = None
    for g in range(4):
        visited = visit(visited, path[g], A)
        for i in range(3):
            for j in range(2):
                assert visited[i, j].nonzero().flatten().tolist() == sorted(set(path[: g + 1, i, j].tolist()))


def test_places_of_other_dims_broadcast() -> None:
    before = visit(None, torch.tensor([0, 1]), A)  # of two images
    after = visit(before, ALL.unsqueeze(-1), A)  # every value of the next one
    assert after.shape == (A, 2, A)
    for value in range(A):
        for image in range(2):
            assert torch.equal(after[value, image], of(image, value))


def test_what_is_visited_has_no_probability_and_the_rest_is_shared() -> None:
    scores = torch.randn(3, A, generator=torch.Generator().manual_seed(1)).double()
    visited = torch.stack([of(), of(2), of(0, 1, 3)])
    p = barred(scores, visited).softmax(-1)
    for row in range(3):
        left = [place for place in range(A) if not visited[row, place]]
        total = sum(float(scores[row, place].exp()) for place in left)
        expected = [float(scores[row, place].exp()) / total if place in left else 0 for place in range(A)]
        assert p[row].tolist() == pytest.approx(expected, rel=1e-12, abs=0)
    assert barred(scores, None) is scores


def test_half_a_visit_halves_the_odds() -> None:
    scores = torch.randn(A, generator=torch.Generator().manual_seed(2)).double()
    visited = weights(0, 0.5, 0.25, 0, 1)
    share = scores.exp() * (1 - visited)
    p = barred(scores, visited).softmax(-1)
    odds = float(scores[4].exp() / share.sum())  # for the place that was visited whole
    torch.testing.assert_close(p, share / share.sum(), rtol=0, atol=1e-6 * odds)
    assert 0 < p[4] <= 1e-6 * odds


def test_relaxed_visits_add_up_to_one_at_most() -> None:
    first, second = weights(0.5, 0.5, 0, 0, 0), weights(0.75, 0, 0.25, 0, 0)
    assert visit(None, first, A).tolist() == first.tolist()
    assert visit(first, second, A).tolist() == [1, 0.5, 0.25, 0, 0]
    assert visit(of(1), second, A).tolist() == [0.75, 1, 0.25, 0, 0]
    assert visit(second, torch.tensor(2), A).tolist() == [0.75, 0, 1, 0, 0]


def test_weights_all_at_one_place_visit_it() -> None:
    one_hot = torch.nn.functional.one_hot(torch.tensor([3, 1]), A).double()
    assert torch.equal(visit(None, one_hot, A).bool(), visit(None, torch.tensor([3, 1]), A))
    again = visit(visit(None, one_hot, A), one_hot, A)
    assert torch.equal(again, one_hot)


@pytest.mark.parametrize("amount", [0.0, 1e-9, 0.5, 1 - 1e-7, 1.0, 1.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_wherever_relaxed_latents_are(amount: float, dtype: torch.dtype) -> None:
    visited = torch.full((A,), amount, dtype=dtype, requires_grad=True)
    scores = torch.zeros(A, dtype=dtype, requires_grad=True)
    value = (barred(scores, visited).softmax(-1) * torch.arange(A)).sum()
    for gradient in torch.autograd.grad(value, [visited, scores]):
        assert gradient.isfinite().all()
    place = torch.full((A,), amount, dtype=dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad(barred(scores, visit(None, place, A)).sum(), place)
    assert gradient.isfinite().all()
    assert (gradient != 0).all() or amount >= 1 - 1e-6
