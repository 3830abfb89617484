"""What every guide over alignments promises, by sums over all paths of a toy."""

import itertools
from collections.abc import Callable
from functools import cache
from math import sqrt
from typing import Any, NamedTuple

import cases
import oracles
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical_path import CategoricalPath
from hardpp.distributions.step_independent import StepIndependent
from hardpp.errors import UsageError
from hardpp.guides.autoregressive_alignment import AutoregressiveAlignment
from hardpp.guides.markov_alignment import MarkovAlignment
from hardpp.guides.mixture_alignment import MixtureAlignment
from hardpp.guides.offset_prior import OffsetPrior
from hardpp.guides.prior import Prior
from hardpp.guides.refined import Refined
from hardpp.guides.tempered_prior import TemperedPrior
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.importance_weighted import IWAE
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.weights.joined_plates import joined
from hardpp.inference.weights.sample_sites import site_log_prob
from hardpp.models.latent_alignment import LatentAlignment
from hardpp.nn.attention import AdditiveScorer, BilinearScorer
from hardpp.nn.recurrent import StepwiseLSTM
from hardpp.tasks.refinement import posterior_guide, refined
from hardpp.types import SequenceBatch

CLOSE = {"rtol": 0, "atol": 1e-9}


class Parts(NamedTuple):
    model: LatentAlignment


