"""Exact answers about online alignments, against sums over every path of the sampled form."""

import itertools
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from oracles import flat_gradient
from pyro import poutine
from torch import Tensor, nn
from utterances import DOUBLE, H, V, by_hand, informed, legal_paths, online, seeded, transducer, utterances

from hardpp import sites
from hardpp.errors import NumericalError, UsageError
from hardpp.guides.prior import Prior
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.sums.lattice_marginal import lattice
from hardpp.models.ctc import CTC
from hardpp.nn.recurrent import BidirectionalLSTM

LENGTHS = {True: ((3, 2), (2, 2)), False: ((4, 3), (2, 3))}
CLOSE = {"rtol": 0, "atol": 1e-12}
FORMS = pytest.mark.parametrize(("dwell", "ahead"), [(True, False), (False, False), (True, True)])


def no_guide(*args: Any) -> None:
    pass


def joints(model: Any, batch: Any) -> list[tuple[Tensor, Tensor]]:
    """All legal paths of each datum, (C, N), and log p(y, path), by the trace of the sampled form."""
    steps = batch.source.shape[1] + (batch.target.shape[1] if model.dwell else 0)
    lengths = [
        (int(m), int(n)) for m, n in zip(batch.source_mask.sum(-1), batch.target_mask.sum(-1), strict=True)
    ]
    every = [legal_paths(m, n, model.dwell, steps) for m, n in lengths]
    found = []
    for b, paths in enumerate(every):
        value = torch.stack([paths if other == b else each[:1].expand(len(paths), -1)
                             for other, each in enumerate(every)], 1)  # fmt: skip
        trace = poutine.trace(poutine.condition(model, {sites.DECISIONS: value})).get_trace(batch)
        nodes = [trace.nodes[name] for name in (sites.DECISIONS, sites.SYMBOL)]
        found.append((paths, sum(node["fn"].log_prob(node["value"]) for node in nodes)[:, b]))
    return found


@FORMS
def test_the_marginal_is_the_sum_over_paths(dwell: bool, ahead: bool) -> None:
    batch, model = utterances(*LENGTHS[dwell], padded=(1, 2)), transducer(dwell, ahead)
    expected = torch.stack([joint.logsumexp(0) for _, joint in joints(model, batch)])
    estimate = ExactMarginal().estimate(model, no_guide, batch)
    torch.testing.assert_close(estimate.bound, expected.detach(), **CLOSE)
    parameters = list(model.parameters())
    gradient = flat_gradient(expected.sum(), parameters)
    assert gradient.abs().max() > 0.1
    torch.testing.assert_close(flat_gradient(estimate.surrogate, parameters), gradient, **CLOSE)


@FORMS
def test_the_marginal_is_that_written_by_hand(dwell: bool, ahead: bool) -> None:
    batch, model = utterances(*LENGTHS[dwell]), transducer(dwell, ahead)
    bound = ExactMarginal().estimate(model, no_guide, batch).bound
    for b, (paths, _) in enumerate(joints(model, batch)):
        total = [sum(each.sum() for each in by_hand(model, batch, b, path)) for path in paths]
        torch.testing.assert_close(bound[b], torch.stack(total).logsumexp(0).detach(), **CLOSE)


@FORMS
def test_posterior_mode_and_draws(dwell: bool, ahead: bool) -> None:
    batch, model = utterances(*LENGTHS[dwell], padded=(1, 0)), transducer(dwell, ahead)
    exact = ExactMarginal()
    posterior = exact.posterior(model, no_guide, batch)[sites.DECISIONS]
    mode, log_joint = exact.mode(model, no_guide, batch)
    torch.manual_seed(0)
    drawn = exact.sample_posterior(model, no_guide, batch, num_samples=4000)[sites.DECISIONS]
    for b, (paths, joint) in enumerate(joints(model, batch)):
        weights = joint.softmax(0).detach()
        emits = weights @ paths.to(weights)
        torch.testing.assert_close(posterior[b], torch.stack([1 - emits, emits], -1), **CLOSE)
        assert torch.equal(mode[sites.DECISIONS][b], paths[joint.argmax()])
        torch.testing.assert_close(log_joint[b], joint.max().detach(), **CLOSE)
        hits = (drawn[:, b, None] == paths).all(-1).double()
        assert (hits.sum(-1) == 1).all()
        torch.testing.assert_close(hits.mean(0), weights, rtol=0, atol=0.03)


