"""What an objective costs beside the same mathematics written by hand in torch.

    python benchmarks/objective_cost.py [--rounds 40] [--only OBJECTIVE] [--quick]

One program: a latent a step, chosen among S = 20 positions given the last choice, and a symbol of V = 100
that it emits; T = 30 steps, a batch of B = 32, K = 8 particles. One step is forward and backward, on one
thread, in CPU time; each round runs everything once in a new order, and ratios are taken within a round. The
hand-written twins know the program: no sites, no traces, one loop. In the second table a step depends on
all before it, through a GRU in the model and one in the guide. The last is `elbo` beside Pyro's
TraceGraph_ELBO, with one particle and with eight, and growth in T. Validation is off, as in training.
"""

import argparse
import random
import time
from collections.abc import Callable
from functools import partial
from math import log
from statistics import median
from typing import Any, NamedTuple

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import TraceGraph_ELBO
from torch import Tensor, nn

from hardpp.distributions.categorical import Categorical
from hardpp.inference.importance_weighted import IWAE, VIMCO
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.wake_sleep import ReweightedWakeSleep

B, S, H, V, STEPS = 32, 20, 64, 100, 30


class Networks(nn.Module):
    """What the model and the guide compute with, in both ways of writing them."""

    def __init__(self, steps: int):
        super().__init__()
        self.memory, self.states = torch.randn(B, S, H), torch.randn(B, steps, H)
        self.symbols = torch.randint(0, V, (B, steps))
        self.prior, self.posterior = nn.Linear(H, H), nn.Linear(2 * H, H)
        self.emission, self.embedding = nn.Linear(2 * H, V), nn.Embedding(V, H)
        self.rows = torch.arange(B)

    def read(self, z: Tensor) -> Tensor:
        return self.memory[self.rows, z]

    def state(self, role: str, t: int, context: Tensor, last: Tensor | None) -> Tensor:
        return self.states[:, t] + 0.1 * context

    def prior_scores(self, t: int, context: Tensor, last: Tensor | None) -> tuple[Tensor, Tensor]:
        state = self.state("model", t, context, last)
        return (self.memory @ self.prior(state).unsqueeze(-1)).squeeze(-1), state

    def posterior_scores(self, t: int, context: Tensor, last: Tensor | None) -> tuple[Tensor, Tensor]:
        state = self.state("guide", t, context, last)
        both = torch.cat([state, self.embedding(self.symbols[:, t]).expand_as(state)], -1)
        return (self.memory @ self.posterior(both).unsqueeze(-1)).squeeze(-1), state

    def symbol_scores(self, state: Tensor, context: Tensor) -> Tensor:
        return self.emission(torch.cat([state.expand_as(context), context], -1))


class Recurrent(Networks):
    """With a state of their own that each particle carries: a GRU over its contexts and the symbols."""

    def __init__(self, steps: int):
        super().__init__(steps)
        self.cells = nn.ModuleDict({role: nn.GRUCell(2 * H, H) for role in ("model", "guide")})

    def state(self, role: str, t: int, context: Tensor, last: Tensor | None) -> Tensor:
        symbol = self.embedding(self.symbols[:, t - 1] if t else torch.zeros_like(self.symbols[:, 0]))
        read = torch.cat([symbol.expand_as(context), context], -1)
        last = context.new_zeros(()) if last is None else last
        last = last.expand(*context.shape[:-1], H).reshape(-1, H)
        new: Tensor = self.cells[role](read.reshape(-1, 2 * H), last)
        return new.unflatten(0, context.shape[:-1])