def spread(guide: nn.Module, model: nn.Module) -> nn.Module:
    """Moves what starts at zero away from there."""
    kept = {id(parameter) for parameter in model.parameters()}
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in guide.double().parameters():
            if id(parameter) not in kept:
                parameter.add_(0.7 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return guide


def offset(model: LatentAlignment) -> OffsetPrior:
    steps = cases.stepwise_alignment(model)
    steps.scorer = BilinearScorer(4, 4).double()
    return OffsetPrior(model, sites.ALIGNMENT, steps, steps.scorer.parameters())


def markov(model: LatentAlignment, backwards: bool) -> MarkovAlignment:
    return MarkovAlignment(cases.stepwise_alignment(model), 1, backwards=backwards)


def autoregressive(model: LatentAlignment) -> AutoregressiveAlignment:
    return AutoregressiveAlignment(cases.stepwise_alignment(model), StepwiseLSTM(8, 3), nn.Linear(3, 4))


def mixture(model: LatentAlignment) -> MixtureAlignment:
    return MixtureAlignment(cases.stepwise_alignment(model), [AdditiveScorer(4, 4, 2)], nn.Linear(4, 2))


JOINT: dict[str, Callable[[LatentAlignment], nn.Module]] = {
    "markov": lambda model: markov(model, True),
    "monotone": lambda model: markov(model, False),
    "autoregressive": autoregressive,
    "mixture": mixture,
}
STEPWISE: dict[str, Callable[[LatentAlignment], nn.Module]] = {
    "tempered": lambda model: TemperedPrior(model, 2.0),
    "offset": offset,
    "posterior": lambda model: posterior_guide(Parts(model)),
    "refined": lambda model: refined(cases.stepwise_alignment(model), model, 1, 0.5),
}
GUIDES = JOINT | STEPWISE
every_guide = pytest.mark.parametrize("name", GUIDES)
every_joint_guide = pytest.mark.parametrize("name", JOINT)


@cache
def programs(name: str) -> tuple[LatentAlignment, nn.Module]:
    model = cases.latent_alignment()
    torch.manual_seed(3)
    return model, spread(GUIDES[name](model), model)


def paths(batch: SequenceBatch) -> Tensor:
    """All paths (K, B, T), the same for all data, through what is padding for some too."""
    B, T = batch.target.shape
    every = torch.tensor(list(itertools.product(range(batch.source.shape[1]), repeat=T)))
    return every.unsqueeze(1).expand(-1, B, -1)


def log_prob(program: nn.Module, batch: SequenceBatch, value: Tensor, site: str = sites.ALIGNMENT) -> Tensor:
    """The log-probability of a site (K, B, T) at alignments (K, B, T)."""
    with torch.no_grad():
        trace = poutine.trace(poutine.condition(program, {sites.ALIGNMENT: value})).get_trace(batch)
    return site_log_prob(trace.nodes[site], steps=isinstance(trace.nodes[site]["fn"], StepIndependent))


SMALL = cases.alignment_batch((2,), (2,))
RAGGED = cases.alignment_batch((3, 2), (2, 3), padded=(1, 1))


@every_guide
def test_probabilities_of_all_paths_sum_to_one_and_padding_has_none(name: str) -> None:
    _, guide = programs(name)
    every = paths(RAGGED)
    real = ((every < RAGGED.source_mask.sum(-1)[:, None]) | ~RAGGED.target_mask).all(-1)  # (K, B)
    log_q = log_prob(guide, RAGGED, every).sum(-1)
    assert (log_q[~real] < -1e3).all()
    # What stands at padded steps makes no difference, so every path is there once for each way to fill them.
    copies = RAGGED.source.shape[1] ** (~RAGGED.target_mask).sum(-1)
    torch.testing.assert_close(log_q.exp().sum(0), copies.double(), **CLOSE)


@every_guide
def test_a_path_has_one_probability_whatever_is_beside_it(
    name: str,
) -> None:
    _, guide = programs(name)
    value = torch.tensor([[[1, 0, 0], [0, 1, 1]], [[0, 2, 0], [1, 0, 1]]])  # (K, B, T), within both sources
    plain = cases.alignment_batch((3, 2), (2, 3))
    expected = log_prob(guide, plain, value)
    more = cases.alignment_batch((3, 2), (2, 3), padded=(2, 1), padding=2)
    longer = log_prob(guide, more, nn.functional.pad(value, (0, 1)))
    torch.testing.assert_close(longer[..., :3], expected, **CLOSE)
    assert (longer[..., 3] == 0).all()
    for row, (S, T) in enumerate(((3, 2), (2, 3))):
        alone = SequenceBatch(*(part[row : row + 1] for part in plain))
        alone = SequenceBatch(alone.source[:, :S], alone.source_mask[:, :S], *(p[:, :T] for p in alone[2:]))
        found = log_prob(guide, alone, value[:, row : row + 1, :T])
        torch.testing.assert_close(found[:, 0], expected[:, row, :T], **CLOSE)
    again = log_prob(guide, plain, value.unsqueeze(1))  # (K, 1, B, T)
    torch.testing.assert_close(again.squeeze(1), expected, **CLOSE)


@every_guide
def test_draws_are_as_frequent_as_log_q_says(name: str) -> None:
    _, guide = programs(name)
    K, every = 20_000, paths(SMALL)[:, 0]
    expected = log_prob(guide, SMALL, paths(SMALL)).sum(-1)[:, 0].exp()
    torch.manual_seed(0)
    with torch.no_grad():
        trace = poutine.trace(guide).get_trace(SMALL)
        fn = trace.nodes[sites.ALIGNMENT]["fn"]
        drawn = fn.sample(torch.Size([K])).reshape(K, -1)
    found = (drawn.unsqueeze(1) == every).all(-1).double().mean(0)
    assert (found - expected).abs().max() < 4.5 * 0.5 / sqrt(K)  # 4.5 standard errors at most
    assert (found[expected < 1e-12] == 0).all()


@every_joint_guide
def test_a_path_is_drawn_step_by_step_from_what_it_is_scored_by(name: str) -> None:
    _, guide = programs(name)
    with torch.no_grad():
        fn = poutine.trace(guide).get_trace(RAGGED).nodes[sites.ALIGNMENT]["fn"]
        value = torch.randint(0, 2, (7, *RAGGED.target.shape), generator=torch.Generator().manual_seed(2))
        expected, state = fn.stepper.logits(value), fn.stepper.start(value.shape[:-1])
        last = torch.ones_like(value[..., 0])  # of no step, so not to be read
        for number, here in enumerate(value.unbind(-1)):
            found, state = fn.stepper.step(number, last, state)
            possible = (expected[..., number, :] > -1e3) & RAGGED.target_mask[:, number, None]
            torch.testing.assert_close(found[possible], expected[..., number, :][possible], **CLOSE)
            last = here


@every_guide
def test_the_bound_is_below_log_p_and_sampled_bounds_agree_with_it(name: str) -> None:
    model, guide = programs(name)
    every = paths(SMALL)
    log_q = log_prob(guide, SMALL, every).sum(-1)
    log_p = log_prob(model, SMALL, every).sum(-1) + log_prob(model, SMALL, every, sites.SYMBOL).sum(-1)
    ratio = (log_p - log_q).where(log_q > -1e3, 0.0)
    bound = (log_q.exp() * ratio).sum(0)
    exact = ExactMarginal(tolerance=0.0).estimate(model, guide, SMALL).bound
    gap = exact - bound
    assert (gap > -1e-9).all()
    if name == "posterior":
        torch.testing.assert_close(gap, torch.zeros_like(gap), **CLOSE)
    else:
        assert (gap > 1e-3).all()
    if name in STEPWISE:
        found = EnumeratedELBO(tolerance=0.0).estimate(model, guide, SMALL).bound
        torch.testing.assert_close(found, bound, **CLOSE)
    torch.manual_seed(0)
    K = 4_000
    weights = ScoreFunctionELBO(K).estimate(model, guide, SMALL).log_weights
    assert weights is not None
    assert (weights.mean(0) - bound).abs().max() < 5 * float(weights.std()) / sqrt(K) + 1e-9
    assert (IWAE(K).estimate(model, guide, SMALL).bound <= exact + 0.1).all()


@every_joint_guide
@pytest.mark.parametrize("credit", ["causal", "global"])
def test_the_gradient_of_dependent_steps_is_that_of_the_bound(
    name: str, credit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All draws, each as often as it is drawn; a credit of single steps would leave out what follows them."""
    model, guide = programs(name)
    parameters = [*model.parameters(), *guide.parameters()]
    parameters = list({id(parameter): parameter for parameter in parameters}.values())
    objective, expected, found = ScoreFunctionELBO(credit=credit), 0.0, 0.0
    for path in paths(SMALL)[:, 0]:
        log_q = log_prob_with_gradient(guide, path)
        if log_q < -1e3:
            continue
        monkeypatch.setattr(CategoricalPath, "sample", lambda self, shape=(), path=path: path.unsqueeze(0))
        surrogate = objective.estimate(model, guide, SMALL).surrogate
        found = found + log_q.detach().exp() * oracles.flat_gradient(surrogate, parameters)
        expected = expected + log_q.exp() * (log_prob_with_gradient(model, path) - log_q)
    gradient = oracles.flat_gradient(expected, parameters)
    torch.testing.assert_close(found, gradient, **CLOSE)


def log_prob_with_gradient(program: nn.Module, path: Tensor) -> Tensor:
    given = poutine.condition(program, {sites.ALIGNMENT: path.unsqueeze(0)})
    trace = poutine.trace(given).get_trace(SMALL)
    return sum(
        (site_log_prob(trace.nodes[site]).sum() for site in (sites.ALIGNMENT, sites.SYMBOL) if site in trace),
        torch.zeros(()),
    )


@every_guide
def test_a_gradient_reaches_every_parameter_of_the_guide(name: str) -> None:
    model, guide = programs(name)
    own = {id(parameter) for parameter in model.parameters()}
    trained = [parameter for parameter in guide.parameters() if id(parameter) not in own]
    assert bool(trained) == (name != "posterior")
    torch.manual_seed(0)
    estimate = ScoreFunctionELBO(30, baseline="leave-one-out").estimate(model, guide, RAGGED)
    for parameter, gradient in (
        zip(trained, torch.autograd.grad(estimate.surrogate, trained, allow_unused=True), strict=True)
        if trained
        else ()
    ):
        assert gradient is not None, parameter.shape
        assert gradient.isfinite().all()
        assert (gradient != 0).any(), parameter.shape


@pytest.mark.parametrize("name", ["markov", "monotone", "mixture"])
def test_marginals_are_sums_over_paths(name: str) -> None:
    _, guide = programs(name)
    every = paths(RAGGED)
    probability = log_prob(guide, RAGGED, every).sum(-1).exp()  # (K, B)
    marginals = poutine.trace(guide).get_trace(RAGGED).nodes[sites.ALIGNMENT]["fn"].marginals()
    S = RAGGED.source.shape[1]
    for row, length in enumerate(RAGGED.target_mask.sum(-1).tolist()):
        for t, s in itertools.product(range(length), range(S)):
            held = probability[every[:, row, t] == s, row].sum() / probability[:, row].sum()
            torch.testing.assert_close(marginals[row, t, s], held, **CLOSE)


def test_a_monotone_guide_never_goes_back_and_a_fresh_chain_is_its_mean_field_guide() -> None:
    _, monotone = programs("monotone")
    every = paths(RAGGED)
    log_q = log_prob(monotone, RAGGED, every).sum(-1)
    back = ((every[..., 1:] < every[..., :-1]) & RAGGED.target_mask[:, 1:]).any(-1)
    assert (log_q[back] < -1e3).all()
    model = cases.latent_alignment()
    steps = cases.stepwise_alignment(model)
    fresh = MarkovAlignment(steps, 2)
    possible = log_prob(steps, RAGGED, every) > -torch.inf
    one, other = (log_prob(guide, RAGGED, every).where(possible, 0.0) for guide in (steps, fresh.double()))
    real = possible.all(-1, keepdim=True)
    torch.testing.assert_close(one.where(real, 0.0), other.where(real, 0.0), **CLOSE)


def test_an_offset_of_zero_is_the_prior_to_the_bit() -> None:
    model = cases.latent_alignment(dtype=torch.float32)
    guide = offset(cases.latent_alignment()).float()
    guide.model = model
    batch = cases.alignment_batch((11, 9), (8, 7))  # where a second softmax would round once more
    both = Prior(model), guide
    prior, mine = (poutine.trace(each).get_trace(batch).nodes[sites.ALIGNMENT]["fn"] for each in both)
    assert not torch.equal(prior.logits.log_softmax(-1), prior.logits)
    assert torch.equal(mine.logits, prior.logits)
    drawn = []
    for fn in (prior, mine):
        torch.manual_seed(1)
        drawn.append(fn.sample(torch.Size([50])))
    assert torch.equal(*drawn)
    assert mine.logits.requires_grad
    surrogate = ScoreFunctionELBO(20).estimate(model, guide, batch).surrogate
    scorer: Any = guide.offset
    (gradient,) = torch.autograd.grad(surrogate, [scorer.scorer.key.weight])
    assert (gradient != 0).all()


@pytest.mark.parametrize("name", ["tempered", "offset", "posterior", "refined"])
def test_the_prior_is_a_constant_of_guides_that_learn_without_it(name: str) -> None:
    model, guide = programs(name)
    log_q = site_log_prob(poutine.trace(guide).get_trace(RAGGED).nodes[sites.ALIGNMENT]).sum()
    scorer = list(model.decoder.scorer.parameters())
    gradients = torch.autograd.grad(log_q, scorer, allow_unused=True) if log_q.requires_grad else [None]
    assert any(gradient is not None for gradient in gradients) == (name == "tempered")


def test_refinement_raises_the_bound_at_every_step_up_to_log_p() -> None:
    model = cases.latent_alignment()
    start = cases.stepwise_alignment(model)
    exact = ExactMarginal(tolerance=0.0).estimate(model, start, RAGGED).bound

    def bound(steps: int, rate: float) -> Tensor:
        with pyro.validation_enabled(False):  # which runs the programs many times
            guide = refined(start, model, steps, rate)
            return EnumeratedELBO(tolerance=0.0).estimate(model, guide, RAGGED).bound

    bounds = [bound(steps, 0.5) for steps in (0, 1, 2, 3, 12)]
    assert (bounds[0] < exact - 0.01).all()
    assert all((after > before).all() for before, after in itertools.pairwise(bounds))
    torch.testing.assert_close(bounds[-1], exact, rtol=0, atol=1e-3)
    torch.testing.assert_close(bound(1, 1.0), exact, rtol=0, atol=1e-6)


def test_a_guide_that_is_sure_of_what_is_wrong_is_refined_too() -> None:
    model = cases.latent_alignment(dtype=torch.float32)
    sure = cases.sharpen(cases.stepwise_alignment(model, seed=4).float(), 600.0, but=model)
    with pyro.validation_enabled(False):
        exact = ExactMarginal(tolerance=0.0).estimate(model, sure, RAGGED).bound
        before = EnumeratedELBO().estimate(model, sure, RAGGED).bound
        after = EnumeratedELBO().estimate(model, refined(sure, model, 2), RAGGED).bound
    assert poutine.trace(sure).get_trace(RAGGED).nodes[sites.ALIGNMENT]["fn"].logits[0, 0].min() < -100
    assert (before < exact - 1).all()
    torch.testing.assert_close(after, exact, rtol=0, atol=1e-3)


def test_a_refined_guide_is_differentiated_at_its_refined_probabilities() -> None:
    """So the mean of its score is zero, whichever steps were made."""
    model, guide = programs("refined")
    every = paths(SMALL)[:, 0]
    mine = [p for p in guide.guide.parameters() if p is not model.embedding.weight]  # type: ignore[union-attr,attr-defined]
    total = torch.zeros(())
    for path in every:
        log_q = log_prob_with_gradient(guide, path)
        total = total + log_q.detach().exp() * log_q
    assert oracles.flat_gradient(total, mine).abs().max() < 1e-12
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_refined_guide_leaves_modes_and_the_dims_of_values_as_they_were() -> None:
    model = cases.latent_alignment().train()
    guide = refined(cases.stepwise_alignment(model).eval(), model, 1)
    summing = IWAE(4, enumerate=[sites.ALIGNMENT])
    assert summing.estimate(model, guide, RAGGED).bound.isfinite().all()
    assert EnumeratedELBO().estimate(model, guide, RAGGED).bound.isfinite().all()
    assert model.training
    assert not guide.guide.training


def test_what_cannot_be_is_refused() -> None:
    model, chain = programs("markov")
    with pytest.raises(UsageError, match="do not depend on one another can be refined"):
        refined(chain, model, 1)
    for steps, rate in ((-1, 1.0), (1, 0.0), (1, 1.5)):
        with pytest.raises(UsageError, match="steps are at least 0"):
            Refined(model, model, lambda *args: torch.zeros(()), steps, rate)
    with pytest.raises(UsageError, match="a temperature is a finite number above 0"):
        TemperedPrior(model, 0.0)
    continuous = TemperedPrior(_Continuous())
    with pytest.raises(UsageError, match="categorical latents, and site 'x' is Normal"):
        continuous()


class _Continuous(nn.Module):
    def forward(self) -> None:
        pyro.sample("x", dist.Normal(0.0, 1.0))


def test_a_plate_that_cannot_be_joined_is_named() -> None:
    model, chain = programs("markov")
    chain_of_images = type("Other", (nn.Module,), {"joined_plate": "images", "forward": lambda *args: None})()
    with pytest.raises(UsageError, match=r"plate 'images' together, .* site 'alignment' is in the plates"):
        joined(model, chain_of_images)(RAGGED)
    whole = joined(model, chain)
    assert joined(whole, chain) is whole
    assert joined(model, Prior(model)) is model
