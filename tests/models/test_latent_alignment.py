"""The program's sites, its causality, and decoding step by step."""

import cases
import oracles
import torch
from pyro import poutine

from hardpp import sites
from hardpp.inference.weights.particles import particle_trace
from hardpp.types import SequenceBatch

CLOSE = {"rtol": 0, "atol": 1e-12}


def batch(device: torch.device | str = "cpu") -> SequenceBatch:
    return cases.alignment_batch((3, 2), (2, 3), padded=(1, 1)).to(device)


def test_sites_plates_and_masks(device: torch.device) -> None:
    data, model = batch(device), cases.latent_alignment().to(device)
    trace = poutine.trace(model).get_trace(data)
    names = [name for name, site in trace.nodes.items() if site["type"] == "sample"]
    assert names == ["data", "steps", sites.ALIGNMENT, sites.SYMBOL]
    for name in (sites.ALIGNMENT, sites.SYMBOL):
        site = trace.nodes[name]
        assert {(f.name, f.dim, f.size) for f in site["cond_indep_stack"]} == {
            ("data", -2, 2),
            ("steps", -1, 4),
        }
        assert torch.equal(site["mask"], data.target_mask)
    assert trace.nodes[sites.SYMBOL]["is_observed"]


def test_the_joint_is_the_tables_of_a_loop_over_positions() -> None:
    data, model = batch(), cases.latent_alignment()
    trace = poutine.trace(model).get_trace(data)
    trace.compute_log_prob()
    prior, likelihood, _, _ = oracles.alignment_tables(model, data)
    drawn = trace.nodes[sites.ALIGNMENT]["value"].unsqueeze(-1)
    for name, table in ((sites.ALIGNMENT, prior), (sites.SYMBOL, likelihood)):
        expected = table.gather(-1, drawn).squeeze(-1)[data.target_mask]
        torch.testing.assert_close(trace.nodes[name]["log_prob"][data.target_mask], expected, **CLOSE)


def test_padding_is_never_drawn() -> None:
    data, model = batch(), cases.latent_alignment()
    drawn = particle_trace(model, 200, 2, (data,), {}).nodes["_RETURN"]["value"]
    assert drawn.shape == (200, *data.target.shape)
    assert (drawn < data.source_mask.sum(-1).unsqueeze(-1)).all()


def test_the_prior_of_a_step_reads_only_earlier_symbols() -> None:
    data, model = batch(), cases.latent_alignment()
    target = data.target.clone()
    target[:, 1] = (target[:, 1] + 1) % 4
    before, after = (
        poutine.trace(model).get_trace(d).nodes[sites.ALIGNMENT]["fn"].logits
        for d in (data, data._replace(target=target))
    )
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.equal(before[:, 2:], after[:, 2:])


def test_decoding_step_by_step_is_the_program() -> None:
    data, model = batch(), cases.latent_alignment()
    trace = poutine.trace(model).get_trace(data)
    drawn, symbol = trace.nodes[sites.ALIGNMENT], trace.nodes[sites.SYMBOL]
    source, state = model.read(data.source, data.source_mask)
    previous = torch.full((2,), model.boundary)
    rows = torch.arange(2)
    for t in range(data.target.shape[1]):
        query, scores, state = model.step(source, state, previous)
        torch.testing.assert_close(scores.log_softmax(-1), drawn["fn"].logits[:, t], **CLOSE)
        logits = model.readout(source.memory[rows, drawn["value"][:, t]], query)
        torch.testing.assert_close(logits.log_softmax(-1), symbol["fn"].logits[:, t], **CLOSE)
        previous = data.target[:, t]


def test_hypotheses_can_be_reordered_while_decoding() -> None:
    data, model = batch(), cases.latent_alignment()
    source, state = model.read(data.source, data.source_mask)
    _, _, state = model.step(source, state, torch.tensor([1, 2]))
    _, plain, _ = model.step(source, state, torch.tensor([3, 1]))
    rows = torch.tensor([1, 0, 1])
    _, scores, _ = model.step(source.select(rows), state.select(rows), torch.tensor([1, 3, 1]))
    torch.testing.assert_close(scores, plain[rows], **CLOSE)
