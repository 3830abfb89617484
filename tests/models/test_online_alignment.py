"""Both forms of online alignment and their guide, against every path written out one decision at a time."""

from math import comb, log
from typing import Any

import pytest
import torch
from pyro import poutine
from torch import Tensor, nn
from utterances import (
    MODELS,
    V,
    by_hand,
    guide_of,
    informed,
    legal_paths,
    online,
    seeded,
    transducer,
    utterances,
)

from hardpp import sites
from hardpp.distributions.decisions import Decisions
from hardpp.guides.prior import Prior
from hardpp.nn import gate_tables
from hardpp.nn.recurrent import StepwiseLSTM
from hardpp.ops.lattice_grid import decision_log_probs
from hardpp.ops.lstm_scan import lstm_scan

LENGTHS = {True: ((3, 2), (2, 1)), False: ((4, 3), (2, 3))}  # frames and tokens, dwelling or not
PROGRAMS = {"online": online, "transducer": transducer, "informed": informed}
CLOSE = {"rtol": 0, "atol": 1e-12}


def at_paths(program: Any, batch: Any, paths: Tensor) -> Any:
    """The trace of a program at decisions (..., B, N)."""
    return poutine.trace(poutine.condition(program, {sites.DECISIONS: paths})).get_trace(batch)


def all_sequences(steps: int) -> Tensor:
    return torch.cartesian_prod(*[torch.tensor([0, 1])] * steps)


@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", PROGRAMS)
def test_exactly_the_legal_paths_are_possible(name: str, dwell: bool) -> None:
    """Of all 0/1 sequences of a ragged batch; their probabilities sum to one."""
    batch = utterances(*LENGTHS[dwell])
    program = PROGRAMS[name](dwell)
    steps = sum(batch.source_mask.shape[1:]) + (batch.target.shape[1] if dwell else 0)
    every = all_sequences(steps)  # (C, N)
    with torch.no_grad():
        fn = at_paths(program, batch, every.unsqueeze(1).expand(-1, 2, -1)).nodes[sites.DECISIONS]["fn"]
        log_prob = fn.log_prob(every.unsqueeze(1).expand(-1, 2, -1))
    for b, (m, n) in enumerate(zip(*LENGTHS[dwell], strict=True)):
        length = m + n if dwell else m
        possible = every[log_prob[:, b] > -torch.inf][:, :length].unique(dim=0)
        legal = legal_paths(m, n, dwell, length)
        assert len(legal) == comb(length, n)
        assert torch.equal(possible, legal.unique(dim=0))
        total = log_prob[:, b].exp().sum() / 2 ** (steps - length)  # what stands after the end is not read
        torch.testing.assert_close(total, torch.ones_like(total), **CLOSE)


@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_step_is_what_it_is_by_hand(name: str, dwell: bool) -> None:
    batch, program = utterances(*LENGTHS[dwell], padded=(2, 1)), PROGRAMS[name](dwell)
    steps = batch.source.shape[1] + (batch.target.shape[1] if dwell else 0)
    for b, (m, n) in enumerate(zip(*LENGTHS[dwell], strict=True)):
        for path in legal_paths(m, n, dwell, steps):
            others = [legal_paths(*each, dwell, steps)[0] for each in zip(*LENGTHS[dwell], strict=True)]
            others[b] = path
            trace = at_paths(program, batch, torch.stack(others))
            decide, say = by_hand(program, batch, b, path)
            site = trace.nodes[sites.DECISIONS]
            torch.testing.assert_close(site["fn"].step_log_prob(site["value"])[b], decide, **CLOSE)
            if name != "informed":
                site = trace.nodes[sites.SYMBOL]
                torch.testing.assert_close(site["fn"].step_log_prob(site["value"])[b], say, **CLOSE)


