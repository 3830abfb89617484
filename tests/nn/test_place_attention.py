"""Scores of places, against loops over places and channels."""

import math

import pytest
import torch
from saccaders import randomised
from torch import Tensor, nn

from hardpp.decoding.saccades import saccades
from hardpp.nn.place_attention import PlaceAttention
from hardpp.ops.visited import visit

F, D, C = 8, 3, 3
A = C * C
ALMOST = 1 - 1e-6  # as much of a place as counts as visited by relaxed latents


@pytest.fixture
def attention() -> PlaceAttention:
    found: PlaceAttention = randomised(PlaceAttention(F, D), 1, spread=3.0)
    return found


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_softmax(scores: list[float]) -> list[float]:
    top = max(scores)
    shares = [math.exp(score - top) for score in scores]
    return [share / sum(shares) for share in shares]


def slow_scores(query: list[float], memory: list[list[float]], left: list[float]) -> list[float]:
    """Scores of the places of one image; `left` is how much of each was not visited."""
    bar = [math.log(share) if share > 0 else -math.inf for share in left]
    fit = [sum(w * m for w, m in zip(query, row, strict=True)) / math.sqrt(D) for row in memory]
    alpha = slow_softmax([u + b for u, b in zip(fit, bar, strict=True)])
    summary = [sum(alpha[a] * memory[a][d] for a in range(A)) for d in range(D)]
    beta = slow_softmax(summary)
    return [sum(beta[d] * memory[a][d] for d in range(D)) + bar[a] for a in range(A)]


@pytest.mark.parametrize("kind", ["none", "hard", "relaxed"])
def test_scores_are_those_of_loops_over_places_and_channels(attention: PlaceAttention, kind: str) -> None:
    memory, K = normal(2, A, D), 3
    visited = torch.rand(K, 2, A, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    hard = visited > 0.4
    given = {"none": None, "hard": hard, "relaxed": visited}[kind]
    found = attention(memory, given).expand(K, 2, A)
    for k in range(K):
        for b in range(2):
            left = {"none": torch.ones(A), "hard": 1 - hard[k, b].double(), "relaxed": 1 - visited[k, b]}
            expected = slow_scores(attention.query.tolist(), memory[b].tolist(), left[kind].tolist())
            assert found[k, b].tolist() == pytest.approx(expected, rel=1e-10, abs=1e-10)


def test_places_visited_have_no_probability_at_all(attention: PlaceAttention) -> None:
    visited = torch.rand(50, 2, A, generator=torch.Generator().manual_seed(3)) > 0.5
    visited[..., 4] = False
    p = attention(normal(2, A, D), visited).softmax(-1)
    assert (p[visited] == 0).all()
    assert (p[~visited] > 0).all()
    torch.testing.assert_close(p.sum(-1), torch.ones(50, 2, dtype=torch.float64), rtol=0, atol=1e-12)


def test_weights_all_at_one_place_count_as_much_as_the_place(attention: PlaceAttention) -> None:
    """All but a millionth, with which relaxed latents keep a gradient."""
    memory, place = normal(2, A, D), torch.tensor([7, 2])
    one_hot = torch.nn.functional.one_hot(place, A).double()
    relaxed = attention(memory, visit(None, one_hot, A))
    for b in range(2):
        left = [1 - ALMOST if a == place[b] else 1.0 for a in range(A)]
        expected = slow_scores(attention.query.tolist(), memory[b].tolist(), left)
        assert relaxed[b].tolist() == pytest.approx(expected, rel=1e-10, abs=1e-10)
    hard = attention(memory, visit(None, place, A))
    elsewhere = ~one_hot.bool()
    torch.testing.assert_close(relaxed[elsewhere], hard[elsewhere], rtol=0, atol=1e-4)


def test_no_place_twice_in_five_hundred_walks(attention: PlaceAttention) -> None:
    memory = normal(1, A, D).expand(500, -1, -1)
    places = saccades(lambda visited: attention(memory, visited), A, draw=True)
    assert torch.equal(places.sort(-1).values, torch.arange(A).expand(500, -1))
    assert len(places.unique(dim=0)) > 10


def test_the_memory_is_written_out_place_by_place(attention: PlaceAttention) -> None:
    features, what = normal(1, F, C, C, seed=4), normal(1, D, C, C, seed=5)

    def norm(layer: nn.BatchNorm2d, x: Tensor) -> Tensor:
        shown = (x - layer.running_mean) / (layer.running_var + 1e-5).sqrt()
        return (shown * layer.weight + layer.bias).relu()

    cells = {(y, x): features[0, :, y, x] for y in range(C) for x in range(C)}
    for narrow, norm_1, _, wide, norm_2, _ in attention.where:
        mixed = {at: norm(norm_1, narrow.weight[:, :, 0, 0] @ cell) for at, cell in cells.items()}
        cells = {}
        for y, x in mixed:
            total = torch.zeros(wide.weight.shape[0], dtype=torch.float64)
            for i in range(3):
                for j in range(3):
                    neighbour = mixed.get((y + 2 * (i - 1), x + 2 * (j - 1)))
                    if neighbour is not None:
                        total = total + wide.weight[:, :, i, j] @ neighbour
            cells[y, x] = norm(norm_2, total)
    found = attention.memory(features, what)
    for (y, x), where in cells.items():
        both = torch.cat([where, what[0, :, y, x]])
        expected = attention.mix.weight[:, :, 0, 0] @ both + attention.mix.bias
        torch.testing.assert_close(found[0, C * y + x], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("channels", "parameters", "statistics"),
    [(2048, 14_949_376, 6_144), (512, 935_680, 1_536), (256, 234_368, 768)],
)
def test_counts_as_published(channels: int, parameters: int, statistics: int) -> None:
    with torch.device("meta"):
        attention = PlaceAttention(channels, channels // 4)
    assert sum(each.numel() for each in attention.parameters()) == parameters
    running = [buffer.numel() for name, buffer in attention.named_buffers() if "running" in name]
    assert sum(running) == statistics


def test_gradients_are_finite_when_one_place_is_left(attention: PlaceAttention) -> None:
    memory = normal(1, A, D).requires_grad_()
    visited = torch.arange(A).unsqueeze(0) != 3
    scores = attention(memory, visited)
    assert (scores.log_softmax(-1)[0, 3]).item() == 0
    gradients = torch.autograd.grad(scores[0, 3], [memory, attention.query])
    assert all(each.isfinite().all() for each in gradients)
