"""The program of images with codes against integrals over the code, and the sums that it stands for."""

from math import log

import pytest
import torch
from pyro import poutine
from torch import Tensor

from hardpp import sites
from hardpp.distributions.code_space import CodeSpace
from hardpp.guides.image_code import CodeOfImage, CodeOfPart
from hardpp.inference.importance_weighted import IWAE
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.weights.dreams import dream
from hardpp.models.image_vae import ImageVAE
from hardpp.nn.image_code import ImageDecoder, ImageEncoder
from hardpp.types import PartlySeenBatch

SIDE, PLANES = (6, 6), [3, 3]


def batch(count: int = 3) -> PartlySeenBatch:
    torch.manual_seed(1)
    pixels = torch.randint(256, (count, 1, *SIDE), dtype=torch.uint8)
    return PartlySeenBatch(pixels, torch.zeros(count, dtype=torch.int64), torch.rand(count, *SIDE) < 0.4)


def programs(features: int = 1, *, conditional: bool = False) -> tuple[ImageVAE, CodeOfImage]:
    torch.manual_seed(0)
    partial, whole = CodeSpace(features, 2), CodeSpace(features)
    decoder = ImageDecoder(features, 1, SIDE, PLANES, 5)
    with torch.no_grad():
        decoder.log_scale.fill_(4.0)
    prior = ImageEncoder(1, SIDE, PLANES, 5, partial.parameters, partly=True) if conditional else None
    encoder = ImageEncoder(1, SIDE, PLANES, 5, whole.parameters)
    return ImageVAE(partial, decoder, prior).eval(), CodeOfImage(whole, encoder).eval()


# log p(pixels), or given what was seen, by summing over a fine grid of codes of one feature.
def integral(model: ImageVAE, images: PartlySeenBatch) -> Tensor:
    code, step = torch.arange(-9, 9, 0.01).view(-1, 1, 1).expand(-1, images.size, 1), 0.01
    log_p = model.codes(images.source, images.seen).log_prob(code)
    log_p = log_p + model.pixels(code).log_prob(images.source).sum((-3, -2, -1))
    return log_p.logsumexp(0) + log(step)


@pytest.mark.parametrize("conditional", [False, True])
@torch.no_grad()
def test_bounds_approach_the_integral_over_codes(conditional: bool) -> None:
    (model, guide), images = programs(conditional=conditional), batch()
    exact = integral(model, images)
    torch.manual_seed(2)
    many = IWAE(6000).estimate(model, guide, images).bound
    torch.testing.assert_close(many, exact, atol=0.1, rtol=0)
    single = torch.stack([ScoreFunctionELBO(200).estimate(model, guide, images).bound for _ in range(3)])
    assert (single.mean(0) < exact + 0.1).all()


@pytest.mark.parametrize("conditional", [False, True])
@torch.no_grad()
def test_the_joint_is_the_sum_of_the_code_and_of_all_pixels(conditional: bool) -> None:
    (model, _), images = programs(4, conditional=conditional), batch()
    trace = poutine.trace(model).get_trace(images)
    code = trace.nodes[sites.CODE]["value"]
    loc, scale = model.decoder(code)
    log_p = model.codes(images.source, images.seen).log_prob(code).sum()
    for value in range(256):
        mask = images.source == value
        edge = torch.tensor(float("inf"))
        high = (value + 0.5 - loc) / scale if value < 255 else edge
        low = (value - 0.5 - loc) / scale if value > 0 else -edge
        share = torch.sigmoid(high.double()) - torch.sigmoid(low.double())
        log_p = log_p + share.log().expand(mask.shape)[mask].sum()
    assert float(trace.log_prob_sum()) == pytest.approx(float(log_p), rel=1e-5)


def test_codes_are_standard_normal_without_a_prior_and_see_only_a_part_with_one() -> None:
    (model, _), images = programs(2), batch()
    assert torch.equal(model.codes(images.source, images.seen).mean, torch.zeros(2))
    (model, _) = programs(2, conditional=True)
    other = images._replace(source=torch.where(images.seen.unsqueeze(1), images.source, 7))
    codes = [model.codes(each.source, images.seen).mean for each in (images, other)]
    assert torch.equal(*codes)
    assert not torch.equal(codes[0][0], codes[0][1])


def test_dreams_have_other_pixels_of_the_same_kind_seen_at_the_same_places() -> None:
    (model, _), images = programs(2), batch()
    dreamt = dream(model, (images,), {})
    (shown,) = dreamt.args
    assert (shown.source.shape, shown.source.dtype) == (images.source.shape, torch.uint8)
    assert not torch.equal(shown.source, images.source)
    assert shown.seen is images.seen
    assert dreamt.latents[sites.CODE].shape == (3, 2)


@torch.no_grad()
def test_a_guide_of_parts_has_the_codes_that_it_says() -> None:
    torch.manual_seed(0)
    space, images = CodeSpace(2, 3), batch()
    guide = CodeOfPart(space, ImageEncoder(1, SIDE, PLANES, 5, space.parameters, partly=True))
    trace = poutine.trace(guide).get_trace(images)
    expected = guide.codes(images.source, images.seen).log_prob(trace.nodes[sites.CODE]["value"]).sum()
    assert float(trace.log_prob_sum()) == pytest.approx(float(expected))
