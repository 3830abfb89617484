"""A learnt sampler of completions against the exact posterior of a linear model with normal noise.

    code ~ Normal(0, I),   pixels ~ Normal(W code + b, s)

so that the code given any seen pixels S is normal, with precision I + W_S' W_S / s^2.
"""

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp.design.learned_completion import LearnedCompletion
from hardpp.inference.imitation import Imitation
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.wake_sleep import ReweightedWakeSleep
from hardpp.types import PartlySeenBatch

SIDE, NOISE = 2, 12.0  # pixels, grey values
WEIGHT = torch.tensor([[20.0], [-15.0], [4.0], [9.0]])  # of one feature
OFFSET = torch.tensor([100.0, 120.0, 140.0, 130.0])


def pixels_of(code: Tensor) -> Any:
    """The pixels (..., 1, 2, 2) of codes (..., 1)."""
    loc = code @ WEIGHT.T + OFFSET
    return dist.Normal(loc.unflatten(-1, (1, SIDE, SIDE)), NOISE)


def posterior(pixels: Tensor, seen: Tensor, wider: float = 1.0) -> Any:
    """The exact distribution of codes (B, 1) of pixels (B, 1, 2, 2) seen at (B, 2, 2)."""
    shown = seen.flatten(-2).to(torch.float32)
    apart = (pixels.flatten(-3).to(torch.float32) - OFFSET) * shown
    precision = 1 + (shown * WEIGHT[:, 0] ** 2).sum(-1, keepdim=True) / NOISE**2
    mean = (apart @ WEIGHT) / NOISE**2 / precision
    return dist.Normal(mean, wider * precision.rsqrt()).to_event(1)


class Model(PyroModule):
    max_plate_nesting = 1

    def forward(self, batch: PartlySeenBatch) -> None:
        with pyro.plate("images", batch.size, dim=-1):
            code = pyro.sample("code", dist.Normal(torch.zeros(1), 1.0).to_event(1))
            pyro.sample("pixels", pixels_of(code).to_event(3), obs=batch.source)


class OfWhole(PyroModule):
    """The exact guide of whole images."""

    max_plate_nesting = 1

    def forward(self, batch: PartlySeenBatch) -> None:
        with pyro.plate("images", batch.size, dim=-1):
            pyro.sample("code", posterior(batch.source, torch.ones_like(batch.seen)))


class OfPart(PyroModule):
    """A line for each of the 16 sets of seen pixels: has the exact posterior, if it is taught that."""

    max_plate_nesting = 1

    def __init__(self) -> None:
        super().__init__()
        self.lines = nn.Parameter(torch.zeros(16, 6))  # four slopes, constant, log deviation

    def codes(self, pixels: Tensor, seen: Tensor) -> Any:
        shown = seen.flatten(-2)
        line = self.lines[(shown * torch.tensor([1, 2, 4, 8])).sum(-1)]
        unit = (pixels.flatten(-3).to(torch.float32) - OFFSET) / 20 * shown
        mean = (line[..., :4] * unit).sum(-1, keepdim=True) + line[..., 4:5]
        return dist.Normal(mean, line[..., 5:].exp()).to_event(1)

    def forward(self, batch: PartlySeenBatch) -> None:
        with pyro.plate("images", batch.size, dim=-1):
            pyro.sample("code", self.codes(batch.source, batch.seen))


def images(count: int) -> PartlySeenBatch:
    pixels = pixels_of(torch.randn(count, 1)).sample()
    return PartlySeenBatch(pixels, torch.zeros(count), torch.rand(count, SIDE, SIDE) < 0.5)


def sleep(part: nn.Module) -> tuple[SurrogateObjective, nn.Module, nn.Module]:
    return ReweightedWakeSleep(2, insomnia=0.0, control_variates=False), Model(), part


def imitate(part: nn.Module) -> tuple[SurrogateObjective, nn.Module, nn.Module]:
    return Imitation(1), part, OfWhole()


@pytest.mark.parametrize("method", [sleep, imitate])
def test_dreams_and_data_both_teach_the_exact_posterior_of_every_part(method: Any) -> None:
    torch.manual_seed(0)
    part = OfPart()
    objective, *programs = method(part)
    module = objective(*programs)
    optimiser = torch.optim.Adam(part.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 200)
    for _ in range(200):
        optimiser.zero_grad()
        (module(images(4000)) / 4000).backward()
        optimiser.step()
        schedule.step()
    batch = images(2000)
    with torch.no_grad():
        learnt, exact = part.codes(batch.source, batch.seen), posterior(batch.source, batch.seen)
    nothing = ~batch.seen.flatten(1).any(-1)
    assert nothing.any()
    torch.testing.assert_close(learnt.base_dist.scale, exact.base_dist.scale, atol=0.02, rtol=0)
    assert float((learnt.mean - exact.mean).square().mean().sqrt()) < 0.02
    torch.testing.assert_close(learnt.mean[nothing], torch.zeros(int(nothing.sum()), 1), atol=0.03, rtol=0)


