"""Guides draw the latents of their model, in its plates, and nothing else."""

import cases
import pytest
import torch
from pyro import poutine

from hardpp import sites
from hardpp.guides.prior import Prior
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.weights.sample_sites import sample_sites

CLOSE = {"rtol": 0, "atol": 1e-12}


@pytest.mark.parametrize("name", cases.ALIGNMENT_GUIDES)
def test_same_latents_in_the_same_plates(name: str, device: torch.device) -> None:
    model = cases.latent_alignment()
    guide = cases.ALIGNMENT_GUIDES[name](model).to(device)
    batch = cases.alignment_batch((3, 2), (2, 3), padded=(1, 1)).to(device)
    theirs = sample_sites(poutine.trace(model.to(device)).get_trace(batch))
    mine = sample_sites(poutine.trace(guide).get_trace(batch))
    assert list(mine) == [sites.ALIGNMENT]
    assert guide.max_plate_nesting == model.max_plate_nesting
    for part in ("cond_indep_stack", "scale"):
        assert str(mine[sites.ALIGNMENT][part]) == str(theirs[sites.ALIGNMENT][part])
    assert torch.equal(mine[sites.ALIGNMENT]["mask"], batch.target_mask)
    drawn = mine[sites.ALIGNMENT]["value"]
    assert (drawn < batch.source_mask.sum(-1).unsqueeze(-1)).all()


def test_the_prior_is_the_model_s() -> None:
    case = cases.alignment("prior")
    fns = [
        poutine.trace(p).get_trace(*case.args).nodes[sites.ALIGNMENT]["fn"] for p in (case.model, case.guide)
    ]
    torch.testing.assert_close(fns[0].logits, fns[1].logits, **CLOSE)
    assert not case.of_guide


def test_the_prior_of_any_program() -> None:
    case = cases.history(2)
    trace = poutine.trace(Prior(case.model)).get_trace(*case.args)
    assert list(sample_sites(trace)) == ["z_0", "z_1"]
    bound = EnumeratedELBO().estimate(case.model, Prior(case.model), *case.args).bound
    assert (bound < ExactMarginal().estimate(case.model, case.guide, *case.args).bound).all()


def test_the_variational_guide_reads_the_whole_target() -> None:
    model = cases.latent_alignment()
    guide = cases.stepwise_alignment(model)
    batch = cases.alignment_batch((3,), (3,))
    target = batch.target.clone()
    target[:, 2] = (target[:, 2] + 1) % 4
    before, after = (
        poutine.trace(guide).get_trace(b).nodes[sites.ALIGNMENT]["fn"].logits
        for b in (batch, batch._replace(target=target))
    )
    assert (before != after).any(-1).all()