@FORMS
def test_when_each_token_is_emitted(dwell: bool, ahead: bool) -> None:
    batch, model = utterances(*LENGTHS[dwell], padded=(1, 1)), transducer(dwell, ahead)
    found = lattice(model, batch).emission_frames().detach()
    for b, (paths, joint) in enumerate(joints(model, batch)):
        expected = torch.zeros_like(found[b])
        for path, weight in zip(paths.tolist(), joint.softmax(0).tolist(), strict=True):
            i = o = 0
            for decision in path:
                if decision:
                    expected[o, i] += weight
                o, i = o + decision, i + (not dwell or not decision)
        torch.testing.assert_close(found[b], expected, **CLOSE)
    with pytest.raises(UsageError, match="no decisions whose paths"):
        lattice(classifier(), batch)


def test_a_bound_lies_below_and_its_gap_is_the_divergence() -> None:
    """E_q[log w] of all paths of the informed guide: log p(y) less KL(q || p(path | y))."""
    batch, model, guide = utterances(*LENGTHS[True]), transducer(), informed()
    exact = ExactMarginal().estimate(model, guide, batch).bound
    for b, (paths, joint) in enumerate(joints(model, batch)):
        log_q = torch.stack([by_hand(guide, batch, b, path)[0].sum() for path in paths])
        bound = (log_q.exp() * (joint - log_q)).sum()
        gap = (log_q.exp() * (log_q - joint.log_softmax(0))).sum()
        assert gap > 1e-2
        torch.testing.assert_close(exact[b], (bound + gap).detach(), **CLOSE)


def test_scales_and_masks() -> None:
    batch, model = utterances(), transducer()
    plain = ExactMarginal().estimate(model, no_guide, batch).bound
    scaled = ExactMarginal().estimate(poutine.scale(model, 3.0), no_guide, batch).bound
    torch.testing.assert_close(scaled, 3 * plain, **CLOSE)
    masked = poutine.mask(model, torch.tensor([True, False]))
    found = ExactMarginal().estimate(masked, no_guide, batch).bound
    torch.testing.assert_close(found, plain * torch.tensor([1.0, 0.0]), **CLOSE)


def test_path_dependent_decisions_are_refused() -> None:
    wanted = "site 'decisions' has decisions that depend on all decisions before them.*transducer form"
    with pytest.raises(UsageError, match=wanted):
        ExactMarginal().estimate(online(), no_guide, utterances())
    with pytest.raises(UsageError, match="site 'decisions' is Decisions of Unit with event"):
        EnumeratedELBO().estimate(online(), informed(), utterances())


def test_other_sites_are_refused() -> None:
    model = transducer()

    def with_latent(batch: Any) -> None:
        pyro.sample("speaker", dist.Categorical(torch.ones(3)))
        model(batch)

    def with_observation(batch: Any) -> None:
        decisions = model(batch)
        with pyro.plate("more", 2):
            pyro.sample("delay", dist.Poisson(1.0 + decisions.sum(-1)), obs=torch.ones(2))

    with pytest.raises(UsageError, match="paths of site 'decisions' or over 'speaker', not"):
        ExactMarginal(max_plate_nesting=1).estimate(with_latent, no_guide, utterances())
    with pytest.raises(UsageError, match="site 'delay' is Poisson, of which exact does not know"):
        ExactMarginal(max_plate_nesting=1).estimate(with_observation, no_guide, utterances())