def prior(code: Tensor) -> Tensor:
    return dist.Normal(0.0, 1.0).log_prob(code).sum(-1)


IMAGE = torch.tensor([[[131, 90], [146, 142]]], dtype=torch.uint8)
SEEN = torch.tensor([[True, False], [False, True]])


def test_draws_of_the_exact_posterior_all_weigh_the_same() -> None:
    found = LearnedCompletion(posterior, pixels_of, 50, prior).complete(IMAGE, SEEN, seed=0)
    # log p(seen): of a normal vector with the covariance W W' + s^2 I
    covariance = (WEIGHT @ WEIGHT.T + NOISE**2 * torch.eye(4))[SEEN.flatten()][:, SEEN.flatten()]
    seen = dist.MultivariateNormal(OFFSET[SEEN.flatten()], covariance)
    expected = seen.log_prob(IMAGE.flatten()[SEEN.flatten()].float())
    torch.testing.assert_close(found.log_weights, expected.double().expand(50), atol=1e-4, rtol=0)


def test_weights_mend_a_sampler_that_is_too_wide() -> None:
    def wide(pixels: Tensor, seen: Tensor) -> Any:
        return posterior(pixels, seen, wider=2.0)

    found = LearnedCompletion(wide, pixels_of, 20_000, prior).complete(IMAGE, SEEN, seed=0)
    drawn, weights = found.pixels.double().flatten(1), found.log_weights.softmax(0)
    exact = posterior(IMAGE.unsqueeze(0), SEEN.unsqueeze(0))
    code, deviation = float(exact.mean), float(exact.base_dist.scale)
    for pixel in (1, 2):  # that were not seen
        mean = (weights * drawn[:, pixel]).sum()
        spread = (weights * (drawn[:, pixel] - mean) ** 2).sum().sqrt()
        assert float(mean) == pytest.approx(code * float(WEIGHT[pixel]) + float(OFFSET[pixel]), abs=0.3)
        assert float(spread) == pytest.approx(deviation * abs(float(WEIGHT[pixel])), abs=0.3)
        assert float(drawn[:, pixel].std()) > 1.8 * float(spread)


@pytest.mark.parametrize("weighted", [False, True])
def test_completions_keep_what_was_seen_and_depend_on_nothing_else(weighted: bool) -> None:
    completion = LearnedCompletion(posterior, pixels_of, 9, prior if weighted else None)
    found = completion.complete(IMAGE, SEEN, seed=3)
    assert (found.pixels.shape, found.pixels.dtype) == ((9, 1, SIDE, SIDE), torch.uint8)
    assert (found.pixels[:, :, SEEN] == IMAGE[:, SEEN]).all()
    assert len(found.pixels[:, 0, 0, 1].unique()) > 1
    other = torch.where(SEEN, IMAGE, 255 - IMAGE)
    torch.rand(3)
    assert torch.equal(found.pixels, completion.complete(other, SEEN, 3).pixels)
    assert not torch.equal(found.pixels, completion.complete(IMAGE, SEEN, 4).pixels)
    if not weighted:
        assert (found.log_weights == 0).all()
    nothing = torch.zeros_like(SEEN)
    blank = [completion.complete(image, nothing, 3) for image in (IMAGE, 255 - IMAGE)]
    assert all(torch.equal(*parts) for parts in zip(*blank, strict=True))


def test_the_state_of_random_numbers_is_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    LearnedCompletion(posterior, pixels_of, 3).complete(IMAGE, SEEN, seed=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_where_nothing_was_seen_there_may_be_more() -> None:
    completion = LearnedCompletion(posterior, pixels_of, 3, first=7)
    nothing = torch.zeros_like(SEEN)
    assert len(completion.complete(IMAGE, nothing, seed=1).pixels) == 7
    assert len(completion.complete(IMAGE, SEEN, seed=1).log_weights) == 3


def test_no_draws_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 draw, got 0"):
        LearnedCompletion(posterior, pixels_of, 0)
