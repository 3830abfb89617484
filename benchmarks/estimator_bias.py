"""Exact bias and variance of every estimator on a tiny chain, by summing over all that can be drawn.

    python benchmarks/estimator_bias.py [--particles 3] [--quick]

The chain has T = 3 steps of S = 2 values, z[t] given z[t - 1] and y[t] given z[t]; the guide knows z[t - 1].
In a second table it does not, and draws independent steps, all of which disarm couples. All K-tuples of the 8
paths are weighed with their probability, those of disarm with the one that its strata give them, so there is
no Monte Carlo error but for the relaxations, whose draws are not discrete; the unordered set draws without
replacement. Bias is the largest component of E[gradient] - target, where the target is the gradient of the
bound that the objective names (the ELBO for those that name none); it stands beside the target's own largest
component. Variance is the trace of the covariance. A third table compares at equal numbers of rows that the
model is run on, by Monte Carlo.

A fourth table is of one latent of four values, of which all K-tuples are weighed likewise: the variance of
the guide's gradient, the mean of 200 random problems, and its largest bias.
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import cases
import oracles

from hardpp.inference.dirichlet import ImplicitDirichlet
from hardpp.inference.disarm import DisARM
from hardpp.inference.exact import EnumeratedELBO
from hardpp.inference.gumbel import GumbelSoftmax
from hardpp.inference.importance_weighted import IWAE, VIMCO
from hardpp.inference.objective import SurrogateObjective
from hardpp.inference.ovis import OVIS
from hardpp.inference.rebar import REBAR
from hardpp.inference.score_function import ScoreFunctionELBO
from hardpp.inference.sum_and_sample import SumAndSample
from hardpp.inference.tracegraph import TraceGraph
from hardpp.inference.trajectory_balance import TrajectoryBalance
from hardpp.inference.unordered_set import UnorderedSet
from hardpp.inference.wake_sleep import ReweightedWakeSleep

Make = Callable[[int], SurrogateObjective]

DISCRETE: dict[str, Make] = {
    "tracegraph": TraceGraph,
    "elbo, no baseline": ScoreFunctionELBO,
    "elbo, leave-one-out": lambda K: ScoreFunctionELBO(K, baseline="leave-one-out"),
    "elbo, batch": lambda K: ScoreFunctionELBO(K, baseline="batch"),
    "elbo, temporal": lambda K: ScoreFunctionELBO(K, baseline="temporal"),
    "elbo, soft-attention": lambda K: ScoreFunctionELBO(K, baseline="soft-attention"),
    "disarm": DisARM,
    "reinforce": lambda K: ScoreFunctionELBO(K, credit="global"),
    "nvil, not normalised": lambda K: ScoreFunctionELBO(K, baseline="learned"),
    "unordered-set": UnorderedSet,
    "iwae": IWAE,
    "iwae, prefix": lambda K: IWAE(K, control="prefix"),
    "vimco, geometric": lambda K: VIMCO(K, control="geometric"),
    "vimco, geometric, not centred": lambda K: VIMCO(K, control="geometric", center=False),
    "vimco, arithmetic": lambda K: VIMCO(K, control="arithmetic"),
    "vimco": VIMCO,
    "vimco, temporal": lambda K: VIMCO(K, control="temporal"),
    "ovis, gamma 0": lambda K: OVIS(K, gamma=0.0),
    "ovis": OVIS,
    "rws": ReweightedWakeSleep,
    "rws, no control variates": lambda K: ReweightedWakeSleep(K, control_variates=False),
    "trajectory-balance": TrajectoryBalance,
    "gumbel, straight-through": lambda K: GumbelSoftmax(K, straight_through=True),
    "gumbel, reinmax": lambda K: GumbelSoftmax(K, reinmax=True),
}
ONE_LATENT: dict[str, Make] = {
    "elbo, leave-one-out": lambda K: ScoreFunctionELBO(K, baseline="leave-one-out"),
    "sum-and-sample, top 1": lambda K: SumAndSample(K, top=1),
    "sum-and-sample, all but one": lambda K: SumAndSample(K, top=K - 1),
    "unordered-set": UnorderedSet,
}
RELAXED: dict[str, Make] = {
    "gumbel, temperature 1": GumbelSoftmax,
    "gumbel, temperature 0.3": lambda K: GumbelSoftmax(K, temperature=0.3),
    "dirichlet": ImplicitDirichlet,
    "rebar": REBAR,
}

FACTORISED = ["elbo, leave-one-out", "disarm", "elbo, soft-attention", "rebar", "gumbel, temperature 1"]
RUNS: dict[str, Make] = {  # of so many rows of the model
    "elbo, leave-one-out": lambda rows: ScoreFunctionELBO(rows, baseline="leave-one-out"),
    "disarm": DisARM,
    "rebar": lambda rows: REBAR(rows // 2),
    "rebar, scale and temperature learnt": lambda rows: REBAR(rows // 2, learned="both"),
    "gumbel, temperature 1": GumbelSoftmax,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--particles", type=int, default=3)
    parser.add_argument("--draws", type=int, default=4000, help="of the relaxations")
    parser.add_argument("--quick", action="store_true", help="two particles: only to see that it runs")
    options = parser.parse_args()
    K, draws = (2, 100) if options.quick else (options.particles, options.draws)
    torch.manual_seed(0)
    print(f"K={K}; the guide knows the step before")
    compare(cases.chain((3,)), ["z_0"], K, draws, [name for name in (*DISCRETE, *RELAXED) if name != "rebar"])
    print("\nThe guide knows nothing of the step before")
    compare(cases.chain_under_independent_steps((3,)), ["z_0", "z_1", "z_2"], K, draws, FACTORISED)
    at_equal_cost(draws)
    print("\n| objective | spread of the guide | bias, guide | variance, guide |\n|---|---|---|---|")
    for spread in (0.5, 2.0):
        one_latent(K, spread)


def compare(case: cases.Case, coupled: list[str], K: int, draws: int, names: list[str]) -> None:
    """A row for each objective of these names; disarm couples these latents."""
    case.model.max_plate_nesting = 1
    groups = {"model": case.of_model, "guide": case.of_guide}
    targets = {}
    for bound, value in (
        ("elbo", oracles.bound_per_datum(case.twin)),
        ("iw", oracles.iw_bound_per_datum(case.twin, K)),
    ):
        targets[bound] = {name: oracles.flat_gradient(value.sum(), part) for name, part in groups.items()}
    print("Largest component of the exact gradient:")
    for bound, gradient in targets.items():
        sizes = ", ".join(f"{float(g.abs().max()):.3f} ({name})" for name, g in gradient.items())
        print(f"- {bound}: {sizes}")
    print("\n| objective | says unbiased | target | bias, model | bias, guide | variance, model | guide |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        if name in DISCRETE:
            objective = DISCRETE[name](K)
            drawn = oracles.draws(case.twin, K)
            if isinstance(objective, UnorderedSet):
                drawn = draws_without_replacement(case.twin, K)
            if isinstance(objective, DisARM):
                sites = poutine.trace(case.guide).get_trace(*case.args).nodes
                tables = {z: sites[z]["fn"].probs.expand(1, -1).detach() for z in coupled}
                drawn = oracles.antithetic_draws(case.twin, K, tables)
            row(name, objective, targets, *moments(case, objective, groups, drawn))
        else:
            objective = RELAXED[name](K)
            sampled = ((torch.tensor(1 / draws), {}) for _ in range(draws))
            found = moments(case, objective, groups, sampled)
            row(f"{name} (Monte Carlo)", objective, targets, *found, draws)


def at_equal_cost(draws: int) -> None:
    """Bias and variance of the guide's gradient by the number of rows that the model is run on."""
    case = cases.chain_under_independent_steps((2,), 3)
    exact = oracles.flat_gradient(oracles.bound_per_datum(case.twin).sum(), case.of_guide).reshape(2, 3)
    case.guide.table = torch.nn.Parameter(case.guide.table.detach().expand(2, draws, 3).clone())
    args = [part.expand(draws, -1) for part in case.args]  # as many independent gradients at once
    print(f"\nTwo steps of three values, {draws} draws; largest component {float(exact.abs().max()):.3f}\n")
    print("| objective | bias, 4 rows | variance | bias, 8 rows | variance |\n|---|---|---|---|---|")
    for name, make in RUNS.items():
        cells = []
        for rows in (4, 8):
            objective = make(rows)
            if name.endswith("learnt"):
                optimiser = torch.optim.Adam(objective(case.model, case.guide).learnt.parameters(), 0.05)
                for _ in range(100):
                    optimiser.zero_grad()
                    (-objective.estimate(case.model, case.guide, *args).surrogate).backward()
                    optimiser.step()
            surrogate = objective.estimate(case.model, case.guide, *args).surrogate
            (gradient,) = torch.autograd.grad(surrogate, [case.guide.table])
            off, error = (gradient.mean(1) - exact).abs().max(), gradient.std(1).max() / draws**0.5
            cells.append(f"{float(off):.3f} +- {float(error):.3f} | {float(gradient.var(1).sum()):.3f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def moments(case, objective, groups, draws):  # type: ignore[no-untyped-def]
    """First and second moments of the gradient of each group of parameters."""
    objective(case.model, case.guide).eval()  # what an objective remembers stays as it is
    first = {name: torch.zeros(()) for name in groups}
    second = dict(first)
    for probability, values in draws:
        force, guide = oracles.Force(values), case.guide
        if isinstance(objective, DisARM | UnorderedSet):  # what draws with a handler of its own
            force, guide = nullcontext(), force(guide)
        with force:
            surrogate = objective.estimate(case.model, guide, *case.args).surrogate
        for name, part in groups.items():
            gradient = oracles.flat_gradient(surrogate, part)
            first[name] = first[name] + probability * gradient
            second[name] = second[name] + probability * gradient**2
    return first, second


def draws_without_replacement(twin: oracles.Twin, K: int) -> Iterator[tuple[Tensor, oracles.Values]]:
    """Every K-tuple of different tuples: its probability under the guide, and the values to force."""
    values = oracles.tuples(twin.latents)
    p = twin.joint(values)[1].sum(-1).exp().detach()
    for order in itertools.permutations(range(len(p)), K):
        probability = left = torch.ones((), dtype=p.dtype)
        for chosen in order:
            probability, left = probability * p[chosen] / left, left - p[chosen]
        yield probability, {name: value[list(order)] for name, value in values.items()}


def one_latent(K: int, spread: float, B: int = 200, S: int = 4) -> None:
    """Rows of the second table, of guides whose scores have this standard deviation."""
    q = torch.nn.Parameter(spread * cases.normal(B, S, seed=11).detach())
    likelihood, rows = cases.normal(B, S, seed=12).detach(), torch.arange(B)

    def model() -> None:
        with pyro.plate("data", B, dim=-1):
            z = pyro.sample("z", dist.Categorical(logits=torch.zeros(S, dtype=torch.float64)))
            pyro.factor("y", likelihood[rows, z])

    def guide() -> None:
        with pyro.plate("data", B, dim=-1):
            pyro.sample("z", dist.Categorical(logits=q))

    exact = torch.autograd.grad(EnumeratedELBO(max_plate_nesting=1).estimate(model, guide).surrogate, q)[0]
    by_rank = q.detach().argsort(-1, descending=True)  # (B, S)
    p = q.detach().softmax(-1).gather(-1, by_rank)
    for name, make in ONE_LATENT.items():
        objective = make(K)
        objective.max_plate_nesting = 1
        top = getattr(objective, "top", 0)
        first = second = torch.zeros(())
        for ranks in itertools.product(range(top, S), repeat=K - top):
            left = p[:, top:].sum(-1, keepdim=True).expand(B, K - top)
            if isinstance(objective, UnorderedSet):
                if len(set(ranks)) < K:
                    continue
                left = torch.cat([left[:, :1], 1 - p[:, ranks[:-1]].cumsum(-1)], -1)
            probability = (p[:, ranks] / left).prod(-1, keepdim=True)
            value = by_rank[:, [*range(top), *ranks]].T
            forced = oracles.Force({"z": lambda fn, value=value: value})(guide)
            (gradient,) = torch.autograd.grad(objective.estimate(model, forced).surrogate, q)
            first, second = first + probability * gradient, second + probability * gradient**2
        off = float((first - exact).abs().max())
        variance = float((second - first**2).sum(-1).mean())
        print(f"| {name} | {spread:g} | {'0' if off < 1e-9 else f'{off:.3f}'} | {variance:.4f} |", flush=True)


def row(
    name: str,
    objective: SurrogateObjective,
    targets: dict[str, dict[str, Tensor]],
    first: dict[str, Tensor],
    second: dict[str, Tensor],
    draws: int | None = None,
) -> None:
    bound = objective.bound if objective.bound in targets else "elbo"
    cells = []
    for group, target in targets[bound].items():
        off = float((first[group] - target).abs().max())
        noise = ""
        if draws:
            noise = f" +- {float(((second[group] - first[group] ** 2) / draws).max().sqrt()):.3f}"
        cells.append(("0" if off < 1e-9 else f"{off:.3f}") + noise)
    variances = [f"{float((second[g] - first[g] ** 2).sum()):.3f}" for g in targets[bound]]
    told = "yes" if objective.unbiased else "no"
    print(f"| {name} | {told} | {bound} | {' | '.join([*cells, *variances])} |", flush=True)


if __name__ == "__main__":
    main()
