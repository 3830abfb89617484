"""Summing an alignment out of a large vocabulary: cost, memory and error of the readout.

    python benchmarks/large_vocabulary.py [--rounds 9] [--symbols 8000] [--positions 20] [--quick]

The exact marginal log sum_s p(s) p(y | s) of 160 target symbols, forward and backward, from features (B*T, S,
H) on: the logits written out, Pyro's Categorical, and LinearCategorical, which may leave out the terms that
do not count for 1e-6 nats; beside them soft attention, which scores one row of features a symbol. Each round
runs all once, in a new order, on one thread, so that a slower moment of the machine hits all alike; times are
CPU time, ratios are taken within a round. Peak memory is that of a process that runs one of them, less that
of a process that runs none. The error is the largest of a gradient (of features, weight or bias), relative to
its largest entry, against the logits written out in float64.
"""

import argparse
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from statistics import median
from typing import NamedTuple

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from hardpp.distributions.linear_categorical import LinearCategorical
from hardpp.ops.precision import has_instructions

ROWS, HIDDEN = 160, 256  # B * T, H
# Standard deviation of the prior's scores. The last has an entropy of .43 nats a symbol, as after training on
# the made-up sentences of docs/benchmarks.md (after training on words and phones it is .07), the second .72.
POSTERIORS = {"flat": 0.0, "peaked": 5.0, "trained": 8.0}
TOLERANCE = 1e-6  # nats

Emission = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


