"""How far a guide is from the exact posterior, as sums say."""

import torch

from hardpp.diagnostics.guide_divergence import GuideDivergence
from hardpp.guides.prior import Prior
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from tests.decoding.tiny import tiny_model
from tests.diagnostics.test_alignment_posterior import batches


def test_it_is_the_difference_of_two_sums() -> None:
    model = tiny_model(sharpness=1.5)
    guide = Prior(model)
    (_, batch), *_ = batches()
    exact, divergence = GuideDivergence()(model, guide, batch)
    with torch.no_grad():
        log_p = ExactMarginal().estimate(model, guide, batch).bound
        elbo = EnumeratedELBO().estimate(model, guide, batch).bound
    assert torch.equal(exact, log_p)
    torch.testing.assert_close(divergence, log_p - elbo, rtol=0, atol=1e-12)
    assert divergence.min() > 1e-3  # the prior is not the posterior
