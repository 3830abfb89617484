"""Sites that are scored together have the log-probabilities and gradients that each has by itself."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine

from hardpp.distributions.categorical import Categorical
from hardpp.errors import UsageError
from hardpp.inference.importance_weighted import VIMCO
from hardpp.inference.weights.like_sites import cheap_categoricals, log_probs_together
from hardpp.inference.weights.sample_sites import sample_sites, site_log_prob

B, T, S, K = 3, 5, 4, 2


def chain(logits: torch.Tensor, masks: torch.Tensor | bool) -> None:
    with pyro.plate("data", B, dim=-1):
        for t in range(T):
            mask = masks[t] if isinstance(masks, torch.Tensor) else masks
            with poutine.mask(mask=mask):
                z = pyro.sample(f"z_{t}", dist.Categorical(logits=logits[t, :B]))
                pyro.sample(f"y_{t}", dist.Categorical(logits=logits[t][z]), obs=z)


@pytest.mark.parametrize("masked", [False, True])
def test_together_is_one_by_one(masked: bool) -> None:
    torch.manual_seed(0)
    logits = torch.randn(T, S, S, dtype=torch.float64)
    leaf = logits[:, :B].clone().requires_grad_()
    masks = torch.rand(T, B) < 0.6 if masked else True
    with cheap_categoricals():
        wide = torch.cat([leaf, logits[:, B:]], 1)
        trace = poutine.trace(chain).get_trace(wide, masks)
    sites = sample_sites(trace)
    together = log_probs_together(sites)
    assert together.keys() == sites.keys()
    weights = torch.randn(len(sites), B, dtype=torch.float64)
    alone = {name: site_log_prob(site) for name, site in sites.items()}
    found = []
    for terms in (together, alone):
        total = sum((w * terms[name]).sum() for w, name in zip(weights, sites, strict=True))
        found.append(torch.autograd.grad(total, leaf, retain_graph=True)[0])
    for name, term in alone.items():
        torch.testing.assert_close(together[name], term, rtol=0, atol=0)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-12)


def test_tables_that_particles_share_are_read_by_all() -> None:
    values = torch.randint(S, (T, K, B))
    tables = torch.randn(T, B, S)
    sites = {
        str(t): {"fn": Categorical(logits=tables[t]), "value": values[t], "mask": None} for t in range(T)
    }
    together = log_probs_together(sites)
    for name, site in sites.items():
        assert together[name].shape == (K, B)
        torch.testing.assert_close(together[name], site["fn"].log_prob(site["value"]), rtol=0, atol=0)


def test_few_and_unlike_sites_are_left_to_themselves() -> None:
    sites = {
        str(S): {"fn": Categorical(logits=torch.randn(B, S)), "value": torch.zeros(B), "mask": None}
        for S in range(2, 6)
    }
    assert log_probs_together(sites) == {}


def test_pyros_categorical_is_ours_within_programs_alone() -> None:
    logits = torch.randn(B, S)
    with cheap_categoricals():
        assert type(dist.Categorical(logits=logits)) is Categorical
        assert type(dist.Categorical(logits.softmax(-1))) is dist.Categorical
        with pytest.raises(ValueError, match="logits"):
            dist.Categorical()
    assert type(dist.Categorical(logits=logits)) is dist.Categorical


def test_a_value_that_does_not_exist_is_told_by_its_site() -> None:
    def model() -> None:
        with pyro.plate("data", B, dim=-1):
            for t in range(T):
                pyro.sample(f"z_{t}", dist.Categorical(logits=torch.zeros(B, S)))
                obs = torch.full((B,), S if t == 3 else 0)
                pyro.sample(f"y_{t}", dist.Categorical(logits=torch.zeros(B, S)), obs=obs)

    def guide() -> None:
        with pyro.plate("data", B, dim=-1):
            for t in range(T):
                pyro.sample(f"z_{t}", dist.Categorical(logits=torch.zeros(B, S)))

    with pyro.validation_enabled(False), pytest.raises(UsageError, match="y_3"):
        VIMCO(2).loss(model, guide)