def test_impossible_utterances() -> None:
    batch, model = utterances((1, 3), (2, 2)), transducer(False)
    exact = ExactMarginal()
    estimate = exact.estimate(model, no_guide, batch)
    assert estimate.bound[0] == -torch.inf
    assert estimate.bound[1] > -torch.inf
    assert flat_gradient(estimate.surrogate, list(model.parameters())).isfinite().all()
    with pytest.raises(NumericalError, match="no posterior"):
        exact.sample_posterior(model, no_guide, batch)


def classifier() -> CTC:
    return seeded(lambda: CTC(BidirectionalLSTM(2, H), nn.Linear(2 * H, V)), 4)


@pytest.mark.parametrize("objective", [ExactMarginal(), ScoreFunctionELBO()], ids=["exact", "elbo"])
def test_temporal_classification_is_that_of_torch(objective: Any) -> None:
    """With any objective, whose guide has nothing to draw; the boundary symbol is the blank."""
    model = classifier()
    batch = utterances((5, 4, 3), (3, 2, 1), (1, 1))
    batch.target[:, 0][:2] = 1
    batch.target[0, 1] = 1  # a symbol twice
    frames, tokens = batch.source_mask.sum(-1), batch.target_mask.sum(-1) - 1
    log_probs = model.read(batch.source, batch.source_mask).log_softmax(-1).transpose(0, 1)
    loss = nn.functional.ctc_loss(log_probs, batch.target, frames, tokens, blank=0, reduction="none")
    guide = no_guide if isinstance(objective, ExactMarginal) else Prior(model)
    estimate = objective.estimate(model, guide, batch)
    torch.testing.assert_close(estimate.bound, -loss.detach(), **CLOSE)
    parameters = list(model.parameters())
    torch.testing.assert_close(
        flat_gradient(estimate.surrogate, parameters),
        flat_gradient(-loss.sum(), parameters),
        rtol=0,
        atol=1e-10,
    )


def test_temporal_classification_in_more_plates() -> None:
    model, batch = classifier(), utterances((4, 3), (3, 2))
    fn = poutine.trace(model).get_trace(batch).nodes[sites.SYMBOL]["fn"]
    once, wide = fn.log_prob(batch.target), fn.expand((3, 2))
    assert wide.batch_shape == (3, 2)
    torch.testing.assert_close(wide.log_prob(batch.target), once.expand(3, 2), **CLOSE)
    assert fn.batch_shape == (2,)


def test_first_frames_of_tokens_of_temporal_classification() -> None:
    """Against every labelling of the frames that joins to the tokens."""
    model = classifier()
    batch = utterances((5, 3), (4, 2))
    batch.target[:] = torch.tensor([[1, 1, 2, 0], [3, 0, 0, 0]])  # a symbol twice; padding
    fn = poutine.trace(model).get_trace(batch).nodes[sites.SYMBOL]["fn"]
    found = fn.token_frames(batch.target)  # (B, T - 1, S)
    expected = torch.zeros_like(found)
    for b, (m, said) in enumerate(((5, [1, 1, 2]), (3, [3]))):
        for labels in itertools.product(range(V), repeat=m):
            firsts = [s for s, label in enumerate(labels) if label and (not s or labels[s - 1] != label)]
            if [labels[s] for s in firsts] == said:
                weight = fn.log_probs[b, range(m), labels].sum().exp()
                for t, s in enumerate(firsts):
                    expected[b, t, s] += weight
    each = torch.tensor([[True, True, True], [True, False, False]])
    expected = expected / expected.sum(-1, keepdim=True).where(each.unsqueeze(-1), torch.ones(()))
    torch.testing.assert_close(found, expected.detach(), **CLOSE)
    torch.testing.assert_close(found.sum(-1), each.to(DOUBLE), **CLOSE)
    below = found[0].cumsum(-1)
    assert (below[1:] <= below[:-1] + 1e-12).all()  # so every quantile is in order
    assert found.dtype == DOUBLE
