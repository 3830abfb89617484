"""Orders of places that nothing has learnt, against loops over places and pixels."""

import itertools
import math
from typing import Any

import pytest
import torch
from saccaders import LABELS, bag, images

from hardpp.nn.place_scores import Central, OrderedLogits, Sobel
from hardpp.ops.receptive_field import ReceptiveField


@pytest.mark.parametrize("target", ["predicted", "label", "max"])
def test_ordered_logits_by_class(target: Any) -> None:
    network, batch = bag(), images(6, 9)
    logits = network(batch.source).logits
    scores = OrderedLogits(network, target)(batch.source, batch.target)
    assert scores.shape == (6, 9)
    assert not scores.requires_grad
    predicted = []
    for b in range(6):
        means = [sum(logits[b, a, v].item() for a in range(9)) for v in range(LABELS)]
        predicted.append(means.index(max(means)))
        of_class = {"predicted": predicted[b], "label": int(batch.target[b])}
        for a in range(9):
            row = logits[b, a].tolist()
            assert scores[b, a].item() == (max(row) if target == "max" else row[of_class[target]])
    assert predicted != batch.target.tolist()


def test_ordered_logits_leave_the_representation_as_it_was() -> None:
    network, batch = bag().train(), images(4, 9)
    network.head.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    scores = OrderedLogits(network)(batch.source, batch.target)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.trunk.training
    assert not network.head.training
    assert torch.equal(scores, OrderedLogits(network.eval())(batch.source, batch.target))


def test_the_nearest_to_the_centre_come_first_and_of_equals_the_earlier() -> None:
    for C in (1, 2, 3, 6, 7, 19):
        field = ReceptiveField(5, 2)
        pixels = torch.zeros(2, 1, 5 + 2 * (C - 1), 5 + 2 * (C - 1), dtype=torch.uint8)
        scores = Central(field)(pixels, torch.zeros(2))
        assert scores.shape == (2, C * C)

        def distance(place: int, side: int = C) -> float:
            # Of whole numbers, so that equals are equal.
            return (2 * (place // side) - side + 1) ** 2 + (2 * (place % side) - side + 1) ** 2

        expected = sorted(range(C * C), key=lambda place: (distance(place), place))
        for row in scores:
            assert row.argsort(descending=True).tolist() == expected


def test_the_centre_of_features_is_that_of_their_places() -> None:
    network, batch = bag(), images(2, 9)
    scores = Central(network.field)
    of_features = scores(network.features(batch.source), batch.target)
    assert torch.equal(of_features, scores(batch.source, batch.target))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("statistic", ["mean", "variance"])
def test_edges_in_windows(statistic: Any, channels: int) -> None:
    field, height, width = ReceptiveField(4, 3), 10, 13
    pixels = images(2, 13, channels).source[..., :height, :]
    scores = Sobel(field, statistic).double()(pixels, torch.zeros(2))
    grey = pixels.double().mean(1) / 255
    rows, columns = field.places(height), field.places(width)
    assert scores.shape == (2, rows * columns)

    def at(b: int, y: int, x: int) -> float:
        return grey[b, min(max(y, 0), height - 1), min(max(x, 0), width - 1)].item()

    def magnitude(b: int, y: int, x: int) -> float:
        across = down = 0.0
        for step, weight in ((-1, 1), (0, 2), (1, 1)):
            across += weight * (at(b, y + step, x + 1) - at(b, y + step, x - 1))
            down += weight * (at(b, y + 1, x + step) - at(b, y - 1, x + step))
        return math.hypot(across, down)

    for b, row, column in itertools.product(range(2), range(rows), range(columns)):
        values = [magnitude(b, 3 * row + y, 3 * column + x) for y in range(4) for x in range(4)]
        mean = sum(values) / 16
        expected = mean if statistic == "mean" else sum((value - mean) ** 2 for value in values) / 15
        assert scores[b, row * columns + column].item() == pytest.approx(expected, rel=1e-6)
