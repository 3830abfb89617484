"""Attend, Infer, Repeat: counting digits with an ordinary Pyro program, under Pyro's objectives and ours.

    python benchmarks/air.py --seeds 0 1 2 --out runs/air
    python benchmarks/air.py --quick
    python benchmarks/air.py --full --rows vimco rloo tracegraph --out runs/air-full
    python benchmarks/air.py --table runs/air --plot docs/air.png

The model draws up to three objects a canvas. Each is there or not (`present`, Bernoulli), stands somewhere
(`where`, a Normal of size and place) and looks like something (`what`, a Normal that a network decodes); as
soon as one is not there, no later one is, and nothing of it counts (`poutine.mask`). Nobody says how many
digits a canvas has. The guide is recurrent. Both are Pyro programs with Pyro's distributions that do not know
by which objective they are trained:

    renyi        `pyro.infer.RenyiELBO(alpha=0)`, K particles
    tracegraph   `pyro.infer.TraceGraph_ELBO`, one particle, a baseline that reads the image
    rloo         `ScoreFunctionELBO(K, baseline="leave-one-out")`
    learned      `ScoreFunctionELBO(1, baseline="learned")`
    image        `ScoreFunctionELBO(1, baseline=ImageBaseline(...))`, the network of `tracegraph`
    vimco        `VIMCO(K)`
    iwae         `IWAE(K)`

Rows with one particle see K times as many canvases a step, so that all rows have as many likelihoods a step.
Canvases are made of MNIST's digits: 0 to 2 of them, with no lit pixel in common; training takes the training
digits, and accuracies are of canvases of test digits. The count is that of one draw of the guide. By default
canvases have 28 pixels a side and digits 14; `--full` has the published 50, and wants hours.

What the program is known to need, and has: a prior of `present` that falls during training (here from .5 to
.01, exponentially, over the first part of it), a guide that begins by saying `present`, a narrow prior of
sizes, a decoder that begins dark, a likelihood of standard deviation .3, gradients clipped. Bounds are those
of the final prior, whatever it was in training.

Source: Eslami et al. (2016), Attend, Infer, Repeat; the example `air` of Pyro for the sizes of `--full` and
the settings.
Shapes: B canvases, S pixels a side, K particles.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyro
import torch
from air_program import FULL, LATENTS, OBJECTS, Canvases, Guide, Model, Sizes, canvases
from measured import commit, over_seeds
from pyro import poutine
from pyro.infer import RenyiELBO, TraceGraph_ELBO
from torch import Tensor, nn

from hardpp.data.images.corpora import mnist
from hardpp.inference import IWAE, VIMCO, Baseline, ScoreFunctionELBO


class ImageBaseline(Baseline):
    """Predicts returns from the image, one for each stage."""

    def __init__(self, sizes: Sizes, outputs: int):
        super().__init__()
        self.network = nn.Sequential(
            nn.Flatten(-2),
            nn.Linear(sizes.canvas**2, sizes.hidden),
            nn.ReLU(),
            nn.Linear(sizes.hidden, outputs),
        )

    def forward(self, history: Any, images: Tensor) -> Tensor:
        return 100 * self.network(images)  # in a unit of the order of returns, which are hundreds of nats


class Row(NamedTuple):
    """An objective as it is trained."""

    particles: bool  # K, or one and K times the canvases
    make: Callable[[Sizes, int, Model, Guide], tuple[Callable[[Tensor], float], Sequence[nn.Module]]]


def of_ours(make: Callable[[Sizes, int], Any]) -> Any:
    """One step's gradients, and the objective's own modules."""

    def made(sizes: Sizes, K: int, model: Model, guide: Guide) -> Any:
        loss = make(sizes, K)(model, guide)
        own = [part for name, part in loss.named_children() if name not in ("model", "guide")]

        def gradients(images: Tensor) -> float:
            value = loss(images)
            value.backward()
            return value.item()

        return gradients, own

    return made


def renyi(sizes: Sizes, K: int, model: Model, guide: Guide) -> Any:
    objective = RenyiELBO(alpha=0, num_particles=K, vectorize_particles=True, max_plate_nesting=1)
    return lambda images: objective.loss_and_grads(model, guide, images), []


def tracegraph(sizes: Sizes, K: int, model: Model, guide: Guide) -> Any:
    objective, baseline = TraceGraph_ELBO(max_plate_nesting=1), ImageBaseline(sizes, OBJECTS)

    def gradients(images: Tensor) -> float:
        def with_baseline(site: Any) -> dict[str, Any]:
            kind, _, t = site["name"].partition("_")
            if kind != "present":
                return {}
            nets = {"nn_baseline": lambda seen: baseline(None, seen)[:, int(t)], "nn_baseline_input": images}
            return {"baseline": nets}

        return objective.loss_and_grads(model, poutine.infer_config(guide, with_baseline), images)

    return gradients, [baseline]


ROWS: dict[str, Row] = {
    "renyi": Row(True, renyi),
    "tracegraph": Row(False, tracegraph),
    "rloo": Row(True, of_ours(lambda sizes, K: ScoreFunctionELBO(K, baseline="leave-one-out"))),
    "learned": Row(False, of_ours(lambda sizes, K: ScoreFunctionELBO(1, baseline="learned"))),
    "image": Row(
        False,
        of_ours(
            lambda sizes, K: ScoreFunctionELBO(1, baseline=ImageBaseline(sizes, 1 + OBJECTS * len(LATENTS)))
        ),
    ),
    "vimco": Row(True, of_ours(lambda sizes, K: VIMCO(K))),
    "iwae": Row(True, of_ours(lambda sizes, K: IWAE(K))),
}


def batches(data: Canvases, size: int, seed: int) -> Iterator[Tensor]:
    """Canvases in a new order every epoch, without end."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        for rows in torch.randperm(len(data.images), generator=generator).split(size):
            if len(rows) == size:
                yield data.images[rows]