class Model(nn.Module):
    """The program, with the categorical it is given."""

    max_plate_nesting = 1

    def __init__(self, networks: Networks, categorical: Any):
        super().__init__()
        self.networks, self.categorical = networks, categorical

    def forward(self) -> None:
        net = self.networks
        context, state = torch.zeros(B, H), None
        with pyro.plate("data", B, dim=-1):
            for t in range(net.symbols.shape[1]):
                scores, state = net.prior_scores(t, context, state)
                context = net.read(pyro.sample(f"z_{t}", self.categorical(logits=scores)))
                symbol = self.categorical(logits=net.symbol_scores(state, context))
                pyro.sample(f"y_{t}", symbol, obs=net.symbols[:, t])


class Guide(Model):
    """Its guide: reads the symbol too."""

    def forward(self) -> None:
        net = self.networks
        context, state = torch.zeros(B, H), None
        with pyro.plate("data", B, dim=-1):
            for t in range(net.symbols.shape[1]):
                scores, state = net.posterior_scores(t, context, state)
                context = net.read(pyro.sample(f"z_{t}", self.categorical(logits=scores)))


class Terms(NamedTuple):
    """Log-probabilities of particles and steps, (K, B, T), and of all values, T times (K or 1, B, S)."""

    prior: Tensor
    likelihood: Tensor
    guide: Tensor
    all_prior: list[Tensor]
    all_guide: list[Tensor]


def by_hand(net: Networks, K: int) -> Terms:
    """K particles of the guide and their terms, without Pyro."""
    shape, T = (K, B), net.symbols.shape[1]
    context, state, draws, log_q, all_q, all_p = torch.zeros(1, B, H), None, [], [], [], []
    for t in range(T):
        scores, state = net.posterior_scores(t, context, state)
        q = scores.log_softmax(-1)
        all_q.append(q)
        q = q.expand(*shape, S)
        z = q.detach().exp().reshape(-1, S).multinomial(1).reshape(shape)
        log_q.append(q.gather(-1, z.unsqueeze(-1)).squeeze(-1))
        draws.append(z)
        context = net.read(z)
    context, state, prior, likelihood = torch.zeros(1, B, H), None, [], []
    for t, z in enumerate(draws):
        scores, state = net.prior_scores(t, context, state)
        p = scores.log_softmax(-1)
        all_p.append(p)
        p = p.expand(*shape, S)
        prior.append(p.gather(-1, z.unsqueeze(-1)).squeeze(-1))
        context = net.read(z)
        y = net.symbol_scores(state, context).log_softmax(-1)
        likelihood.append(y.gather(-1, net.symbols[:, t].expand(shape).unsqueeze(-1)).squeeze(-1))
    return Terms(*(torch.stack(terms, -1) for terms in (prior, likelihood, log_q)), all_p, all_q)


def suffixes(terms: Tensor) -> Tensor:
    return terms.flip(-1).cumsum(-1).flip(-1)


def others(terms: Tensor) -> Tensor:
    return (terms.sum(0, keepdim=True) - terms) / (terms.shape[0] - 1)


def elbo(terms: Terms, causal: bool, leave_one_out: bool) -> Tensor:
    log_p = terms.prior + terms.likelihood
    gained = (log_p - terms.guide).detach()
    returns = suffixes(gained) if causal else gained.sum(-1, keepdim=True)
    signal = returns - others(returns) if leave_one_out else returns
    return -(log_p.sum() + (terms.guide * signal).sum()) / len(log_p)


def importance_weighted(terms: Terms, sequential: bool) -> Tensor:
    gained = terms.prior + terms.likelihood - terms.guide
    log_w = gained.sum(-1)
    fixed, K = log_w.detach(), len(log_w)
    bound = fixed.logsumexp(0) - log(K)
    signal = bound.unsqueeze(-1)
    if sequential:
        future = suffixes(gained.detach())
        replaced = fixed.unsqueeze(-1) - future + others(future)
        own = torch.eye(K, dtype=torch.bool).unsqueeze(-1)
        rest = fixed.unsqueeze(0).masked_fill(own, -torch.inf).logsumexp(1).unsqueeze(-1)
        signal = signal - (torch.logaddexp(rest, replaced) - log(K)) + 1 / K
    return -((fixed.softmax(0) * log_w).sum() + (terms.guide * signal).sum())


