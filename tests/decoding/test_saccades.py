"""Walks of policies, and figures of where they went, one place and one pixel after the other."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from hardpp.decoding.saccades import (
    alikeness,
    centres,
    classified,
    diversity,
    fixed,
    running_logits,
    saccades,
)
from hardpp.ops.receptive_field import ReceptiveField

FIELD = ReceptiveField(5, 2)


def places(*shape: int, below: int = 9, seed: int = 0) -> Tensor:
    return torch.randint(below, shape, generator=torch.Generator().manual_seed(seed))


def test_the_best_place_each_time_that_was_not_visited() -> None:
    scores = torch.tensor([[1.0, 5, 3, 2], [4, 3, 2, 1]])
    assert saccades(fixed(scores), 4).tolist() == [[1, 2, 3, 0], [0, 1, 2, 3]]
    assert saccades(fixed(scores), 2).tolist() == [[1, 2], [0, 1]]


def test_a_policy_sees_what_was_visited() -> None:
    seen: list[Tensor | None] = []

    def policy(visited: Tensor | None) -> Tensor:
        seen.append(visited)
        return fixed(torch.tensor([[1.0, 5, 3, 2]]))(visited)

    saccades(policy, 3)
    assert seen[0] is None
    assert [each.nonzero()[:, 1].tolist() for each in seen[1:] if each is not None] == [[1], [1, 2]]


def test_places_are_drawn_as_often_as_they_are_likely() -> None:
    """Walks over three places; a right program fails for one seed in ten thousand."""
    N, scores = 20_000, torch.tensor([0.0, 1.0, -0.5])
    drawn = saccades(fixed(scores.expand(N, -1)), 3, draw=True)
    p = scores.exp().tolist()
    statistic = 0.0
    for walk in itertools.permutations(range(3)):
        expected, left = float(N), sum(p)
        for place in walk:
            expected *= p[place] / left
            left -= p[place]
        observed = int((drawn == torch.tensor(walk)).all(-1).sum())
        statistic += (observed - expected) ** 2 / expected
    tail = torch.special.gammaincc(torch.tensor(2.5), torch.tensor(statistic / 2))  # 5 degrees of freedom
    assert tail > 1e-4


def test_logits_are_means_so_far() -> None:
    logits = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    walk = places(2, 4)
    found = running_logits(logits, walk)
    for b, g, v in itertools.product(range(2), range(4), range(3)):
        mean = sum(logits[b, walk[b, i], v].item() for i in range(g + 1)) / (g + 1)
        assert found[b, g, v].item() == pytest.approx(mean, abs=1e-12)


def test_shares_of_pixels_are_counted() -> None:
    walk = places(3, 4)
    found = classified(FIELD, walk, 3, (10, 9))
    for b, g in itertools.product(range(3), range(4)):
        pixels = set()
        for place in walk[b, : g + 1].tolist():
            top, left = 2 * (place // 3), 2 * (place % 3)
            pixels |= {(y, x) for y in range(top, top + 5) for x in range(left, left + 5)}
        assert found[b, g].item() == pytest.approx(len(pixels) / 90, abs=1e-6)


def test_centres_are_the_middle_of_what_is_seen() -> None:
    walk = places(2, 3)
    found = centres(FIELD, walk, 3)
    for b, g in itertools.product(range(2), range(3)):
        rows, columns = FIELD.seen(walk[b, g : g + 1], 3, 9, 9).nonzero(as_tuple=True)
        middle = [(axis.min().item() + axis.max().item() + 1) / 2 for axis in (rows, columns)]
        assert found[b, g].tolist() == middle


@pytest.mark.parametrize("glimpses", [1, 2, 5])
def test_diversity_is_the_mean_distance_of_two(glimpses: int) -> None:
    centre = torch.rand(3, glimpses, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = diversity(centre)
    for b in range(3):
        points = centre[b].tolist()
        pairs = [math.dist(p, q) for p, q in itertools.combinations(points, 2)]
        expected = sum(pairs) / len(pairs) if pairs else 0.0
        assert found[b].item() == pytest.approx(expected, abs=1e-9)


def test_images_looked_at_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    centre = 20 * torch.rand(4, 3, 2, generator=generator, dtype=torch.float64)
    height, width = 12, 20
    vectors = [
        [x - m for point in row for x, m in zip(point, (6, 10), strict=True)] for row in centre.tolist()
    ]
    pairs = []
    for a, b in itertools.combinations(vectors, 2):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        pairs.append(abs(dot) / math.hypot(*a) / math.hypot(*b))
    assert alikeness(centre, (height, width)) == pytest.approx(sum(pairs) / len(pairs), abs=1e-9)
    assert alikeness(centre[:1].expand(3, -1, -1), (height, width)) == pytest.approx(1)
    assert math.isnan(alikeness(centre[:1], (height, width)))
