"""Guides over places: the walks that they make, and how likely.

Shapes: C walks, B images, G glimpses.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pyro
import pytest
import torch
from oracles import flat_gradient
from programs.program import Given
from pyro import poutine
from saccaders import images, label_aware, saccader
from torch import Tensor, nn

from hardpp import sites
from hardpp.decoding.saccades import fixed, saccades
from hardpp.guides.places import RankedPlaces, UniformPlaces
from hardpp.inference import Imitation, ScoreFunctionELBO
from hardpp.nn.place_attention import PlaceAttention
from hardpp.nn.place_scores import OrderedLogits
from hardpp.types import ImageBatch

CLOSE = {"rtol": 0, "atol": 1e-9}


class Given2x2(nn.Module):
    """Scores by hand."""

    def forward(self, pixels: Tensor, labels: Tensor) -> Tensor:
        return torch.tensor([[0.1, 3.0, -1.0, 2.0], [5.0, 4.0, 4.5, 6.0]], dtype=torch.float64)


def log_q(guide: Callable[..., Any], batch: ImageBatch, walks: Tensor) -> Tensor:
    """Of walks (C, G), (C, B)."""
    values = {sites.glimpse(g + 1): walks[:, g, None] for g in range(walks.shape[1])}
    with Given(values), pyro.plate("walks", len(walks), dim=-2):
        trace = poutine.trace(guide).get_trace(batch)
    trace.compute_log_prob()
    terms = [trace.nodes[name]["log_prob"].expand(len(walks), batch.size) for name in values]
    return torch.stack(terms).sum(0)


def every(places: int, glimpses: int) -> Tensor:
    return torch.tensor(list(itertools.permutations(range(places), glimpses)))


def test_ranked_places_are_those_of_the_largest_scores_in_order() -> None:
    guide, batch = RankedPlaces(Given2x2(), 3), images(2)
    assert torch.stack(guide(batch), -1).tolist() == [[1, 3, 0], [3, 0, 2]]
    with pyro.plate("particles", 5, dim=-2):
        chosen = torch.stack(guide(batch), -1)
    assert chosen.expand(5, 2, 3)[4].tolist() == [[1, 3, 0], [3, 0, 2]]
    found = log_q(guide, batch, every(4, 3))
    for c, walk in enumerate(every(4, 3).tolist()):
        expected = [0.0 if walk == order else -math.inf for order in ([1, 3, 0], [3, 0, 2])]
        assert found[c].tolist() == expected


@pytest.mark.parametrize("target", ["predicted", "label", "max"])
def test_ordered_logits_are_walked_from_the_largest_on(target: Any) -> None:
    model, batch = saccader(9), images(4, 9)
    scores = OrderedLogits(model.representation, target)
    walked = torch.stack(RankedPlaces(scores, 9)(batch), -1)
    for b, row in enumerate(scores(batch.source, batch.target).tolist()):
        assert walked[b].tolist() == sorted(range(9), key=lambda place: -row[place])


@pytest.mark.parametrize("glimpses", [1, 3, 4])
def test_places_at_random_are_as_likely_as_each_other(glimpses: int) -> None:
    batch = images(2)
    guide = UniformPlaces(4, glimpses)
    walks = every(4, glimpses)
    expected = torch.full((len(walks), 2), -math.log(math.perm(4, glimpses)))
    torch.testing.assert_close(log_q(guide, batch, walks), expected, rtol=0, atol=1e-6)
    with pyro.plate("particles", 200, dim=-2):
        chosen = torch.stack(guide(batch), -1)
    assert all(len(set(walk)) == glimpses for walk in chosen.flatten(0, 1).tolist())


def test_the_guide_that_knows_the_label_is_normalised_over_walks_and_its_formula() -> None:
    model, batch = saccader(2), images(2)
    guide = label_aware(model)
    guide.gain.data.fill_(0.7)
    walks = every(4, 2)
    found = log_q(guide, batch, walks)
    torch.testing.assert_close(found.exp().sum(0), torch.ones(2, dtype=torch.float64), **CLOSE)
    places = model.representation(batch.source)
    memory = guide.attention.memory(places.features, places.what)
    for b in range(2):
        label = int(batch.target[b])
        known = memory[b] + guide.embedding.weight[label]
        right = places.logits[b].log_softmax(-1)[:, label]
        for c, (first, second) in enumerate(walks.tolist()):
            total = 0.0
            visited = torch.zeros(1, 4, dtype=torch.bool)
            for place in (first, second):
                scores = guide.attention(known.unsqueeze(0), visited)[0] + 0.7 * right
                total += scores.log_softmax(-1)[place].item()
                visited[0, place] = True
            assert found[c, b].item() == pytest.approx(total, abs=1e-9)


def test_another_label_is_looked_for_elsewhere() -> None:
    model, batch = saccader(2), images(1)
    guide = label_aware(model)
    one, other = (log_q(guide, batch._replace(target=torch.tensor([label])), every(4, 2)) for label in (0, 1))
    assert (one - other).abs().max() > 0.1


@pytest.mark.parametrize("training", [True, False])
def test_the_guide_leaves_the_representation_as_it_was(training: bool) -> None:
    model, batch = saccader(2), images(4)
    guide = label_aware(model)
    network = model.representation.train(training)
    network.trunk[1].eval()  # a part that is otherwise than the whole
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    guide(batch)
    assert [module.training for module in network.modules()] == modes
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    value = log_q(guide, batch, every(4, 2)).sum()
    assert (flat_gradient(value, list(network.parameters())) == 0).all()
    own = [p for name, p in guide.named_parameters() if not name.startswith("representation.")]
    for parameter in own:
        assert flat_gradient(value, [parameter]).abs().max() > 0


def test_the_guide_trains_beside_the_model_without_moving_its_statistics_twice() -> None:
    """In training mode the model's run moves them once, the guide's not at all."""
    moved = []
    for with_guide in (True, False):
        model, batch = saccader(2), images(4)
        guide: Any = label_aware(model)
        model.train()
        if with_guide:
            ScoreFunctionELBO(max_plate_nesting=1).differentiable_loss(model, guide, batch)
        else:
            model(batch)
        moved.append(model.representation.trunk[1].running_mean.clone())
    assert torch.equal(*moved)


def test_imitation_learns_the_order_of_the_logits() -> None:
    """On few images, to convergence: the greedy walk is the ordered logits, whole or stopped earlier."""
    torch.manual_seed(0)
    model, batch = saccader(5), images(4, 9, seed=3)
    network = model.representation.requires_grad_(False)
    model.attention = PlaceAttention(network.channels, network.head_channels).double()
    lesson = RankedPlaces(OrderedLogits(network), 5)
    optimiser = torch.optim.Adam(model.attention.parameters(), lr=0.02)
    loss = Imitation(max_plate_nesting=1)(model, lesson)
    for _ in range(200):
        optimiser.zero_grad()
        value = loss(batch)
        value.backward()
        optimiser.step()
    assert float(value.detach()) / batch.size < 5 * 0.2  # nats a walk of five places
    with torch.no_grad():
        view = model.view(batch.source)
        walked = saccades(lambda visited: model.attention(view.memory, visited), 5)
        order = saccades(fixed(OrderedLogits(network)(batch.source, batch.target)), 5)
    assert torch.equal(walked, order)
    assert len(order.unique(dim=0)) > 1
