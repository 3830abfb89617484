"""The classifier of glimpses and its guide, against the same programs written out one glimpse at a time."""

from typing import Any

import glimpses
import pyro
import pytest
import torch
from glimpses import CORES, SPACES, classifier, guide_of, images, informed
from pyro import poutine
from torch import Tensor

from hardpp import sites
from hardpp.distributions.location_spaces import GridSpace
from hardpp.guides.prior import Prior
from hardpp.inference.weights.particles import particle_trace
from hardpp.models.glimpse_classifier import GlimpseClassifier
from hardpp.nn.recurrent import StepwiseRNN
from hardpp.ops.patches import Sensor

CLOSE = {"rtol": 0, "atol": 1e-12}


def at_locations(program: torch.nn.Module, batch: object, locations: Tensor) -> poutine.Trace:
    return poutine.trace(poutine.condition(program, {sites.LOCATION: locations})).get_trace(batch)


@pytest.mark.parametrize("options", [{}, {"context": True}, {"every_glimpse": True}, {"detached": True}])
@pytest.mark.parametrize("space", SPACES)
def test_every_glimpse_is_what_it_is_by_hand(space: str, options: dict[str, bool]) -> None:
    """Of model and guide, for particles drawn at random; in single windows and two."""
    batch, model = images(), classifier(SPACES[space], 3, **options)
    torch.manual_seed(0)
    locations = model.sample_locations(batch.source, 2)  # (K, B, G, *event)
    assert len(locations.unique(dim=0)) == 2
    for program in (model, informed(model)):
        trace = at_locations(program, batch, locations)
        found = trace.nodes[sites.LOCATION]["fn"].step_log_prob(locations)
        for k in range(2):
            for b in range(2):
                chosen, states = glimpses.by_hand(program, batch, b, locations[k, b])
                torch.testing.assert_close(found[k, b], chosen, **CLOSE)
                if program is model:
                    said = trace.nodes[sites.LABEL]["fn"].log_prob(batch.target)[k, b]
                    expected = glimpses.log_label(model, states, batch.target[b])
                    torch.testing.assert_close(said, expected, **CLOSE)
                    labels = model.labels(batch.source, locations)[k, b]
                    expected = model.readout(states).log_softmax(-1)
                    torch.testing.assert_close(labels, expected, **CLOSE)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("space", SPACES)
def test_the_loop_that_draws_and_the_pass_that_scores_agree(space: str, core: str) -> None:
    batch, model = images(3), classifier(SPACES[space], 4, core=core, context=True)
    torch.manual_seed(1)
    locations = model.sample_locations(batch.source, 5)
    reader = model.reader(batch.source)
    together = reader.parameters(locations)
    step = -1 - len(model.space.event_shape)
    state, last = reader.start(torch.Size([5, 3]), 4), None
    for t in range(4):
        alone, state = reader.step(state, last)
        torch.testing.assert_close(alone.expand(5, 3, -1), together[..., t, :], **CLOSE)
        last = locations.select(step, t)
    assert together.std((0, 1)).max() > 0.01  # parameters depend on what was seen


