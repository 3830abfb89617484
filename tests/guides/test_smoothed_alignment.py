"""The smoothed guide, and the program of a chain decoder that it belongs to."""

import itertools

import cases
import pytest
import torch
from pyro import poutine
from torch import nn

from hardpp import sites
from hardpp.guides.prior import Prior
from hardpp.guides.smoothed_alignment import SmoothedAlignment
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.inference.weights.sample_sites import sample_sites
from hardpp.models.latent_alignment import LatentAlignment
from hardpp.nn.chain_decoder import ChainDecoder
from hardpp.nn.lexical import LexicalEncoder, LexicalReadout

M, V = 3, 5
CLOSE = {"rtol": 0, "atol": 1e-9}


@pytest.fixture
def programs():
    torch.manual_seed(0)
    embedding, encoder, readout = (
        nn.Embedding(6, 2),
        LexicalEncoder(2, M, 0.0),
        LexicalReadout(nn.Linear(M, V)),
    )
    decoder = ChainDecoder(V, readout, M, 2, 2, 0.0)
    model = LatentAlignment(embedding, encoder, decoder, readout).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return model, SmoothedAlignment(embedding, encoder, decoder)


def chains(model, batch, row):
    """p(z, y) of every chain of one datum, by a loop over positions."""
    S, steps = int(batch.source_mask[row].sum()), int(batch.target_mask[row].sum())
    memory = model.encoder(model.embedding(batch.source[row : row + 1, :S]), None)
    mask = torch.ones(1, S, dtype=torch.bool)
    target = batch.target[row, :steps].tolist()
    emitted = model.readout(memory, memory).log_softmax(-1)[0]  # (S, V)
    previous = torch.tensor([[model.boundary, *target[:-1]]])
    query, _ = model.decoder(previous, memory, mask)
    keys = model.decoder.moves.keys(memory)
    moves = model.decoder._transition(query, keys, mask)[0]  # (T, R, S)
    found = {}
    for z in itertools.product(range(S), repeat=steps):
        place, total = 0, 0.0
        for t, s in enumerate(z):
            total = total + moves[t, place, s] + emitted[s, target[t]]
            place = place if s == S - 1 else s + 1
        found[z] = total.exp()
    return found


def test_the_exact_marginal_is_the_sum_over_chains_and_the_guide_their_posterior(programs) -> None:
    model, guide = programs
    batch = cases.alignment_batch((3, 2), (2, 3), padded=(1, 1))
    log_p = ExactMarginal().estimate(model, Prior(model), batch).bound
    smoothed = poutine.trace(guide).get_trace(batch).nodes[sites.ALIGNMENT]["fn"].probs
    for row in range(2):
        joint = chains(model, batch, row)
        total = sum(joint.values())
        torch.testing.assert_close(log_p[row], total.log(), **CLOSE)
        for t in range(int(batch.target_mask[row].sum())):
            for s in range(smoothed.shape[-1]):
                expected = sum(p for z, p in joint.items() if z[t] == s) / total
                torch.testing.assert_close(smoothed[row, t, s], torch.as_tensor(expected).double(), **CLOSE)


def test_the_last_symbol_has_no_later_ones(programs) -> None:
    model, guide = programs
    batch = cases.alignment_batch((3,), (3,))
    smoothed = poutine.trace(guide).get_trace(batch).nodes[sites.ALIGNMENT]["fn"].probs
    posterior = ExactMarginal().posterior(model, guide, batch)[sites.ALIGNMENT]
    torch.testing.assert_close(smoothed[:, -1], posterior[:, -1], **CLOSE)
    assert ((smoothed - posterior)[:, :-1].abs().amax((0, 2)) > 1e-6).all()
    assert (
        EnumeratedELBO().estimate(model, guide, batch).bound
        < ExactMarginal().estimate(model, guide, batch).bound
    )


def test_same_latents_in_the_same_plates_and_no_gradient(programs) -> None:
    model, guide = programs
    batch = cases.alignment_batch((3, 2), (2, 3), padded=(1, 1))
    theirs = sample_sites(poutine.trace(model).get_trace(batch))
    mine = sample_sites(poutine.trace(guide).get_trace(batch))
    assert list(mine) == [sites.ALIGNMENT]
    assert guide.max_plate_nesting == model.max_plate_nesting
    for part in ("cond_indep_stack", "scale"):
        assert str(mine[sites.ALIGNMENT][part]) == str(theirs[sites.ALIGNMENT][part])
    assert torch.equal(mine[sites.ALIGNMENT]["mask"], batch.target_mask)
    assert not mine[sites.ALIGNMENT]["fn"].logits.requires_grad
    assert theirs[sites.ALIGNMENT]["fn"].logits.requires_grad


def test_decoding_step_by_step_is_the_program(programs) -> None:
    model, _ = programs
    batch = cases.alignment_batch((3, 2), (2, 3), padded=(1, 1))
    drawn = poutine.trace(model).get_trace(batch).nodes[sites.ALIGNMENT]
    source, state = model.read(batch.source, batch.source_mask)
    previous = torch.full((2,), model.boundary)
    for t in range(batch.target.shape[1]):
        _, scores, state = model.step(source, state, previous)
        known = batch.target_mask[:, t]
        torch.testing.assert_close(scores.log_softmax(-1)[known], drawn["fn"].logits[known, t], **CLOSE)
        previous = batch.target[:, t]
