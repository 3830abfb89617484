"""Outputs drawn with their alignments have the frequencies of the joint distribution."""

import pytest
import torch
from decoding.tiny import padded, tiny_model
from pyro import poutine
from utterances import MODELS, utterances

from hardpp import sites
from hardpp.decoding.ancestral import draw_online_outputs, draw_outputs
from hardpp.types import SequenceBatch

DRAWS = 4000


def test_frequencies_are_those_of_the_joint_distribution() -> None:
    model = tiny_model()
    source, mask = padded([[2, 3, 4]] * DRAWS, extra=1)
    torch.manual_seed(0)
    symbols, positions = draw_outputs(model, source, mask, max_steps=2)
    pairs = torch.cat([symbols, positions], -1)
    kinds, counts = pairs[symbols[:, 0] != model.boundary].unique(dim=0, return_counts=True)
    assert len(kinds) > 20
    target, at = kinds[:, :2], kinds[:, 2:]
    batch = SequenceBatch(source[: len(kinds)], mask[: len(kinds)], target, torch.ones_like(target).bool())
    with torch.no_grad():
        trace = poutine.trace(poutine.condition(model, {sites.ALIGNMENT: at})).get_trace(batch)
        trace.compute_log_prob()
    exact = sum(trace.nodes[site]["log_prob"].sum(-1) for site in (sites.ALIGNMENT, sites.SYMBOL)).exp()
    # Five standard errors of each frequency, at most 200 of them: it fails by chance once in 9,000.
    error = (counts / DRAWS - exact).abs() / (exact * (1 - exact) / DRAWS).sqrt().clamp_min(1 / DRAWS)
    assert error.max() < 5


def test_rows_end_at_the_boundary_and_padding_is_never_a_position() -> None:
    model = tiny_model()
    source, mask = padded([[2, 3, 4], [5]])
    torch.manual_seed(0)
    symbols, positions = draw_outputs(model, source, mask, max_steps=30)
    assert symbols.shape == positions.shape
    assert (positions[1] == 0).all()
    short, _ = draw_outputs(model, source, mask, max_steps=1)
    assert short.shape == pytest.approx((2, 1))


@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_tokens_and_decisions_are_drawn_together(name: str, dwell: bool) -> None:
    model, one = MODELS[name](dwell), utterances((3,), (2,))
    batch = SequenceBatch(*(part.expand(DRAWS, *part.shape[1:]) for part in one))
    torch.manual_seed(1)
    tokens, decisions = draw_online_outputs(model, *batch[:2], batch.target_mask)
    drawn = torch.cat([tokens, decisions], -1)
    kinds, counts = drawn.unique(dim=0, return_counts=True)
    assert len(kinds) > 9
    target, path = kinds[:, :2], kinds[:, 2:]
    batch = SequenceBatch(*(part[: len(kinds)] for part in batch))._replace(target=target)
    with torch.no_grad():
        trace = poutine.trace(poutine.condition(model, {sites.DECISIONS: path})).get_trace(batch)
        trace.compute_log_prob()
    exact = sum(trace.nodes[site]["log_prob"] for site in (sites.DECISIONS, sites.SYMBOL)).exp()
    # Five standard errors of each frequency, of some 100 kinds: it fails by chance once in 10,000.
    error = (counts / DRAWS - exact).abs() / (exact * (1 - exact) / DRAWS).sqrt().clamp_min(1 / DRAWS)
    assert error.max() < 5
    assert exact.sum() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("dwell", [True, False])
def test_every_utterance_gets_as_many_tokens_as_are_asked_for(dwell: bool) -> None:
    batch = utterances((4, 3, 2), (2, 3, 1))
    torch.manual_seed(0)
    tokens, decisions = draw_online_outputs(MODELS["online"](dwell), *batch[:2], batch.target_mask)
    assert decisions.sum(-1).tolist() == [2, 3, 1]
    assert tokens.shape == batch.target.shape
    assert (tokens[~batch.target_mask] == 0).all()
