"""How likely DisARM draws a pair of tuples: latents whose logits depend on no draw come from strata.

Shapes: C tuples, S values, ... = plates of a latent.
"""

import itertools
from collections.abc import Iterator

import torch
from oracles import antithetic_law
from programs.brute_force import Weighed
from programs.program import Draw, Given, Program
from pyro import poutine
from torch import Tensor


def pairs(program: Program, w: Weighed) -> Iterator[tuple[Tensor, list[Draw]]]:
    """Every pair of tuples that has a probability, and that probability."""
    logits = [_logits(program, draw) for draw in w.draws]
    shared = [name for name in logits[0] if all(torch.equal(each[name], logits[0][name]) for each in logits)]
    laws = {name: _laws(logits[0][name]) for name in shared}
    for i, j in itertools.product(range(len(w.draws)), repeat=2):
        probability = w.log_q[[i, j]].detach().sum().exp()
        for name in shared:
            choices = program.latents[name]
            size = len(w.draws[i][name].flatten())
            counts = [True] * size if choices.counts is None else choices.counts
            own = logits[0][name].reshape(-1, logits[0][name].shape[-1]).softmax(-1)
            a, b = (w.draws[k][name].flatten().long() for k in (i, j))
            for e in [e for e in range(size) if counts[e]]:
                row = e if len(own) == size else 0
                law = laws[name][row]
                probability = probability * law[a[e], b[e]] / (own[row, a[e]] * own[row, b[e]])
        if probability > 0:
            yield probability, [w.draws[i], w.draws[j]]


# The logits of every latent that is a choice or a yes, (..., S).
def _logits(program: Program, draw: Draw) -> dict[str, Tensor]:
    with Given(draw):
        trace = poutine.trace(program.guide).get_trace()
    out = {}
    for name in program.latents:
        fn = trace.nodes[name]["fn"]
        while hasattr(fn, "base_dist"):
            fn = fn.base_dist
        if isinstance(fn, torch.distributions.Bernoulli):
            out[name] = torch.stack([torch.zeros_like(fn.logits), fn.logits], -1).detach()
        elif isinstance(fn, torch.distributions.Categorical):
            out[name] = fn.logits.detach()
    return out


def _laws(logits: Tensor) -> list[Tensor]:
    return [antithetic_law(row.softmax(-1), 2) for row in logits.reshape(-1, logits.shape[-1])]
