"""Our Categorical beside Pyro's."""

import pyro
import pyro.distributions as dist
import pytest
import torch

from hardpp.distributions.categorical import Categorical, inverse_distribution

LOGITS = torch.randn(4, 1, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def logits() -> torch.Tensor:
    out = LOGITS.clone()
    out[1, 0, 3] = -torch.inf
    return out.requires_grad_()


@pytest.mark.parametrize("shape", [(), (1,), (4, 1), (4, 3), (2, 4, 3)])
@pytest.mark.parametrize("validate", [True, False])
def test_it_is_the_same_distribution(shape: tuple[int, ...], validate: bool) -> None:
    value = torch.randint(0, 3, shape, generator=torch.Generator().manual_seed(1))
    found = []
    for kind in (Categorical, dist.Categorical):
        leaf = logits()
        fn = kind(logits=leaf, validate_args=validate)
        total = fn.log_prob(value).sum() + fn.expand((2, 4, 3)).log_prob(value).sum()
        found.append((fn.log_prob(value), torch.autograd.grad(total, leaf)[0], fn.probs, fn.entropy()))
        assert (fn.batch_shape, fn.event_shape) == ((4, 1), ())
    for ours, pyros in zip(*found, strict=True):
        torch.testing.assert_close(ours, pyros, rtol=0, atol=1e-12)
        assert ours.isfinite().all() or ours is found[0][0]


def test_enumeration() -> None:
    ours, theirs = Categorical(logits()), dist.Categorical(logits=logits())
    for expand in (True, False):
        values = ours.enumerate_support(expand=expand)
        assert torch.equal(values, theirs.enumerate_support(expand=expand))
        torch.testing.assert_close(
            ours.log_prob(values), theirs.log_prob(theirs.enumerate_support(expand=expand))
        )


def test_draws() -> None:
    fn = Categorical(logits())
    with pyro.plate("K", 1000, dim=-3):
        drawn = pyro.sample("z", fn.expand((1000, 4, 1)))
    assert not (drawn[:, 1] == 3).any()
    assert drawn.unique().tolist() == [0, 1, 2, 3, 4]
    assert drawn.dtype == torch.int64


def test_draws_have_the_probabilities() -> None:
    """Each of 20 frequencies within 5 standard errors: a false alarm in 1 of 80,000 seeds."""
    torch.manual_seed(0)
    fn, N = Categorical(logits()), 40_000
    found = torch.nn.functional.one_hot(fn.sample((N,)), 5).double().mean(0)
    probs = fn.probs.detach()
    error = (probs * (1 - probs) / N).sqrt()
    assert ((found - probs).abs() <= 5 * error).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ends_of_the_unit_interval(dtype: torch.dtype) -> None:
    """Impossible values stand first, in the middle and last."""
    none = -torch.inf
    table = torch.tensor([[none, 0.3, none, 1.0, none], [0.1, none, none, none, none]], dtype=dtype)
    ends = torch.tensor([[0.0], [1 - 2.0**-53]], dtype=torch.float64)
    drawn = inverse_distribution(table.log_softmax(-1), ends.expand(2, 2))
    assert drawn.tolist() == [[1, 0], [3, 0]]
    many = inverse_distribution(torch.randn(1000, 7, dtype=dtype).log_softmax(-1), ends.expand(2, 1000))
    assert (many[0] == 0).all()
    assert (many[1] == 6).all()


def test_the_shape_that_is_there_costs_nothing() -> None:
    fn = Categorical(logits())
    assert fn.expand((4, 1)) is fn
    assert isinstance(fn.expand((4, 3)), Categorical)


def test_half_precision_logits_give_single_precision_log_probabilities() -> None:
    fn = Categorical(logits().bfloat16())
    assert fn.log_prob(torch.tensor(0)).dtype == torch.float32
    torch.testing.assert_close(fn.probs.sum(-1), torch.ones(4, 1), rtol=0, atol=1e-6)


def test_bad_logits() -> None:
    with pytest.raises(ValueError, match="got a scalar"):
        Categorical(torch.tensor(0.0))
    with pytest.raises(ValueError, match="logits"):
        Categorical(torch.tensor([0.0, torch.nan]), validate_args=True)