def wake_sleep(terms: Terms) -> Tensor:
    prior, likelihood, log_q = (term.sum(-1) for term in terms[:3])
    weights = (prior + likelihood - log_q).detach().softmax(0)
    control = (prior - log_q).detach().softmax(0)
    of_model = weights * likelihood + (weights - control) * prior
    return -(of_model + (weights - 1 / len(weights)) * log_q).sum()


class Moments:
    """Decaying mean and variance over particles and data of whatever else there is."""

    def __init__(self, *shape: int):
        self.weight, self.mean, self.variance = 0.0, torch.zeros(shape), torch.ones(shape)

    def update(self, values: Tensor) -> None:
        variance, mean = torch.var_mean(values, list(range(values.dim() - self.mean.dim())), correction=0)
        self.weight = 0.9 * self.weight + 0.1
        part = 0.1 / self.weight
        shift = mean - self.mean
        self.variance = (1 - part) * self.variance + part * variance + part * (1 - part) * shift**2
        self.mean = self.mean + part * shift


class LearnedBaseline(nn.Module):
    """NVIL: a network of what was known before the draw, in the unit of running moments."""

    def __init__(self, steps: int, hidden: int = 32):
        super().__init__()
        self.returns, self.features, self.signal = Moments(steps), Moments(4), Moments()
        self.drawn = torch.arange(0.0, steps)
        self.network = nn.Sequential(
            nn.Linear(4, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1)
        )

    def forward(self, terms: Terms) -> Tensor:
        log_p, K = terms.prior + terms.likelihood, len(terms.prior)
        gained = (log_p - terms.guide).detach()  # (K, B, T)
        with torch.no_grad():
            q, p = (torch.stack([each.expand(K, B, S) for each in all_values], 2)
                    for all_values in (terms.all_guide, terms.all_prior))  # fmt: skip
            share = q.exp()
            entropy, kl = -(share * q).sum(-1), (share * (q - p)).sum(-1)
            past = gained.cumsum(-1) - gained
            features = torch.stack([past, entropy, kl, self.drawn.expand_as(past)], -1)
            scaled = (features - self.features.mean) / self.features.variance.sqrt().clamp(min=1e-3)
        said = self.network(scaled.clamp(-5, 5)).squeeze(-1)
        returns = suffixes(gained)
        surprise = returns - (self.returns.mean + self.returns.variance.sqrt() * said)
        unit = self.signal.variance.sqrt().clamp(min=1.0)
        signal = (surprise.detach() - self.signal.mean) / unit
        self.returns.update(returns)
        self.features.update(features)
        self.signal.update(surprise.detach())
        return -(log_p.sum() + (terms.guide * signal).sum() - (surprise / unit).square().sum()) / K


TWINS: dict[str, tuple[Callable[[int], Any], Callable[[Terms], Tensor]]] = {
    "reinforce": (
        partial(ScoreFunctionELBO, credit="global"),
        partial(elbo, causal=False, leave_one_out=False),
    ),
    "elbo": (ScoreFunctionELBO, partial(elbo, causal=True, leave_one_out=False)),
    "rloo": (
        partial(ScoreFunctionELBO, baseline="leave-one-out"),
        partial(elbo, causal=True, leave_one_out=True),
    ),
    "iwae": (IWAE, partial(importance_weighted, sequential=False)),
    "vimco": (VIMCO, partial(importance_weighted, sequential=True)),
    "rws": (ReweightedWakeSleep, wake_sleep),
    "nvil": (partial(ScoreFunctionELBO, baseline="learned", normalize=True), LearnedBaseline(STEPS)),
}