@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", PROGRAMS)
def test_forced_steps_have_probability_one_and_no_gradient(name: str, dwell: bool) -> None:
    batch, program = utterances(*LENGTHS[dwell]), PROGRAMS[name](dwell)
    steps = batch.source.shape[1] + (batch.target.shape[1] if dwell else 0)
    paths = [legal_paths(m, n, dwell, steps)[[0, -1]] for m, n in zip(*LENGTHS[dwell], strict=True)]
    value = torch.stack(paths, 1)  # early and late emissions, (2, B, N)
    fn = at_paths(program, batch, value).nodes[sites.DECISIONS]["fn"]
    path, found = fn.grid.path(value), fn.step_log_prob(value)
    forced = ~(path.may_emit & path.may_consume)
    assert (found[forced] == 0).all()
    assert (found[~forced] < 0).all()
    assert set(value[forced & path.within].tolist()) == {0, 1}
    parameters = list(program.parameters())
    gradients = torch.autograd.grad(found[forced].sum(), parameters, retain_graph=True, allow_unused=True)
    assert all(g is None or (g == 0).all() for g in gradients)
    gradients = torch.autograd.grad(found.sum(), parameters, allow_unused=True)
    assert any(g is not None and g.abs().max() > 0.01 for g in gradients)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_loop_that_draws_and_the_pass_that_scores_agree(
    name: str, dwell: bool, dtype: torch.dtype, atol: float
) -> None:
    frames, tokens = (12, 9, 5), (5, 6, 1)
    batch, program = utterances(frames, tokens, (1, 1), dtype=dtype), PROGRAMS[name](dwell, dtype=dtype)
    torch.manual_seed(1)
    fn: Decisions = poutine.trace(program).get_trace(batch).nodes[sites.DECISIONS]["fn"].expand((4, 3))
    value = fn.sample()
    with torch.no_grad():
        state, last, stepwise = fn.decider.start(value.shape[:-1]), torch.zeros_like(value[..., 0]), []
        for t, path in enumerate(zip(*(part.unbind(-1) for part in fn.grid.path(value)[:2]), strict=True)):
            logits, state = fn.decider.step(state, last, *path)
            last = value[..., t]
            stepwise.append(decision_log_probs(logits, *fn.grid.may(*path)))
        consume, emit = (torch.stack(each, -1) for each in zip(*stepwise, strict=True))
        drawn = torch.where(value.bool(), emit, consume).where(fn.step_mask(), 0.0)
    assert drawn.dtype == dtype
    torch.testing.assert_close(fn.step_log_prob(value).detach(), drawn, rtol=0, atol=atol)
    assert drawn.sum(-1).min() < -2
    assert torch.equal(value.sum(-1), torch.tensor(tokens).expand(4, 3))
    consumed = fn.grid.path(value).consumed[..., -1]
    assert (consumed >= torch.tensor(frames) - 1).all()


@pytest.mark.parametrize("dwell", [True, False])
def test_a_guide_that_has_heard_nothing_takes_every_path_alike(dwell: bool) -> None:
    m, n = 6, 3
    batch, guide = utterances((m,), (n,)), informed(dwell)
    for parameter in guide.emission.parameters():
        nn.init.zeros_(parameter)
    paths = legal_paths(m, n, dwell, m + n if dwell else m)
    with torch.no_grad():
        fn = at_paths(guide, batch, paths.unsqueeze(1)).nodes[sites.DECISIONS]["fn"]
        log_prob = fn.log_prob(paths.unsqueeze(1))
    torch.testing.assert_close(log_prob, torch.full_like(log_prob, -log(len(paths))), **CLOSE)


def test_draws_follow_the_logits() -> None:
    """Of two paths, each as often as it is probable."""
    batch, program = utterances((1,), (1,)), transducer()
    fn = poutine.trace(program).get_trace(batch).nodes[sites.DECISIONS]["fn"]
    torch.manual_seed(0)
    share = fn.sample((40_000,))[..., 0].double().mean()
    expected = fn.log_prob(torch.tensor([[1, 0]])).exp().squeeze()
    assert 0.05 < expected < 0.95
    torch.testing.assert_close(share, expected.detach(), rtol=0, atol=0.01)


def test_layers_are_stacked_alike_in_both_ways_of_reading() -> None:
    lstm = seeded(lambda: StepwiseLSTM(2, 3, 2), 0)
    inputs = torch.randn(2, 4, 5, 2, dtype=torch.float64)
    cells, found = lstm.start(torch.Size((2, 4))), []
    for t in range(5):
        features, cells = lstm.step(inputs[..., t, :], cells)
        found.append(features)
    torch.testing.assert_close(torch.stack(found, -2), lstm(inputs), **CLOSE)


@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", PROGRAMS)
def test_padding_changes_nothing(name: str, dwell: bool) -> None:
    plain, padded = utterances(*LENGTHS[dwell]), utterances(*LENGTHS[dwell], padded=(3, 2))
    program = PROGRAMS[name](dwell)
    torch.manual_seed(0)
    path = program(plain)
    more = padded.source.shape[1] + (padded.target.shape[1] if dwell else 0) - path.shape[-1]
    for fill in (0, 1):
        longer = torch.nn.functional.pad(path, (0, more), value=fill)
        one, other = at_paths(program, plain, path), at_paths(program, padded, longer)
        for site in (sites.DECISIONS, sites.SYMBOL):
            if site in one.nodes:
                a, b = (t.nodes[site]["fn"].step_log_prob(t.nodes[site]["value"]) for t in (one, other))
                torch.testing.assert_close(torch.nn.functional.pad(a, (0, more)), b, **CLOSE)