class Mixture(NamedTuple):
    """Scores of the prior (B*T, S) and what emits symbol y (B*T) at each position."""

    scores: Tensor
    features: Tensor  # (B*T, S, H)
    weight: Tensor  # (V, H)
    bias: Tensor  # (V)
    symbol: Tensor  # (B*T)

    @property
    def leaves(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.features, self.weight, self.bias

    def to(self, dtype: torch.dtype) -> "Mixture":
        scores, *leaves = (t.detach().to(dtype) for t in self[:4])
        return Mixture(scores, *(leaf.requires_grad_() for leaf in leaves), self.symbol)


def mixture(sharpness: float, positions: int, symbols: int) -> Mixture:
    generator = torch.Generator().manual_seed(0)
    normal = partial(torch.randn, generator=generator)
    made = Mixture(
        normal(ROWS, positions) * sharpness,
        normal(ROWS, positions, HIDDEN).tanh(),
        normal(symbols, HIDDEN) * 0.05,
        torch.zeros(symbols),
        torch.randint(symbols, (ROWS,), generator=generator),
    )
    return made.to(torch.float32)


def written_out(features: Tensor, weight: Tensor, bias: Tensor, value: Tensor) -> Tensor:
    log_probs = torch.nn.functional.linear(features, weight, bias).log_softmax(-1)
    return log_probs.gather(-1, value.expand(features.shape[:-1]).unsqueeze(-1)).squeeze(-1)


def categorical(features: Tensor, weight: Tensor, bias: Tensor, value: Tensor) -> Tensor:
    return dist.Categorical(logits=torch.nn.functional.linear(features, weight, bias)).log_prob(value)


def linear_categorical(
    features: Tensor, weight: Tensor, bias: Tensor, value: Tensor, **options: float
) -> Tensor:
    return LinearCategorical(features, weight, bias, **options).log_prob(value)


def exact(emission: Emission, m: Mixture) -> Tensor:
    log_likelihood = emission(*m.leaves, m.symbol.unsqueeze(-1))  # (B*T, S)
    return (m.scores.log_softmax(-1) + log_likelihood).logsumexp(-1).sum()


def those_that_count(emission: Emission, m: Mixture) -> Tensor:
    log_prior = m.scores.log_softmax(-1)
    fn = LinearCategorical(*m.leaves)
    log_likelihood = fn.mixture_terms(m.symbol.unsqueeze(-1), log_prior, -1, TOLERANCE)  # (B*T, S)
    return (log_prior + log_likelihood).logsumexp(-1).sum()


def soft(emission: Emission, m: Mixture) -> Tensor:
    expected = (m.scores.softmax(-1).unsqueeze(1) @ m.features).squeeze(1)  # (B*T, H)
    return emission(expected, m.weight, m.bias, m.symbol).sum()


REFERENCE, SOFT, NOTHING = "exact, logits written out", "soft, Categorical", "nothing"
WAYS: dict[str, tuple[Callable[[Emission, Mixture], Tensor], Emission, bool]] = {  # the last: autocast
    REFERENCE: (exact, written_out, False),
    "exact, Categorical": (exact, categorical, False),
    "exact, LinearCategorical": (exact, linear_categorical, False),
    "exact, LinearCategorical(negligible=1e-4)": (
        exact, partial(linear_categorical, negligible=1e-4), False
    ),
    "exact, LinearCategorical, terms that count": (those_that_count, linear_categorical, False),
    SOFT: (soft, categorical, False),
    "soft, LinearCategorical": (soft, linear_categorical, False),
}  # fmt: skip
if has_instructions(torch.bfloat16, torch.device("cpu")):  # without, they take a hundred times as long
    WAYS["exact, LinearCategorical, bfloat16 autocast"] = (exact, linear_categorical, True)
    WAYS["soft, Categorical, bfloat16 autocast"] = (soft, categorical, True)


def gradients(name: str, m: Mixture) -> tuple[Tensor, ...]:
    objective, emission, narrow = WAYS[name]
    with torch.autocast("cpu", torch.bfloat16) if narrow else nullcontext():
        value = objective(emission, m)
    return torch.autograd.grad(value, m.leaves)


def error(name: str, m: Mixture) -> str:
    if WAYS[name][0] is soft:
        return "-"
    pairs = zip(gradients(name, m), gradients(REFERENCE, m.to(torch.float64)), strict=True)
    return f"{max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs):.1e}"


def peak(name: str, posterior: str, options: argparse.Namespace) -> float:
    """MiB of a new process that runs one way, or none, once."""
    command = [sys.executable, __file__, "--only", name, posterior]
    command += ["--symbols", str(options.symbols), "--positions", str(options.positions)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024


def report(posterior: str, peaks: dict[str, float], options: argparse.Namespace) -> None:
    m = mixture(POSTERIORS[posterior], options.positions, options.symbols)
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(options.rounds + 2):
        for name in random.sample(list(WAYS), len(WAYS)):
            began = time.thread_time()
            gradients(name, m)
            if number >= 2:  # the first rounds warm up
                seconds[name].append(time.thread_time() - began)
    with torch.no_grad():
        joint = m.scores.log_softmax(-1) + linear_categorical(*m.leaves, m.symbol.unsqueeze(-1))
        best = joint.softmax(-1).topk(2).values  # (B*T, 2)
    print(f"\n{posterior} posterior: on average {best[:, 0].mean():.2f} of it on the best position,")
    print(f"{best.sum(-1).mean():.2f} on the best two; S={options.positions}, V={options.symbols}\n")
    print("| | median ms | / written out | min..max | / soft | peak MiB | gradient error |")
    print("|---|---|---|---|---|---|---|")
    for name, values in seconds.items():
        ratios = [a / b for a, b in zip(values, seconds[REFERENCE], strict=True)]
        to_soft = median(a / b for a, b in zip(values, seconds[SOFT], strict=True))
        row = [name, f"{1e3 * median(values):.0f}", f"{median(ratios):.2f}"]
        row += [f"{min(ratios):.2f}..{max(ratios):.2f}", f"{to_soft:.1f}"]
        row += [f"{peaks[name] - peaks[NOTHING]:.0f}", error(name, m)]
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--symbols", type=int, default=8000, help="V")
    parser.add_argument("--positions", type=int, default=20, help="S")
    parser.add_argument("--quick", action="store_true", help="two rounds of 600 symbols: only to see it runs")
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)  # in a process of its own: its peak
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.symbols = 2, 600
    torch.set_num_threads(1)
    random.seed(0)
    pyro.enable_validation(False)
    if options.only:
        name, posterior = options.only
        m = mixture(POSTERIORS[posterior], options.positions, options.symbols)
        if name in WAYS:
            gradients(name, m)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # KiB
        return
    # First, while this process is small: what it starts counts its size in at birth.
    names = [NOTHING, *WAYS]
    peaks = {posterior: {name: peak(name, posterior, options) for name in names} for posterior in POSTERIORS}
    for posterior in POSTERIORS:
        report(posterior, peaks[posterior], options)


if __name__ == "__main__":
    main()