@pytest.mark.parametrize("guide", ["informed", "prior"])
@pytest.mark.parametrize("K", [1, 3])
def test_given_places_patches_are_cut_at_once_and_the_core_runs_once(
    guide: str, K: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, model = images(), classifier(glimpses=4)
    program = guide_of(guide, model)
    trace = particle_trace(program, K, 1, (batch,), {})
    cuts, runs = [], []
    cut = Sensor.of(Sensor(2), batch.source).__class__.cut
    monkeypatch.setattr("hardpp.ops.patches.Sight.cut", lambda *args: (cuts.append(args), cut(*args))[1])
    model.core.register_forward_hook(lambda *_: runs.append(1))
    replayed = particle_trace(poutine.replay(model, trace=trace), K, 1, (batch,), {})
    replayed.compute_log_prob()
    assert (len(cuts), len(runs)) == (1, 1)
    assert replayed.nodes[sites.LOCATION]["value"] is trace.nodes[sites.LOCATION]["value"]


def test_draws_follow_the_probabilities() -> None:
    """Of all sequences of two glimpses at four locations, each as often as it is probable."""
    batch, model = images(1), classifier(spread=1.0)
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = model.sample_locations(batch.source, 40_000)[:, 0]
        every = torch.cartesian_prod(torch.arange(4), torch.arange(4))
        fn = at_locations(model, batch, every.unsqueeze(1)).nodes[sites.LOCATION]["fn"]
        expected = fn.log_prob(every.unsqueeze(1)).exp().squeeze(-1)
    torch.testing.assert_close(expected.sum(), torch.ones_like(expected.sum()), **CLOSE)
    counted = torch.bincount(drawn[:, 0] * 4 + drawn[:, 1], minlength=16) / len(drawn)
    torch.testing.assert_close(counted.double(), expected, rtol=0, atol=0.012)


def test_model_and_guide_have_the_same_latent() -> None:
    batch, model = images(), classifier()
    for guide in (informed(model), Prior(model)):
        trace = poutine.trace(guide).get_trace(batch)
        assert [name for name, site in trace.nodes.items() if name in (sites.LOCATION, sites.LABEL)] == [
            sites.LOCATION
        ]
        replayed = poutine.trace(poutine.replay(model, trace=trace)).get_trace(batch)
        one, other = (t.nodes[sites.LOCATION] for t in (trace, replayed))
        same = one["fn"].log_prob(one["value"]) == other["fn"].log_prob(other["value"])
        assert same.all() == isinstance(guide, Prior)


def test_the_guide_knows_the_label_and_the_model_does_not() -> None:
    batch, model = images(), classifier()
    other = batch._replace(target=(batch.target + 1) % glimpses.LABELS)
    locations = torch.tensor([[0, 1], [2, 3]])
    for program, knows in ((model, False), (informed(model), True)):
        one, two = (
            at_locations(program, b, locations).nodes[sites.LOCATION]["fn"].step_log_prob(locations)
            for b in (batch, other)
        )
        assert torch.equal(one, two) is not knows
        assert (one != two).all() or not knows  # from the first glimpse on


def test_the_classifier_sees_of_the_image_what_is_in_a_window() -> None:
    """Neither the rest of the image nor the context changes the label; the context changes locations."""
    batch, model = images(1), classifier(GridSpace(3), context=True, windows=1)
    locations = torch.tensor([[0, 8]])  # two opposite corners of a 6 by 6 image
    seen = model.sensor.coverage(model.space.locations(locations).centre, None, 6, 6)
    for inside in (False, True):
        pixels = torch.where(seen == inside, 255 - batch.source, batch.source)
        other = batch._replace(source=pixels)
        labels = [model.labels(b.source, locations) for b in (batch, other)]
        assert torch.equal(*labels) is not inside
        first = [model.reader(b.source).parameters(locations)[:, 0] for b in (batch, other)]
        assert not torch.equal(*first)


def test_labels_are_observed_after_every_glimpse_or_after_the_last() -> None:
    batch, locations = images(), torch.tensor([[0, 3, 1], [2, 2, 0]])
    for every in (False, True):
        model = classifier(glimpses=3, every_glimpse=every)
        site = at_locations(model, batch, locations).nodes[sites.LABEL]
        labels = model.labels(batch.source, locations)  # (B, G, V)
        each = labels.gather(-1, batch.target.reshape(2, 1, 1).expand(2, 3, 1)).squeeze(-1)
        expected = each.mean(-1) if every else each[:, -1]
        torch.testing.assert_close(site["fn"].log_prob(site["value"]), expected, **CLOSE)
    steps = site["fn"].step_log_prob(site["value"])
    torch.testing.assert_close(steps, each / 3, **CLOSE)
    total = labels.mean(-2).logsumexp(-1)  # the geometric mean sums to no more than one
    assert (total < 0).all()


def test_a_dreamt_label_is_drawn_from_the_normalised_mean() -> None:
    batch, model = images(1), classifier(glimpses=3, every_glimpse=True, spread=1.0)
    locations = torch.tensor([[0, 3, 1]])
    fn = at_locations(model, batch, locations).nodes[sites.LABEL]["fn"]
    torch.manual_seed(0)
    drawn = fn.sample((20_000,))
    assert drawn.shape == (20_000, 1)
    share = torch.bincount(drawn[:, 0], minlength=3) / len(drawn)
    expected = model.labels(batch.source, locations).mean(-2).softmax(-1).squeeze(0)
    torch.testing.assert_close(share.double(), expected.detach(), rtol=0, atol=0.015)


def test_single_precision_and_half_agree_with_double() -> None:
    batch, model = images(), classifier(GridSpace(3), 3).float()
    locations = torch.tensor([[0, 4, 8], [3, 3, 1]])
    with pyro.validation_enabled(False):
        exact = at_locations(classifier(GridSpace(3), 3), batch, locations).nodes[sites.LOCATION]["fn"]
        found = at_locations(model, batch, locations).nodes[sites.LOCATION]["fn"].step_log_prob(locations)
        torch.testing.assert_close(found.double(), exact.step_log_prob(locations), rtol=0, atol=1e-4)
        with torch.autocast("cpu", torch.bfloat16):
            half = at_locations(model, batch, locations).nodes[sites.LOCATION]["fn"].step_log_prob(locations)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, found, rtol=0, atol=0.2)


@pytest.mark.parametrize(("glimpses_", "scales"), [(0, 1), (2, 3)])
def test_impossible_programs(glimpses_: int, scales: int) -> None:
    model = classifier()
    with pytest.raises(ValueError, match="expected at least one glimpse and as many scales"):
        GlimpseClassifier(
            model.sensor, GridSpace(2, scales), model.network, StepwiseRNN(4, 4), model.head, model.readout,
            glimpses_,
        )  # fmt: skip


@pytest.mark.parametrize("guide", ["informed", "prior"])
@pytest.mark.parametrize("space", SPACES)
def test_what_is_drawn_and_then_scored_is_not_read_again(
    guide: str, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values and gradients are those of the same locations when they are given."""
    batch, model = images(), classifier(SPACES[space], glimpses=3, core="relu")
    program: Any = guide_of(guide, model)
    drawn = particle_trace(program, 2, 1, (batch,), {})
    runs = []
    (model if guide == "prior" else program).core.register_forward_hook(lambda *_: runs.append(1))
    drawn.compute_log_prob()
    assert runs == []
    given = particle_trace(poutine.replay(program, trace=drawn), 2, 1, (batch,), {})
    given.compute_log_prob()
    assert runs == [1]
    weight = torch.rand(2, batch.size)
    found = []
    for trace in (drawn, given):
        program.zero_grad()
        (trace.nodes[sites.LOCATION]["log_prob"] * weight).sum().backward()
        found.append([p.grad.clone() for p in program.parameters() if p.grad is not None])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_what_was_drawn_without_gradients_is_read_again_where_they_are_wanted() -> None:
    batch, model = images(), classifier(glimpses=2)
    policy = model.policy(batch.source)
    with torch.no_grad():
        locations = policy.sample((2,))
        without = model.said(policy, locations)
    with_gradient = model.said(policy, locations)
    assert with_gradient.requires_grad
    assert not without.requires_grad
    torch.testing.assert_close(with_gradient.detach(), without, **CLOSE)
