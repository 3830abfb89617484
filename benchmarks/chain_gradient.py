"""How exact is the gradient of an exact objective, and what does it cost?

    python benchmarks/chain_gradient.py [--seeds 5] [--rounds 10] [--quick]

The first table: left-to-right chains of S = 20 states that stay or move one state to the right, with
log-likelihoods drawn from normal distributions. The gradient of log p(y) with respect to them is the
posterior marginal of every state at every step; the largest error, over all seeds, against a forward
recursion in float64, and the median seconds of one gradient. `hand` is a forward recursion written out in
torch; `log p lost` marks a value that is off by a nat or more.

The second table: milliseconds of a forward and backward pass of a hidden Markov model, B = 32, whose tables
are dense. Every round runs all of them once, in a new order, on one thread. Pyro's validation is off.
"""

import argparse
import itertools
import random
import time
from collections.abc import Callable
from statistics import median

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import TraceEnum_ELBO, config_enumerate
from torch import Tensor, nn

from hardpp.inference.exact import EnumeratedELBO, ExactMarginal

NEVER = -1e4  # a finite zero: the hand-written recursion has no gradient at minus infinity


def band(S: int) -> Tensor:
    """Log-probabilities (S + 1, S) of staying and moving right; the last row starts at state 0."""
    table = torch.full((S + 1, S), NEVER)
    index = torch.arange(S)
    table[index, index] = table[index[:-1], index[1:]] = table[S, 0] = 0.0
    return table.log_softmax(-1)


def chain(move: Tensor, likelihood: Tensor) -> None:
    """The program: likelihood (T, S)."""
    T, S = likelihood.shape
    with pyro.plate("data", 1, dim=-1):
        z = torch.full((1,), S)
        for t in pyro.markov(range(T)):
            z = pyro.sample(f"z_{t}", dist.Categorical(logits=move[z]))
            pyro.factor(f"y_{t}", likelihood[t][z])


def no_guide(*args: Tensor) -> None:
    pass


def by_hand(move: Tensor, likelihood: Tensor) -> Tensor:
    state = move[-1] + likelihood[0]
    for term in likelihood[1:]:
        state = (state.unsqueeze(-1) + move[:-1]).logsumexp(0) + term
    return state.logsumexp(0)


def by_pyro(move: Tensor, likelihood: Tensor) -> Tensor:
    return -TraceEnum_ELBO(max_plate_nesting=1).differentiable_loss(
        config_enumerate(chain), no_guide, move, likelihood
    )


def by_us(move: Tensor, likelihood: Tensor) -> Tensor:
    return ExactMarginal(max_plate_nesting=1).estimate(chain, no_guide, move, likelihood).surrogate


WAYS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], torch.dtype]] = {
    "hand, float32": (by_hand, torch.float32),
    "TraceEnum_ELBO, float32": (by_pyro, torch.float32),
    "TraceEnum_ELBO, float64": (by_pyro, torch.float64),
    "exact, float32": (by_us, torch.float32),
}


def gradient(
    way: Callable[[Tensor, Tensor], Tensor], move: Tensor, likelihood: Tensor
) -> tuple[Tensor, Tensor]:
    leaf = likelihood.clone().requires_grad_()
    log_p = way(move, leaf)
    (found,) = torch.autograd.grad(log_p, [leaf])
    return log_p.detach().double(), found.double()


def errors(T: int, variance: float, seeds: int) -> None:
    worst: dict[str, float] = dict.fromkeys(WAYS, 0.0)
    lost: dict[str, bool] = dict.fromkeys(WAYS, False)
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        likelihood = variance**0.5 * torch.randn(T, 20, generator=generator)
        value, expected = gradient(by_hand, band(20).double(), likelihood.double())
        for name, (way, dtype) in WAYS.items():
            began = time.perf_counter()
            found, marginals = gradient(way, band(20).to(dtype), likelihood.to(dtype))
            seconds[name].append(time.perf_counter() - began)
            error = (marginals - expected).abs().max()
            worst[name] = max(worst[name], float("inf") if error.isnan() else float(error))
            lost[name] |= not bool((found - value).abs() < 1.0)
    cells = []
    for name, error in worst.items():
        note = " (log p lost)" if lost[name] else ""
        cells.append(f"{error:.0e}{note}, {median(seconds[name]):.2f} s")
    print(f"| {T} | {variance:g} | {' | '.join(cells)} |", flush=True)


