"""Filtering and smoothing against the sum over all chains."""

import itertools

import pytest
import torch
from torch import Tensor

from hardpp.ops import chain

T, S = 3, 4
CLOSE = {"rtol": 0, "atol": 1e-12}


def tables(keep: int | None = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Transition (2, T, R, S), emission (2, T, S) and keeps (2, S); the second datum has fewer positions."""
    transition = torch.randn(2, T, S + 1, S, dtype=torch.float64)
    transition[1, ..., 2:] = -torch.inf
    emission = torch.randn(2, T, S, dtype=torch.float64) - 2
    keeps = torch.zeros(2, S, dtype=torch.bool)
    if keep is not None:
        keeps[0, keep] = keeps[1, 1] = True
    return transition.log_softmax(-1), emission, keeps


def paths(transition: Tensor, emission: Tensor, keeps: Tensor) -> dict[tuple[int, ...], Tensor]:
    """p(z, y) of every chain z of one datum, multiplied up step by step."""
    found = {}
    steps = len(transition)
    for z in itertools.product(range(S), repeat=steps):
        place, total = 0, torch.zeros((), dtype=torch.float64)
        for t, s in enumerate(z):
            total = total + transition[t, place, s] + emission[t, s]
            place = place if keeps[s] else s + 1
        found[z] = total.exp()
    return found


@pytest.mark.parametrize("keep", [None, 3, 0])
def test_the_prior_is_that_of_all_chains_given_earlier_symbols(keep: int | None) -> None:
    transition, emission, keeps = tables(keep)
    found, _ = chain.filtered(transition, emission, keeps)
    for b, t in itertools.product(range(2), range(T)):
        silent = emission[b, : t + 1].clone()
        silent[t] = 0  # the step has not emitted yet
        joint = paths(transition[b, : t + 1], silent, keeps[b])
        expected = torch.stack([sum(p for z, p in joint.items() if z[t] == s) for s in range(S)])
        torch.testing.assert_close(found[b, t].exp(), expected / expected.sum(), **CLOSE)


@pytest.mark.parametrize("keep", [None, 3, 0])
def test_smoothed_positions_are_the_posterior_of_all_chains(keep: int | None) -> None:
    transition, emission, keeps = tables(keep)
    found = chain.smoothed(transition, emission, keeps)
    for b, t in itertools.product(range(2), range(T)):
        joint = paths(transition[b], emission[b], keeps[b])
        expected = torch.stack([sum(p for z, p in joint.items() if z[t] == s) for s in range(S)])
        torch.testing.assert_close(found[b, t].exp(), expected / expected.sum(), **CLOSE)


def test_steps_by_themselves_have_the_likelihood_of_the_chain_and_its_gradient() -> None:
    transition, emission, keeps = tables()
    emission.requires_grad_()
    prior, _ = chain.filtered(transition, emission, keeps)
    log_p = (prior + emission).logsumexp(-1).sum(-1)  # (2,)
    summed = [sum(paths(transition[b], emission[b], keeps[b]).values()).log() for b in range(2)]
    torch.testing.assert_close(log_p, torch.stack(summed), **CLOSE)
    # The gradient with respect to an emission is the chain's posterior.
    (gradient,) = torch.autograd.grad(log_p.sum(), emission)
    smoothed = chain.smoothed(transition, emission.detach(), keeps).exp()
    torch.testing.assert_close(gradient, smoothed, **CLOSE)


def test_a_step_without_emission_does_not_change_earlier_ones() -> None:
    transition, emission, keeps = tables()
    padded = torch.cat([emission, torch.zeros(2, 1, S, dtype=torch.float64)], 1)
    longer = torch.cat([transition, transition[:, :1]], 1)
    found = chain.smoothed(longer, padded, keeps)[:, :T]
    torch.testing.assert_close(found, chain.smoothed(transition, emission, keeps), **CLOSE)


def test_beliefs_are_normalised_and_keep_their_place() -> None:
    transition, emission, keeps = tables()
    _, belief = chain.filtered(transition, emission, keeps)
    torch.testing.assert_close(belief.logsumexp(-1), torch.zeros(2, T, dtype=torch.float64), **CLOSE)
    assert torch.equal(belief[:, 0].exp(), torch.tensor([[1.0, 0, 0, 0, 0]] * 2, dtype=torch.float64))
    assert (belief.exp()[0, :, 1 + 3] == 0).all()  # nobody stands at the end mark
    assert (belief.exp()[0, 1:, 0] > 0).all()  # still before the source, having looked at the end mark


def test_gradients_are_finite_where_most_is_impossible() -> None:
    _, emission, keeps = tables()
    scores = torch.zeros(2, T, S + 1, S, dtype=torch.float64, requires_grad=True)
    only = torch.full_like(scores, -torch.inf)
    only[..., 1] = 0
    emission.requires_grad_()
    prior, _ = chain.filtered((scores + only).log_softmax(-1), emission, keeps)
    (prior + emission).logsumexp(-1).sum().backward()
    assert scores.grad.isfinite().all()
    assert emission.grad.isfinite().all()
    torch.testing.assert_close(prior.exp()[..., 1], torch.ones(2, T, dtype=torch.float64), **CLOSE)