@pytest.mark.parametrize("name", MODELS)
def test_tokens_that_do_not_fit_are_impossible(name: str) -> None:
    batch, model = utterances((2, 3), (3, 2)), MODELS[name](False)
    trace = poutine.trace(model).get_trace(batch)
    said = trace.nodes[sites.SYMBOL]
    found = said["fn"].log_prob(said["value"])
    assert torch.equal(found > -torch.inf, torch.tensor([False, True]))


@pytest.mark.parametrize("dwell", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_decoding_step_by_step_is_the_program(name: str, dwell: bool) -> None:
    """`read`, `start`, `step` and `follow` along a path give the terms of its trace, in any order of rows."""
    batch, model = utterances(*LENGTHS[dwell]), MODELS[name](dwell)
    torch.manual_seed(3)
    path = model(batch)
    trace = at_paths(model, batch, path)
    decided, said = (
        trace.nodes[site]["fn"].step_log_prob(trace.nodes[site]["value"])
        for site in (sites.DECISIONS, sites.SYMBOL)
    )
    grid = trace.nodes[sites.DECISIONS]["fn"].grid
    places = grid.path(path)
    frames, state = model.read(batch.source, batch.source_mask), model.start(2)
    rows = torch.arange(2)
    for t in range(path.shape[-1]):
        swapped = t % 2 == 1
        order = rows.flip(0) if swapped else rows
        consumed, emitted = places.consumed[order, t], places.emitted[order, t]
        logit, logits, state = model.step(frames[order, consumed], state.select(rows.flip(0) if t else rows))
        emits = path[order, t].bool()
        token = batch.target[order, emitted.clamp(max=batch.target.shape[1] - 1)]
        free = (places.may_emit & places.may_consume)[order, t]
        made = torch.nn.functional.logsigmoid(torch.where(emits, logit, -logit))
        torch.testing.assert_close(decided[order, t], torch.where(free, made, 0.0), **CLOSE)
        spoken = logits.log_softmax(-1).gather(-1, token.unsqueeze(-1)).squeeze(-1)
        torch.testing.assert_close(said[order, t], torch.where(emits, spoken, 0.0), **CLOSE)
        assert logits.shape == (2, V)
        state = model.follow(state, emits, token)


def test_frames_can_be_heard_one_by_one() -> None:
    batch, model = utterances((3, 3), (2, 1)), transducer()
    whole, cells = model.read(batch.source, batch.source_mask), model.frames.start(torch.Size([2]))
    for t in range(3):
        known, cells = model.frames.step(batch.source[:, t], cells)
        torch.testing.assert_close(known, whole[:, t], **CLOSE)


@pytest.mark.parametrize("name", MODELS)
def test_the_prior_as_guide_draws_what_the_model_draws(name: str) -> None:
    batch, model = utterances(), MODELS[name]()
    torch.manual_seed(0)
    guide = poutine.trace(Prior(model)).get_trace(batch)
    assert sites.SYMBOL not in guide.nodes
    trace = poutine.trace(poutine.replay(model, trace=guide)).get_trace(batch)
    one, other = guide.nodes[sites.DECISIONS], trace.nodes[sites.DECISIONS]
    assert other["value"] is one["value"]
    torch.testing.assert_close(
        one["fn"].step_log_prob(one["value"]), other["fn"].step_log_prob(other["value"]), **CLOSE
    )


@pytest.mark.parametrize("guide", ["informed", "prior"])
def test_a_state_is_read_once_a_program(guide: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scoring reads no path a second time: it is dear."""
    batch, model = utterances(), online()
    calls = []
    monkeypatch.setattr(gate_tables, "lstm_scan", lambda *each: [calls.append(1), lstm_scan(*each)][1])
    trace = poutine.trace(poutine.replay(model, trace=poutine.trace(guide_of(guide, model)).get_trace(batch)))
    calls.clear()
    found = trace.get_trace(batch)
    for site in (sites.DECISIONS, sites.SYMBOL):
        found.nodes[site]["fn"].log_prob(found.nodes[site]["value"])
    assert len(calls) == 1