class HiddenMarkov(nn.Module):
    """z_t given z_{t-1} and y_t given z_t by dense tables; without emissions, a guide."""

    def __init__(self, S: int, V: int, emits: bool = True):
        super().__init__()
        self.move, self.say = nn.Parameter(torch.randn(S + 1, S)), nn.Parameter(torch.randn(S, V))
        self.S, self.emits = S, emits

    def forward(self, symbols: Tensor) -> None:
        B, T = symbols.shape
        with pyro.plate("data", B, dim=-1):
            z = torch.full((B,), self.S)
            for t in pyro.markov(range(T)):
                z = pyro.sample(f"z_{t}", dist.Categorical(logits=self.move[z]))
                if self.emits:
                    pyro.sample(f"y_{t}", dist.Categorical(logits=self.say[z]), obs=symbols[:, t])

    def log_marginal(self, symbols: Tensor) -> Tensor:
        move, say = self.move.log_softmax(-1), self.say.log_softmax(-1)
        state = move[-1] + say[:, symbols[:, 0]].T
        for t in range(1, symbols.shape[1]):
            state = (state.unsqueeze(-1) + move[:-1]).logsumexp(1) + say[:, symbols[:, t]].T
        return state.logsumexp(-1).sum()


def step_times(S: int, T: int, rounds: int) -> dict[str, float]:
    """Milliseconds of each way."""
    model, guide = HiddenMarkov(S, 50), HiddenMarkov(S, 50, emits=False)
    symbols = torch.randint(50, (32, T))
    exact, enum = ExactMarginal(max_plate_nesting=1), EnumeratedELBO(max_plate_nesting=1)
    theirs = TraceEnum_ELBO(max_plate_nesting=1)
    ways: dict[str, Callable[[], object]] = {
        "hand": lambda: model.log_marginal(symbols).backward(),
        "TraceEnum_ELBO": lambda: theirs.differentiable_loss(
            config_enumerate(model), no_guide, symbols
        ).backward(),
        "exact": lambda: exact.estimate(model, no_guide, symbols).surrogate.backward(),
        "enum": lambda: enum.estimate(model, guide, symbols).surrogate.backward(),
        "posterior": lambda: exact.posterior(model, no_guide, symbols),
        "100 draws": lambda: exact.sample_posterior(model, no_guide, symbols, num_samples=100),
        "mode": lambda: exact.mode(model, no_guide, symbols),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name in random.sample(list(ways), len(ways)):
            began = time.perf_counter()
            ways[name]()
            if number:  # the first round warms up
                seconds[name].append(time.perf_counter() - began)
    return {name: 1e3 * median(values) for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="one seed, two rounds: only to see that it runs")
    options = parser.parse_args()
    seeds, rounds = (1, 2) if options.quick else (options.seeds, options.rounds)
    torch.set_num_threads(1)
    pyro.enable_validation(False)
    torch.manual_seed(0)
    random.seed(0)

    print(f"error of the posterior marginals, seconds\n\n| T | variance | {' | '.join(WAYS)} |")
    print(f"|---|---|{'---|' * len(WAYS)}")
    for T in (30, 100, 300):
        for variance in (1.0, 9.0, 100.0):
            errors(T, variance, seeds)
    for S, T in itertools.product((2, 20), (30, 120)):
        times = step_times(S, T, rounds)
        if (S, T) == (2, 30):
            print(f"\nmilliseconds\n\n| S | T | {' | '.join(times)} |\n|---|---|{'---|' * len(times)}")
        print(f"| {S} | {T} | {' | '.join(f'{each:.1f}' for each in times.values())} |", flush=True)


if __name__ == "__main__":
    main()
