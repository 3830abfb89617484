"""Truncated normals against integrals and scipy-free closed forms; spaces; glimpses as a distribution."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from glimpses import SPACES, classifier, images
from torch import Tensor

from hardpp import sites
from hardpp.distributions.glimpses import Glimpses
from hardpp.distributions.location_spaces import ContinuousSpace, GridSpace
from hardpp.distributions.truncated_normal import TruncatedNormal

CLOSE = {"rtol": 0, "atol": 1e-12}


@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0, 50.0])
@pytest.mark.parametrize("loc", [-1.0, -0.97, 0.0, 0.4])
def test_a_truncated_density_integrates_to_one(loc: float, scale: float) -> None:
    fn = TruncatedNormal(torch.tensor(loc, dtype=torch.float64), scale)
    middles = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 100_000 - 1
    total = fn.log_prob(middles).exp().sum() / 100_000
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-7)
    assert torch.equal(fn.log_prob(torch.tensor([-1.01, 1.5])), torch.full((2,), -torch.inf).double())


def test_inside_it_is_the_normal_density_over_its_mass() -> None:
    loc, value = torch.linspace(-1, 1, 5).double(), torch.linspace(-0.9, 0.8, 5).double()
    normal, one = torch.distributions.Normal(loc, 0.4), torch.ones(5).double()
    expected = normal.log_prob(value) - (normal.cdf(one) - normal.cdf(-one)).log()
    torch.testing.assert_close(TruncatedNormal(loc, 0.4).log_prob(value), expected, **CLOSE)


def test_the_mean_score_is_zero_and_that_of_a_clamped_normal_is_not() -> None:
    """E[d log p / d loc] = 0, without which score-function gradients are biased."""
    middles = (torch.arange(400_000, dtype=torch.float64) + 0.5) / 200_000 - 1

    def mean_score(log_density: Tensor, loc: Tensor) -> Tensor:
        mean = (log_density.detach().exp() * log_density).sum() / 200_000
        return torch.autograd.grad(mean, loc)[0]

    loc = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    assert mean_score(TruncatedNormal(loc, 0.3).log_prob(middles), loc).abs() < 1e-6
    assert mean_score(dist.Normal(loc, 0.3).log_prob(middles), loc).abs() > 0.5


def test_draws_are_in_the_interval_and_as_the_density_says() -> None:
    torch.manual_seed(0)
    fn = TruncatedNormal(torch.tensor([-1.0, 0.2, 0.95]), 0.3).expand((2, 3))
    drawn = fn.sample((20_000,))
    assert drawn.shape == (20_000, 2, 3)
    assert drawn.abs().max() <= 1
    for edge in (-0.8, 0.0, 0.7):
        middles = (torch.arange(20_000) + 0.5) / 10_000 - 1
        inside = middles[middles < edge].reshape(-1, 1, 1)
        expected = fn.log_prob(inside).exp().sum(0) / 10_000
        torch.testing.assert_close((drawn < edge).float().mean(0), expected, rtol=0, atol=0.015)


@pytest.mark.parametrize(("scale", "low"), [(0.0, -1.0), (1.0, 1.0)])
def test_impossible_intervals(scale: float, low: float) -> None:
    with pytest.raises(ValueError, match="expected low < high and scale > 0"):
        TruncatedNormal(torch.zeros(()), scale, low, 1.0)


def test_cells_are_numbered_row_by_row_and_scales_come_after() -> None:
    locations = GridSpace(2, scales=2).all_locations(torch.device("cpu"))
    assert locations is not None
    quarter = [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]
    assert locations.centre.tolist() == quarter * 2
    assert locations.scale is not None
    assert locations.scale.tolist() == [0] * 4 + [1] * 4
    assert ContinuousSpace().all_locations(torch.device("cpu")) is None


@pytest.mark.parametrize("name", SPACES)
def test_centre_and_scale_are_independent_given_the_parameters(name: str) -> None:
    space = SPACES[name]
    torch.manual_seed(0)
    fn = space.distribution(torch.randn(5, space.outputs, dtype=torch.float64))
    value = fn.sample((3,))
    assert value.shape == (3, 5, *space.event_shape)
    assert fn.expand((2, 3, 5)).sample().shape == (2, 3, 5, *space.event_shape)
    centre, scale, _ = space.locations(value)
    assert centre.shape == (3, 5, 2)
    assert centre.abs().max() <= 1
    assert (scale is None) == (space.scales == 1)
    if isinstance(space, GridSpace) and space.scales > 1:
        table = fn.probs.reshape(5, space.scales, -1)
        product = table.sum(1, keepdim=True) * table.sum(2, keepdim=True)
        torch.testing.assert_close(table, product, **CLOSE)


@pytest.mark.parametrize("name", SPACES)
def test_glimpses_take_particles_and_sample_shapes(name: str) -> None:
    batch, model = images(2), classifier(SPACES[name], 3)
    event = (3, *model.space.event_shape)
    fn = Glimpses(model.reader(batch.source), model.space, 3, 2)
    assert fn.event_shape == torch.Size(event)
    assert fn.sample((4,)).shape == (4, 2, *event)
    wide = fn.expand((5, 2))
    value = wide.sample()
    assert value.shape == (5, 2, *event)
    assert wide.log_prob(value).shape == (5, 2)
    assert wide.base_dist.log_prob(value).shape == (5, 2, 3)
    assert (wide.support.check(value)).all()
    with pyro.plate("outer", 4, dim=-2), pyro.plate("images", 2, dim=-1):
        assert pyro.sample(sites.LOCATION, fn).shape == (4, 2, *event)


def test_before_any_location_is_scored_a_glimpse_has_no_distribution_to_be_told() -> None:
    batch, model = images(2), classifier()
    fn = Glimpses(model.reader(batch.source), model.space, 2, 2)
    assert isinstance(fn.base_dist, dist.Unit)
    value = fn.sample()
    terms = fn.step_log_prob(value)
    torch.testing.assert_close(fn.base_dist.log_prob(value), terms, **CLOSE)
    assert isinstance(fn.expand((3, 2)).base_dist, dist.Unit)


def test_flatter_glimpses_have_no_gradient_and_are_flatter() -> None:
    batch, model = images(2), classifier(spread=3.0)
    fn = Glimpses(model.reader(batch.source), model.space, 2, 2)
    value = fn.sample((50,))
    flat = fn.flattened(lambda log_q: 0 * log_q)
    torch.testing.assert_close(
        flat.step_log_prob(value), torch.full((50, 2, 2), -4.0).double().abs().log().neg(), **CLOSE
    )
    assert fn.step_log_prob(value).requires_grad
    assert not flat.step_log_prob(value).requires_grad


def test_without_revisits_every_choice_is_among_what_is_left() -> None:
    """Of all pairs and triples of locations: none twice, and their probabilities sum to one."""
    batch, model = images(2), classifier(spread=3.0)
    fn = Glimpses(model.reader(batch.source), model.space, 3, 2, revisits=False)
    A = model.space.actions
    every = torch.cartesian_prod(*[torch.arange(A)] * 3).unsqueeze(1).expand(-1, 2, -1)  # (A^3, B, G)
    log_prob = fn.log_prob(every).detach()
    again = torch.tensor([len(set(row)) < 3 for row in every[:, 0].tolist()])
    assert (log_prob[again] == -torch.inf).all()
    assert (log_prob[~again] > -torch.inf).all()
    torch.testing.assert_close(log_prob.exp().sum(0), torch.ones(2).double(), **CLOSE)
    # Given the others, what is left keeps its odds.
    free = Glimpses(model.reader(batch.source), model.space, 3, 2)
    fn.step_log_prob(every)
    free.step_log_prob(every)
    left = fn.base_dist.logits > -torch.inf
    odds = (fn.base_dist.logits - free.base_dist.logits).masked_fill(~left, 0.0)
    some = odds.abs().amax(-1, keepdim=True)
    torch.testing.assert_close(odds[left], some.expand_as(odds)[left], **CLOSE)
    torch.manual_seed(0)
    value = fn.sample((200,))
    assert all(len(set(row)) == 3 for row in value.flatten(0, 1).tolist())
    drawn = torch.stack([value[..., 0] == a for a in range(A)], -1).double().mean(0)
    assert (drawn - fn.base_dist.probs[0, :, 0]).abs().max() < 0.12  # 3.4 standard errors at least


def test_revisits_that_are_barred_need_enough_locations() -> None:
    batch, model = images(2), classifier()
    with pytest.raises(ValueError, match="cannot be at different ones of"):
        Glimpses(model.reader(batch.source), model.space, model.space.actions + 1, 2, revisits=False)
