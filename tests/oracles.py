"""Brute-force answers: every latent tuple of a tiny program, weighed by hand.

The `Twin` of a program is here one written a second time in plain torch: given values of all its latents it
returns log p(y, z) and log q(z), per datum. What is summed over its tuples is that of `hardpp check`, which
knows of no objective; nothing else of hardpp is used here.

Shapes: C tuples, B data, T steps, S values of a latent, V symbols, K particles, P parameters.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyro
import torch
from pyro.infer.util import is_validation_enabled
from torch import Tensor

from hardpp.tasks.doctor import exact_expectation
from hardpp.tasks.doctor.exact_expectation import (  # noqa: F401 - what tests call oracles.*
    Force,
    Latent,
    Twin,
    Values,
    bound_per_datum,
    draws,
    flat_gradient,
    iw_bound_per_datum,
    log_marginal,
    tuples,
)


def expectation(
    twin: Twin, particles: int, run: Callable[[], tuple[Tensor, ...]], fill: int = 0
) -> list[Tensor]:
    """The exact mean over the guide's draws of each tensor that `run` returns.

    Pyro looks the programs over at the first draw; at the others nothing but the numbers is asked for.
    """
    calls, validation = itertools.count(), is_validation_enabled()

    def looked_over_once() -> tuple[Tensor, ...]:
        with pyro.validation_enabled(validation and next(calls) == 0):
            return run()

    return exact_expectation.expectation(twin, particles, looked_over_once, fill)


def posterior(twin: Twin) -> dict[str, Tensor]:
    """p(z = s | y) of every latent, (*plates, S); 0 where it does not count."""
    values = tuples(twin.latents)
    log_p, _ = twin.joint(values)
    weights = log_p.sum(-1).softmax(0)  # (C,)
    out = {}
    for name, latent in twin.latents.items():
        hit = torch.nn.functional.one_hot(values[name], latent.values) * latent.mask.unsqueeze(-1)
        out[name] = torch.tensordot(weights, hit.to(weights), dims=1)
    return out


def antithetic_law(q: Tensor, K: int) -> Tensor:
    """P(z[1], .., z[K]) of one latent if each particle draws from a K-th of [0, 1) of its own, (S,) * K.

    Which K-th is whose is random. Values are pieces of [0, 1), as long as their probability q (S), the
    longest first.
    """
    share, start = torch.zeros(len(q), K, dtype=q.dtype), 0.0
    for value in sorted(range(len(q)), key=lambda value: -float(q[value])):
        end = start + float(q[value])
        for r in range(K):
            share[value, r] = max(0.0, min(end, (r + 1) / K) - max(start, r / K))
        start = end
    orders = list(itertools.permutations(range(K)))
    return sum((_outer([K * share[:, r] for r in order]) for order in orders), torch.zeros(())) / len(orders)


def antithetic_draws(
    twin: Twin, particles: int, coupled: dict[str, Tensor]
) -> Iterator[tuple[Tensor, Values]]:
    """Like `draws`, these latents of probabilities (*plates, S) being drawn by `antithetic_law`."""
    values = tuples(twin.latents)
    with torch.no_grad():
        own = twin.joint(values)[1].sum(-1).exp()  # (C,)
        joint = _outer([own] * particles)
        for name, table in coupled.items():
            for place in twin.latents[name].mask.nonzero().tolist():
                q, z = table[tuple(place)], values[name][(slice(None), *place)]
                share = antithetic_law(q, particles) / _outer([q] * particles)
                joint = joint * share[torch.meshgrid(*[z] * particles, indexing="ij")]
    torch.testing.assert_close(joint.sum(), torch.ones_like(joint.sum()))
    for chosen in (joint > 0).nonzero().tolist():
        yield joint[tuple(chosen)], {name: value[chosen] for name, value in values.items()}


def _outer(factors: Sequence[Tensor]) -> Tensor:
    product = torch.ones(())
    for factor in factors:
        product = product.unsqueeze(-1) * factor
    return product


def gradient_variance(
    twin: Twin, particles: int, run: Callable[[], Tensor], parameters: Sequence[Tensor]
) -> Tensor:
    """The exact variance of the gradient of what `run` returns, (P,)."""
    first = second = torch.zeros(())
    for probability, values in draws(twin, particles):
        with Force(values):
            gradient = flat_gradient(run(), parameters)
        first, second = first + probability * gradient, second + probability * gradient**2
    return second - first**2


# --- the programs of cases.py, a second time ---------------------------------------------------------


def chain(
    transition: Tensor, emission: Tensor, guide: Tensor, symbols: Tensor, mask: Tensor, values: Values
) -> tuple[Tensor, Tensor]:
    """p(z_t | z_{t-1}) p(y_t | z_t) and q(z_t | z_{t-1}); the last row of a table is the start.

    Shapes: transition (S + 1, S), emission (S, V), guide (T, S + 1, S), symbols and mask (B, T).
    """
    B, T = symbols.shape
    S = emission.shape[0]
    log_p = log_q = torch.zeros(())
    previous = torch.full((1, B), S)
    for t in range(T):
        z = values[f"z_{t}"]  # (C, B)
        p = transition.log_softmax(-1)[previous, z] + emission.log_softmax(-1)[z, symbols[:, t]]
        q = guide[t].log_softmax(-1)[previous, z]
        log_p = log_p + p * mask[:, t]
        log_q = log_q + q * mask[:, t]
        previous = z
    return log_p, log_q


def history(
    prior: Tensor, emission: Tensor, guide: Tensor, symbols: Tensor, values: Values
) -> tuple[Tensor, Tensor]:
    """Everything depends on the whole prefix, read as a binary number.

    Shapes: prior and guide (T, 2^T, 2), emission (T, 2^(T + 1), V), symbols (B, T).
    """
    log_p = log_q = torch.zeros(())
    code = torch.zeros(1, symbols.shape[0], dtype=torch.int64)
    for t in range(symbols.shape[1]):
        z = values[f"z_{t}"]
        log_p = log_p + prior[t].log_softmax(-1)[code, z]
        log_q = log_q + guide[t].log_softmax(-1)[code, z]
        code = 2 * code + z
        log_p = log_p + emission[t].log_softmax(-1)[code, symbols[:, t]]
    return log_p, log_q


def two_supports(
    colour: Tensor, shape: Tensor, emission: Tensor, guides: Sequence[Tensor], symbols: Tensor, values: Values
) -> tuple[Tensor, Tensor]:
    """p(c) p(w | c) p(y | c, w) and q(c) q(w | c): colour (2), shape (2, 3), emission (2, 3, V)."""
    c, w = values["colour"], values["shape"]
    log_p = colour.log_softmax(-1)[c] + shape.log_softmax(-1)[c, w]
    log_p = log_p + emission.log_softmax(-1)[c, w, symbols]
    return log_p, guides[0].log_softmax(-1)[c] + guides[1].log_softmax(-1)[c, w]


def alignment(
    prior: Tensor,
    likelihood: Tensor,
    guide: Tensor,
    mask: Tensor,
    values: Values,
) -> tuple[Tensor, Tensor]:
    """Independent steps: log tables (B, T, S) of p(z), p(y | z) and q(z), a (B, T) mask."""
    B, T = mask.shape
    log_p, log_q = [], []
    for b in range(B):
        p = q = torch.zeros(len(values["alignment"]))
        for t in range(T):
            if mask[b, t]:
                z = values["alignment"][:, b, t]
                p = p + prior[b, t, z] + likelihood[b, t, z]
                q = q + guide[b, t, z]
        log_p.append(p)
        log_q.append(q)
    return torch.stack(log_p, -1), torch.stack(log_q, -1)


def alignment_tables(model: Any, batch: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What a LatentAlignment says of every position, by a loop over sentences, steps and positions.

    Returns log p(z) and log p(y | z), both (B, T, S) with -inf at padding; the memory and the queries.
    """
    memory = model.encoder(model.embedding(batch.source), batch.source_mask)
    previous = torch.cat([torch.full_like(batch.target[:, :1], model.boundary), batch.target[:, :-1]], 1)
    query, scores = model.decoder(previous, memory, batch.source_mask)
    prior, likelihood = [], []
    for b, t in itertools.product(range(batch.target.shape[0]), range(batch.target.shape[1])):
        length = int(batch.source_mask[b].sum())
        none = [scores.new_full((), -torch.inf)] * (batch.source.shape[1] - length)
        prior += [*scores[b, t, :length].log_softmax(0), *none]
        logits = [model.readout(memory[b, s], query[b, t]) for s in range(length)]
        likelihood += [each.log_softmax(-1)[batch.target[b, t]] for each in logits] + none
    shape = (*batch.target.shape, batch.source.shape[1])
    return torch.stack(prior).reshape(shape), torch.stack(likelihood).reshape(shape), memory, query


def alignment_marginal(model: Any, batch: Any) -> Tensor:
    """log p(y | x) of every sentence, (B,)."""
    prior, likelihood, _, _ = alignment_tables(model, batch)
    return ((prior + likelihood).logsumexp(-1) * batch.target_mask).sum(-1)


def forward_recursion(transition: Tensor, emission: Tensor, symbols: Tensor) -> Tensor:
    """log p(y) of a chain whose first state is drawn from the last row of `transition`, in float64.

    Shapes: transition (S + 1, S) and emission (S, V) logits, symbols (T,).
    """
    move = transition.double().log_softmax(-1)
    say = emission.double().log_softmax(-1)
    state = move[-1] + say[:, symbols[0]]
    for symbol in symbols[1:]:
        state = (state.unsqueeze(-1) + move[:-1]).logsumexp(0) + say[:, symbol]
    return state.logsumexp(0)