@torch.no_grad()
def evaluate(model: Model, guide: Guide, data: Canvases, presence: float) -> dict[str, Any]:
    """Of held-out canvases; nothing that is drawn here changes the training."""
    trained = model.presence.clone()
    model.presence.fill_(presence)
    bounds, counts = [], []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for images in data.images.split(500):
            bounds.append(IWAE(4).estimate(model, guide, images))
            trace = poutine.trace(guide).get_trace(images)
            counts.append(sum(trace.nodes[f"present_{t}"]["value"] for t in range(OBJECTS)).long())
    model.presence.copy_(trained)
    counted = torch.cat(counts)
    table = torch.zeros(3, OBJECTS + 1, dtype=torch.int64)
    table.index_put_((data.counts, counted), torch.ones_like(counted), accumulate=True)
    return {
        "accuracy": (counted == data.counts).float().mean().item(),
        "elbo": torch.cat([each.log_weights.mean(0) for each in bounds]).mean().item(),
        "bound of 4": torch.cat([each.bound for each in bounds]).mean().item(),
        "counts": table.tolist(),
    }


def train(name: str, seed: int, train_data: Canvases, test_data: Canvases, sizes: Sizes, o: Any) -> Any:
    """One row: what is found every so many steps."""
    torch.manual_seed(seed)
    model, guide = Model(sizes), Guide(sizes)
    row = ROWS[name]
    gradients, own = row.make(sizes, o.particles, model, guide)
    programs = [*model.parameters(), *guide.parameters()]
    groups: list[dict[str, Any]] = [{"params": programs}]
    if own:
        groups.append({"params": [p for part in own for p in part.parameters()], "lr": o.baseline_rate})
    optimiser = torch.optim.Adam(groups, o.rate)
    size = o.batch if row.particles else o.batch * o.particles
    points, seconds = [{"step": 0, "seconds": 0.0, **evaluate(model, guide, test_data, o.presence)}], 0.0
    for step, images in zip(range(1, o.steps + 1), batches(train_data, size, seed), strict=False):
        share = min(step / (o.anneal * o.steps), 1.0)
        model.presence.fill_(float(np.exp((1 - share) * log(o.first_presence) + share * log(o.presence))))
        began = time.process_time()
        optimiser.zero_grad()
        gradients(images)
        for parameter in programs:
            if parameter.grad is not None:
                parameter.grad.div_(size)
        nn.utils.clip_grad_norm_(programs, o.clip)
        optimiser.step()
        seconds += time.process_time() - began
        if step % o.every == 0 or step == o.steps:
            points.append({"step": step, "seconds": seconds, **evaluate(model, guide, test_data, o.presence)})
            shown = {key: round(value, 3) for key, value in points[-1].items() if key != "counts"}
            print(name, seed, shown, points[-1]["counts"], flush=True)
    settings = {key: value for key, value in vars(o).items() if not isinstance(value, Path | None)}
    return {
        "row": name, "seed": seed, "commit": o.commit, "sizes": sizes._asdict(), "settings": settings,
        "points": points,
    }  # fmt: skip


def read(folder: Path) -> dict[str, list[Any]]:
    """Runs by row, in the order of `ROWS`."""
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return {name: found for name in ROWS if (found := [run for run in runs if run["row"] == name])}


