"""Does simulation-based calibration tell right posteriors from wrong ones, and do credible sets hold?

    python benchmarks/calibration.py RUN                   # a run of model alignment, such as the README's
    python benchmarks/calibration.py RUN --data 1800 --draws 19 --judged exact "exact, tempered by .7"

On targets that the run's model draws for words of its training part: how often, of the repeats, the smallest
of the three p-values is below .05 / 3 (so right posteriors are rejected once in 20 at most), for the exact
posterior, the guide, the guide refined by one step, and for exact posteriors that were spoilt: tempered by
.7, one position further, and of another word. Then the shares of true positions that credible sets hold, of
all targets of all repeats.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import torch
from measured import commit

import hardpp
from hardpp import sites
from hardpp.diagnostics.simulated_posterior import exact_draws, guide_draws
from hardpp.inference.exact import ExactMarginal
from hardpp.tasks.answers.calibration.simulation_based import LEVELS, Judged, calibrate
from hardpp.tasks.attention import choices_at
from hardpp.tasks.family import Programs
from hardpp.tasks.refinement import refined

EXACT = ExactMarginal()
REJECTED = 0.05 / 3  # of each of three p-values


def tempered(model: Any, guide: Any, batch: Any, draws: int) -> dict[str, torch.Tensor]:
    weights = EXACT.posterior(model, guide, batch)[sites.ALIGNMENT].clamp_min(1e-30)
    return {sites.ALIGNMENT: torch.distributions.Categorical(logits=0.7 * weights.log()).sample((draws,))}


def one_further(model: Any, guide: Any, batch: Any, draws: int) -> dict[str, torch.Tensor]:
    lengths = batch.source_mask.sum(-1)[:, None]
    return {name: (z + 1) % lengths for name, z in exact_draws(EXACT, model, guide, batch, draws).items()}


def swapped(model: Any, guide: Any, batch: Any, draws: int) -> dict[str, torch.Tensor]:
    lengths = batch.source_mask.sum(-1)[:, None]
    drawn = exact_draws(EXACT, model, guide, batch, draws)
    return {name: torch.minimum(z.roll(1, 1), lengths - 1) for name, z in drawn.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=int, default=250, help="targets of each repeat")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--draws", type=int, default=49)
    parser.add_argument("--judged", nargs="+", help="only these posteriors, by their names in the table")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run: Any = hardpp.open_run(options.run, "cpu")
    model, guide = run.programs
    better = refined(guide, model, 1)
    by_refined = hardpp.open_run(options.run, "cpu")
    object.__setattr__(by_refined, "programs", Programs(model, better))
    judged = {
        "exact": Judged(
            partial(exact_draws, EXACT), lambda batch: choices_at(run, batch, sites.ALIGNMENT, "posterior")
        ),
        "guide": Judged(
            guide_draws,
            lambda batch: choices_at(run, batch, sites.ALIGNMENT, "guide"),
            lambda batch: run.guide_divergence(*run.programs, batch)[1],
        ),
        "refined": Judged(
            lambda model, guide, batch, draws: guide_draws(model, better, batch, draws),
            lambda batch: choices_at(by_refined, batch, sites.ALIGNMENT, "guide"),
            lambda batch: by_refined.guide_divergence(*by_refined.programs, batch)[1],
        ),
        "exact, tempered by .7": Judged(tempered),
        "exact, one further": Judged(one_further),
        "exact, of another word": Judged(swapped),
    }
    if options.judged:
        judged = {name: judged[name] for name in options.judged}
    items = run.select(part="train")
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in judged}
    for repeat in range(options.repeats):
        # Words that come again get targets of their own.
        first = repeat * options.data
        pairs = [items[number % len(items)] for number in range(first, first + options.data)]
        found = calibrate(
            run.programs, run._simulate(pairs), judged, draws=options.draws, seed=repeat, device=run.device
        )
        for row in found.rows:
            rows[row["posterior"]].append(row)
    data = sum(row["data"] for row in next(iter(rows.values())))
    print(f"commit {commit()}; {options.repeats} repeats, {data} targets, {options.draws} draws of each\n")
    sets = [f"{level:.0%} sets" for level in LEVELS]
    print("| posterior | rejected | " + " | ".join(sets) + " | kl |\n|" + "---|" * (3 + len(sets)))
    for name, of_one in rows.items():
        rejected = sum(min(v for k, v in row.items() if k.startswith("p ")) < REJECTED for row in of_one)
        cells = [_mean(of_one, key) for key in (*sets, "kl")]
        print(f"| {name} | {rejected} of {len(of_one)} | " + " | ".join(cells) + " |")


def _mean(rows: list[dict[str, Any]], key: str) -> str:
    values = [row[key] for row in rows]
    if any(value is None for value in values):
        return ""
    data = [row["data"] for row in rows]
    return f"{sum(value * count for value, count in zip(values, data, strict=True)) / sum(data):.4f}"


if __name__ == "__main__":
    main()
