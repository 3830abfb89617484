"""Most values have a probability of zero; nothing that takes a Categorical minds."""

from typing import Any

import pyro
import pytest
import torch
from pyro import poutine
from torch import Tensor

from hardpp.distributions import Categorical, SparseCategorical, StepIndependent
from hardpp.inference.control.closed_forms import divergences, entropies
from hardpp.inference.sums.likeliest_values import LikeliestValues
from hardpp.inference.weights.proposals import Proposal, flattened
from hardpp.ops.sparse_softmax import Sparsity

NONE = -torch.inf
SPARSITIES: list[Sparsity] = ["sparsemax", "entmax15", 2]

every_sparsity = pytest.mark.parametrize("sparsity", SPARSITIES)


def scores() -> Tensor:
    out = torch.randn(4, 1, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    out[1, 0, 3] = NONE
    return out.requires_grad_()


@every_sparsity
@pytest.mark.parametrize("validate", [True, False])
def test_it_is_a_categorical_with_a_support(sparsity: Sparsity, validate: bool) -> None:
    fn = SparseCategorical(scores(), sparsity, validate_args=validate)
    assert (fn.batch_shape, fn.event_shape) == ((4, 1), ())
    outside = fn.probs == 0
    assert outside.any(-1).all()
    assert not outside.all(-1).any()
    torch.testing.assert_close(fn.probs.sum(-1), torch.ones(4, 1).double(), rtol=0, atol=1e-14)
    values = fn.enumerate_support()
    assert values.shape == (6, 4, 1)
    torch.testing.assert_close(fn.log_prob(values).movedim(0, -1).exp(), fn.probs, rtol=0, atol=1e-14)
    assert ((fn.log_prob(values) == NONE).movedim(0, -1) == outside).all()
    assert fn.has_enumerate_support
    wide = fn.expand((3, 4, 2))
    assert isinstance(wide, SparseCategorical)
    assert torch.equal(wide.logits, fn.logits.expand(3, 4, 2, 6))
    assert torch.equal(wide.mask(torch.tensor(True)).log_prob(values[0]), wide.log_prob(values[0]))


@every_sparsity
def test_draws_stay_in_the_support_and_have_the_probabilities(sparsity: Sparsity) -> None:
    """Each of 24 frequencies within 5 standard errors: a false alarm in 1 of 70,000 seeds."""
    torch.manual_seed(0)
    fn, N = SparseCategorical(scores(), sparsity), 40_000
    with pyro.plate("K", N, dim=-3):
        drawn = pyro.sample("z", fn.expand((N, 4, 1)))
    found = torch.nn.functional.one_hot(drawn, 6).double().mean(0)
    probs = fn.probs.detach()
    assert (found[probs == 0] == 0).all()
    assert ((found - probs).abs() <= 5 * (probs * (1 - probs) / N).sqrt()).all()


@every_sparsity
def test_the_gradient_of_the_probabilities_is_that_of_the_transform(sparsity: Sparsity) -> None:
    worth = torch.randn(4, 1, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    leaf = scores()
    found = []
    fn = SparseCategorical(leaf, sparsity)
    outside = fn.probs == 0
    each = fn.log_prob(fn.enumerate_support()).movedim(0, -1)
    mean_score = fn.probs.detach() * worth * each.where(~outside, 0.0)  # sum over z of q f grad log q
    for value in ((fn.probs * worth).sum(), mean_score.sum()):
        (gradient,) = torch.autograd.grad(value, leaf, retain_graph=True)
        assert (gradient[outside] == 0).all()
        torch.testing.assert_close(gradient.sum(-1), torch.zeros(4, 1).double(), rtol=0, atol=1e-13)
        found.append(gradient)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-12)
    assert found[0].abs().max() > 0.01
    if isinstance(sparsity, int):  # the softmax of the largest
        inside = leaf.detach().masked_fill(outside, NONE).requires_grad_()
        (expected,) = torch.autograd.grad((inside.softmax(-1) * worth).sum(), inside)
        torch.testing.assert_close(found[0], expected, rtol=0, atol=1e-12)


@every_sparsity
def test_closed_forms(sparsity: Sparsity) -> None:
    """Entropies and divergences, their gradients too, are sums over the support."""
    leaf, prior = scores(), torch.randn(6, dtype=torch.float64)
    q, p = SparseCategorical(leaf, sparsity), Categorical(prior.expand(4, 1, 6))
    entropy, kl = entropies([q])[0], divergences([(q, p)])[0]
    assert entropy is not None
    assert kl is not None
    log_q = q.logits
    inside = log_q > NONE
    by_hand = (log_q.exp() * (log_q - p.logits).where(inside, 0.0)).sum(-1)
    torch.testing.assert_close(kl, by_hand, rtol=0, atol=1e-12)
    torch.testing.assert_close(entropy, -(q.probs * log_q.where(inside, 0.0)).sum(-1), rtol=0, atol=1e-12)
    torch.testing.assert_close(entropy, q.entropy(), rtol=0, atol=1e-12)
    for value in (entropy.sum(), kl.sum()):
        (gradient,) = torch.autograd.grad(value, leaf, retain_graph=True)
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0.01
        assert (gradient[~inside] == 0).all()
    same = divergences([(q, q)])[0]
    assert same is not None
    assert (same == 0).all()
    assert divergences([(p, q)])[0].isposinf().all()  # type: ignore[union-attr]


@every_sparsity
@pytest.mark.parametrize("proposal", [Proposal("temperature"), Proposal("mixture", mixture=0.5)])
def test_what_is_flatter_has_the_same_support(sparsity: Sparsity, proposal: Proposal) -> None:
    q = SparseCategorical(scores(), sparsity)
    for fn in (q, StepIndependent(q)):
        flatter = flattened("z", fn, proposal)
        flatter = getattr(flatter, "base_dist", flatter)
        assert ((flatter.probs > 0) == (q.probs > 0)).all()
        assert (entropies([flatter])[0] >= entropies([q])[0] - 1e-12).all()  # type: ignore[operator]


@every_sparsity
@pytest.mark.parametrize("keep", [1, 4])
def test_the_likeliest_values_may_be_kept(sparsity: Sparsity, keep: int) -> None:
    q = SparseCategorical(scores(), sparsity)

    def program() -> Any:
        with pyro.plate("T", 1, dim=-1), pyro.plate("B", 4, dim=-2):
            return pyro.sample("z", q)

    kept = poutine.trace(LikeliestValues(keep)(program)).get_trace().nodes["z"]["fn"].probs
    assert (kept[q.probs == 0] == 0).all()
    assert ((kept > 0).sum(-1) == (q.probs > 0).sum(-1).clamp(max=keep)).all()
    torch.testing.assert_close(kept.sum(-1), torch.ones(4, 1).double())


def test_steps() -> None:
    q = SparseCategorical(scores(), "sparsemax")
    steps = StepIndependent(q.expand((4, 3)).mask(torch.tensor([True, True, False])))
    value = steps.sample()
    assert value.shape == (4, 3)
    assert steps.step_log_prob(value).isfinite().all()
    assert (steps.step_log_prob(value)[:, 2] == 0).all()


def test_bad_scores() -> None:
    with pytest.raises(ValueError, match="got a scalar"):
        SparseCategorical(torch.tensor(0.0))
    with pytest.raises(ValueError, match="logits"):
        SparseCategorical(torch.tensor([0.0, torch.nan]), validate_args=True)
    with pytest.raises(ValueError, match="not 'softmax'"):
        SparseCategorical(torch.zeros(3), "softmax")  # type: ignore[arg-type]
