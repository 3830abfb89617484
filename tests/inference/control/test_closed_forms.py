"""Entropies and divergences of many distributions at once are those of each by itself."""

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor
from torch.distributions import kl_divergence

from hardpp.distributions.categorical import Categorical
from hardpp.inference.control import closed_forms
from hardpp.inference.control.closed_forms import divergences, entropies


def logits(*shape: int, seed: int, impossible: int | None = None) -> Tensor:
    found = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if impossible is not None:
        found[..., impossible] = -torch.inf
    return found


def some(seed: int) -> list[torch.distributions.Distribution]:
    """Shapes and kinds mixed up, impossible values at the same place for every seed."""
    return [
        Categorical(logits=logits(2, 3, 4, seed=seed)),
        dist.Normal(torch.tensor(0.5 * seed), 1.0),
        dist.Categorical(logits=logits(2, 3, 4, seed=seed + 10, impossible=1)),
        Categorical(logits=logits(3, 4, seed=seed + 20)),
        Categorical(logits=logits(2, 3, 4, seed=seed + 30, impossible=3).float()),
        dist.Categorical(logits=logits(2, 3, 4, seed=seed + 40)),
    ]


@pytest.mark.parametrize("most", [1, 50, 2**18])
def test_many_at_once_are_each_by_itself(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed_forms, "MOST", most)
    qs, ps = some(1), some(2)
    for q, p, entropy, kl in zip(
        qs, ps, entropies(qs), divergences(list(zip(qs, ps, strict=True))), strict=True
    ):
        torch.testing.assert_close(entropy, q.entropy(), rtol=1e-6, atol=1e-12)
        torch.testing.assert_close(kl, kl_divergence(q, p), rtol=1e-6, atol=1e-12)


def test_a_model_that_does_not_know_the_particles_is_broadcast() -> None:
    q, p = Categorical(logits=logits(5, 3, 4, seed=1)), Categorical(logits=logits(3, 4, seed=2))
    (found,) = divergences([(q, p)])
    torch.testing.assert_close(found, kl_divergence(q.expand((5, 3)), p.expand((5, 3))))


def test_values_of_probability_zero() -> None:
    full, part = logits(4, seed=1).log_softmax(-1), logits(4, seed=2, impossible=2).log_softmax(-1)
    q = part.exp()
    kept = [0, 1, 3]
    expected = (q[kept] * (part - full)[kept]).sum()
    torch.testing.assert_close(closed_forms.categorical_kl(part, full), expected)
    assert closed_forms.categorical_kl(full, part) == torch.inf
    torch.testing.assert_close(closed_forms.categorical_entropy(part), -(q[kept] * part[kept]).sum())


def test_what_has_no_closed_form_is_none() -> None:
    poisson, normal = dist.Poisson(torch.tensor(2.0)), dist.Normal(0.0, 1.0)
    assert entropies([poisson]) == [None]
    assert divergences([(poisson, normal), None]) == [None, None]
    assert entropies([]) == divergences([]) == []