def report(runs: dict[str, list[Any]]) -> None:
    first = next(iter(runs.values()))[0]
    steps = [point["step"] for point in first["points"]]
    shown = sorted({steps[round(i * (len(steps) - 1) / 8)] for i in range(9)})
    print(f"\ncommits {', '.join(sorted({run['commit'] for each in runs.values() for run in each}))}")
    print(f"{first['sizes']}\n{first['settings']}\n")
    print("| | seeds | " + " | ".join(f"{step:,}" for step in shown) + " |")
    print("|---" * (2 + len(shown)) + "|")
    for name, each in runs.items():
        cells = []
        for step in shown:
            found = [p["accuracy"] for run in each for p in run["points"] if p["step"] == step]
            cells.append(over_seeds(found, 3))
        print(f"| `{name}` | {', '.join(str(run['seed']) for run in each)} | " + " | ".join(cells) + " |")
    print("\n| | accuracy | none counted as 0, 1, 2, 3 | one | two | ELBO | bound of 4 | ms a step |")
    print("|---" * 8 + "|")
    for name, each in runs.items():
        last = [run["points"][-1] for run in each]
        counted = np.sum([point["counts"] for point in last], 0)
        rows = " | ".join(", ".join(map(str, line)) for line in counted.tolist())
        figures = [over_seeds([p[key] for p in last], d) for key, d in (("elbo", 1), ("bound of 4", 1))]
        cost = over_seeds([1000 * p["seconds"] / p["step"] for p in last], 1)
        accuracy = over_seeds([p["accuracy"] for p in last], 3)
        print(f"| `{name}` | {accuracy} | {rows} | {' | '.join(figures)} | {cost} |")


def plot(runs: dict[str, list[Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for (name, each), colour in zip(runs.items(), plt.colormaps["tab10"].colors, strict=False):
        for number, run in enumerate(each):
            for axes, key in ((left, "accuracy"), (right, "elbo")):
                axes.plot(
                    [point["step"] for point in run["points"]],
                    [point[key] for point in run["points"]],
                    color=colour, lw=1.3, ls="--" if name in ("renyi", "tracegraph") else "-",
                    label=name if number == 0 else None,
                )  # fmt: skip
    left.set(xlabel="steps", ylabel="accuracy of the count", ylim=(0, 1))
    right.set(xlabel="steps", ylabel="ELBO a canvas, nats")
    lows = [point["elbo"] for each in runs.values() for run in each for point in run["points"][1:]]
    right.set_ylim(np.quantile(lows, 0.05), max(lows) + 10)
    left.legend(fontsize=8, loc=(0.74, 0.52))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--every", type=int, default=100, help="steps between evaluations")
    parser.add_argument("--batch", type=int, default=64, help="canvases a step for rows with K particles")
    parser.add_argument("--particles", type=int, default=4, help="K")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate of Adam")
    parser.add_argument("--baseline-rate", type=float, default=1e-3, help="that of baselines")
    parser.add_argument("--clip", type=float, default=50.0, help="norm of the gradient a canvas")
    parser.add_argument("--first-presence", type=float, default=0.5, help="prior of an object at first")
    parser.add_argument("--presence", type=float, default=0.01, help="prior of an object at last")
    parser.add_argument("--anneal", type=float, default=0.5, help="share of the steps until that is so")
    parser.add_argument("--test", type=int, default=2000, help="held-out canvases")
    parser.add_argument("--full", action="store_true", help="canvases of 50 pixels and larger networks")
    parser.add_argument("--out", type=Path, help="folder for a JSON file a run")
    parser.add_argument("--table", type=Path, help="print the tables of an earlier run's folder")
    parser.add_argument("--plot", type=Path, help="PNG file for the curves of that folder")
    parser.add_argument("--quick", action="store_true", help="seconds: to see that it runs")
    o = parser.parse_args()
    if o.table:
        report(read(o.table))
        if o.plot:
            plot(read(o.table), o.plot)
        return
    torch.set_num_threads(1)
    o.commit = commit()  # of what runs, whatever is checked out later
    sizes = FULL if o.full else Sizes()
    if o.quick:  # with Pyro's checks, which are off in what is measured
        o.steps, o.every, o.batch, o.test, sizes = 3, 3, 8, 100, sizes._replace(count=500)
    pyro.enable_validation(o.quick)
    digits = mnist()
    train_data = canvases(digits.train.read().pixels[:, 0], sizes, sizes.count, seed=1)
    test_data = canvases(digits.test.read().pixels[:, 0], sizes, o.test, seed=2)
    runs: dict[str, list[Any]] = {}
    for seed in o.seeds:
        for name in o.rows:
            run = train(name, seed, train_data, test_data, sizes, o)
            runs.setdefault(name, []).append(run)
            if o.out:
                o.out.mkdir(parents=True, exist_ok=True)
                (o.out / f"{name}-{seed}.json").write_text(json.dumps(run))
    report(runs)


if __name__ == "__main__":
    main()