def seconds(steps: dict[str, Callable[[], Tensor]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every step in every round."""
    found: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 2):
        for name in random.sample(list(steps), len(steps)):
            began = time.thread_time()
            steps[name]().backward()
            if number > 1:
                found[name].append(time.thread_time() - began)
    return found


def ratio(values: list[float], reference: list[float]) -> str:
    """Median and quartiles of the ratio within a round."""
    ratios = sorted(a / b for a, b in zip(values, reference, strict=True))
    n = len(ratios)
    return f"{median(ratios):.2f} | {ratios[n // 4]:.2f}..{ratios[(3 * n) // 4]:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--only", choices=TWINS, help="one objective, and no last table")
    parser.add_argument("--quick", action="store_true", help="two rounds: only to see that it runs")
    options = parser.parse_args()
    rounds, K = 2 if options.quick else options.rounds, 8
    torch.set_num_threads(1)
    torch.manual_seed(0)
    random.seed(0)
    pyro.enable_validation(False)

    chosen = [options.only] if options.only else list(TWINS)
    for title, networks in PARTICLES.items():
        print(f"\n{title}; B={B}, T={STEPS}, S={S}, V={V}, K={K}\n")
        compare(networks(STEPS), chosen, K, rounds)
    if options.only:
        return
    print("\n| T | K | by hand, ms | elbo, ms | TraceGraph_ELBO, ms | TraceGraph / elbo | quartiles |")
    print("|---|---|---|---|---|---|---|")
    for T, K in ((10, 1), (30, 1), (60, 1), (120, 1), (30, 8)):
        net = Networks(T)
        graph = TraceGraph_ELBO(max_plate_nesting=1, num_particles=K, vectorize_particles=True)
        plain = Model(net, dist.Categorical), Guide(net, dist.Categorical)
        with_pyro: Callable[[], Tensor] = partial(_tracegraph, graph, *plain)
        run = {
            "hand": partial(lambda net, K: elbo(by_hand(net, K), causal=True, leave_one_out=False), net, K),
            "elbo": ScoreFunctionELBO(K)(*plain),
            "tracegraph": with_pyro,
        }
        took = seconds(run, max(rounds * 10 // (T * K), 2))
        cells = " | ".join(f"{1e3 * median(took[name]):.1f}" for name in run)
        print(f"| {T} | {K} | {cells} | {ratio(took['tracegraph'], took['elbo'])} |", flush=True)


PARTICLES: dict[str, type[Networks]] = {
    "A step depends on the last choice": Networks,
    "A step depends on all before it, by a GRU in the model and one in the guide": Recurrent,
}


def compare(net: Networks, chosen: list[str], K: int, rounds: int) -> None:
    """Prints a table with a row for each objective, all measured in turns."""
    kinds = {"our Categorical": Categorical, "Pyro's": dist.Categorical}
    steps: dict[str, Callable[[], Tensor]] = {}
    for name, (make, formula) in ((name, TWINS[name]) for name in chosen):
        steps[f"{name} by hand"] = partial(lambda formula: formula(by_hand(net, K)), formula)
        for title, kind in kinds.items():
            steps[f"{name}, {title}"] = make(K)(Model(net, kind), Guide(net, kind))
    found = seconds(steps, rounds)
    print("| objective | by hand, ms | ours, ms | ratio | quartiles | with Pyro's Categorical | quartiles |")
    print("|---|---|---|---|---|---|---|")
    for name in chosen:
        hand, ours, pyros = (found[f"{name}{kind}"] for kind in (" by hand", *(f", {t}" for t in kinds)))
        cells = f"{1e3 * median(hand):.1f} | {1e3 * median(ours):.1f}"
        print(f"| {name} | {cells} | {ratio(ours, hand)} | {ratio(pyros, hand)} |", flush=True)


def _tracegraph(objective: TraceGraph_ELBO, model: nn.Module, guide: nn.Module) -> Tensor:
    _, loss = objective._loss_and_surrogate_loss(model, guide, (), {})
    return loss


if __name__ == "__main__":
    main()
