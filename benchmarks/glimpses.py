"""The ladder of Ba et al. (2015): policies of glimpses learnt with and without control variates and a guide.

    python benchmarks/glimpses.py --data translated-mnist --seeds 0 1 2 --out runs/glimpses
    python benchmarks/glimpses.py --table runs/glimpses
    python benchmarks/glimpses.py --quick

    VAR     the score function, rewards compared with nothing        VAR+c    with the other particles' mean
    WS      reweighted wake-sleep, the prior proposes                WS+c     less the mean score
    WS+Q    the same with a guide that knows the label               WS+Q+c   likewise
    random  glimpses anywhere, only their classifier is learnt       centre   all of them in the middle
    hybrid  RAM's loss: glimpses are rewarded with a right label, and compared with a learned baseline

All rows read equally many glimpses: with the prior every particle is drawn and scored, two passes of the
glimpse network, with a guide it is drawn, scored by the guide and scored by the model, three; so there are
six particles of the one and four of the other. `looks` is the count, glimpses an image and step. Each row is
a run folder (`hardpp train` would make the same, but for `random`), kept and gone on with; its figures are of
the best dev bound, on the test part. `variance` is the trace of the covariance of the row's own gradient for
the model's parameters, at the run's own parameters, on 64 images of dev, per datum, and `snr` the length of
the expected gradient over its root: both are of different parameters in every row. For WS+Q+c those of the
six estimators are taken at the same, its own, parameters as well.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import pyro
import torch
from measured import commit, over_seeds

from hardpp.config import merge, parse_setting
from hardpp.data.images.labelled import LabelledImages
from hardpp.diagnostics.gradients import examine, parameter_groups
from hardpp.guides.prior import Prior
from hardpp.nn.glimpse_network import GlimpseNetwork
from hardpp.runs import checkpoint
from hardpp.runs.folder import check_same_config, create, holds_run, open_run
from hardpp.runs.recorded_training import train
from hardpp.runs.session import Session
from hardpp.tasks.catalogue import objective
from hardpp.tasks.configuration import resolve
from hardpp.tasks.family import Programs
from hardpp.tasks.glimpse.family import GlimpseFamily
from hardpp.tasks.glimpse.network import GlimpseOptions, GlimpseParts
from hardpp.tasks.labelled_images import ImagesDescription
from hardpp.tasks.opened_run import OpenedRun

PRIOR, GUIDE = {"particles": 6}, {"particles": 4}
WAKE = {"objective": "rws", "guide": "prior"}
INFORMED = {"objective": "rws", "guide": "variational"}
ROWS: dict[str, dict[str, Any]] = {
    "VAR": {"objective": "reinforce", "guide": "prior", "inference": PRIOR},
    "VAR+c": {"objective": "rloo", "guide": "prior", "inference": PRIOR},
    "WS": {**WAKE, "inference": {**PRIOR, "train_guide": False, "control_variates": False}},
    "WS+c": {**WAKE, "inference": {**PRIOR, "train_guide": False, "control_variates": True}},
    "WS+Q": {**INFORMED, "inference": {**GUIDE, "control_variates": False}},
    "WS+Q+c": {**INFORMED, "inference": {**GUIDE, "control_variates": True}},
    "hybrid": {
        "objective": "hybrid",
        "guide": "prior",
        "inference": PRIOR,
        "network": {"detached": True},
    },
    "random": {
        "model": "glimpses:RandomGlimpses",
        "objective": "rloo",
        "guide": "prior",
        "inference": PRIOR,
    },
    "centre": {
        "objective": "rloo",
        "guide": "prior",
        "inference": PRIOR,
        "network": {"cells": 1, "revisits": True},
    },
}
COLUMNS = {  # title -> figure
    "error": "error",
    "error, mean of 10": "error_mean",
    "NLL": "nll",
    "ESS of 10": "ess",
    "hit": "hit",
    "distance of the first, px": "distance_first",
    "of the last": "distance",
    "entropy": "entropy",
    "variance": "variance",
    "snr": "snr",
    "looks": "looks",
    "CPU s": "cpu_seconds",
}
IMAGES = 64  # of the batch that gradients are drawn on


class RandomGlimpses(GlimpseFamily):
    """Every cell is equally likely, now and for ever."""

    name = "glimpses:RandomGlimpses"

    def parts(self, network: GlimpseOptions, description: ImagesDescription) -> GlimpseParts:
        """The model with a choice of locations that has nothing to learn."""
        parts = super().parts(network, description)
        for parameter in parts.model.head.parameters():
            torch.nn.init.zeros_(parameter).requires_grad_(False)
        return parts


class GlimpseCounter:
    """Counts the glimpses that the networks of programs read."""

    def __init__(self, programs: Programs):
        self.count = 0
        modules = {id(module): module for program in programs for module in program.modules()}
        for module in modules.values():
            if isinstance(module, GlimpseNetwork):
                module.register_forward_hook(self._add)

    def _add(self, module: Any, inputs: Any, output: torch.Tensor) -> None:
        self.count += output.numel() // output.shape[-1]


def run_row(
    row: str,
    seed: int,
    folder: Path,
    shared: Mapping[str, Any],
    minutes: float | None,
    draws: int,
    limit: int | None,
) -> None:
    path = folder / f"{row}-{seed}"
    if (path / "benchmark.json").is_file():
        return
    config = resolve([{"model": "glimpse"}, shared, ROWS[row], {"seed": seed, "device": "cpu"}])
    there = holds_run(path)
    if there:
        check_same_config(path, config)
    session = Session(config, _told)
    trainer = session.trainer()
    if there and (newest := checkpoint.newest_sound(path)) is not None:
        trainer.restore(newest.checkpoint)
    if not there:
        create(path, config, session.description)
    batch = session.family.epoch_batches(config, session.data, session.description)(0)[0]()
    glimpses = _glimpses_read(session, batch)
    began = time.process_time()
    train(
        session,
        trainer,
        path,
        stop=lambda: minutes is not None and time.process_time() - began > 60 * minutes,
        watch=lambda record: None,
        report=_told,
    )
    seconds = time.process_time() - began
    run = open_run(path, "cpu", trust=True)
    data: LabelledImages = session.data
    figures = run.evaluate(run.select(limit=limit, report=_told))
    out = {
        **{"row": row, "seed": seed, "commit": commit(), "cpu_seconds": seconds, "looks": glimpses},
        **{"data": data.name, **figures},
        **_own_variance(run, row, draws),
    }
    if row == "WS+Q+c":
        out["together"] = {name: _variance(run, name, draws) for name in ROWS if name not in _OTHERS}
    (path / "benchmark.json").write_text(json.dumps(out, indent=1))
    print(f"{row} {seed}: error {figures['error']:.4f}, {seconds:.0f} s", flush=True)


_OTHERS = ("hybrid", "random", "centre")  # than the paper's


# Glimpses an image of one estimate with its gradient, draws included.
def _glimpses_read(session: Session, batch: Any) -> float:
    # Counting must neither change the run nor stay in its programs.
    programs = session.family.build(session.config, session.description)
    counter = GlimpseCounter(programs)
    with torch.random.fork_rng():
        session.objective.estimate(*programs, batch)
    return counter.count / batch.size


def _own_variance(run: OpenedRun, row: str, draws: int) -> dict[str, float]:
    return {} if row in _OTHERS else _variance(run, row, draws)


# Of a row's gradient at a run's parameters; the run's guide is used where the row has one.
def _variance(run: OpenedRun, row: str, draws: int) -> dict[str, float]:
    model, guide = run.programs
    if ROWS[row]["guide"] == "prior":
        guide = Prior(model)
    config = resolve([{"model": "glimpse"}, {"data": {"name": run.config.data.name}}, ROWS[row]])
    batch = run.batch(run.select(part="dev", limit=IMAGES, report=_told))
    pyro.set_rng_seed(0)
    groups = {"model": parameter_groups(model, guide)["model"]}
    estimator = objective(config.objective, config.inference)
    gradient = examine(estimator, model, guide, (batch,), groups, draws=draws).groups["model"]
    return {"variance": gradient.variance / batch.size, "snr": gradient.signal_to_noise}


def table(folder: Path) -> None:
    runs_by_row = defaultdict(list)
    for path in sorted(folder.glob("*/benchmark.json")):
        figures = json.loads(path.read_text())
        runs_by_row[figures["row"]].append(figures)
    titles = ["", "seeds", *COLUMNS]
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    for row in ROWS:
        if runs := runs_by_row.get(row):
            cells = [row, ", ".join(str(run["seed"]) for run in runs)]
            cells += [over_seeds([run[name] for run in runs if name in run]) for name in COLUMNS.values()]
            print("| " + " | ".join(cells) + " |")
    every = [run for runs in runs_by_row.values() for run in runs]
    for row, runs in runs_by_row.items():
        errors = [[run[f"error_{g}"] for g in range(1, 1 + _glimpses(run))] for run in runs]
        shown = ", ".join(over_seeds(list(values)) for values in zip(*errors, strict=True))
        print(f"\n{row}: error after each glimpse {shown}", end="")
    print("\n")
    for run in (run for run in every if "together" in run):
        variances = {name: f"{value['variance']:.4g}" for name, value in run["together"].items()}
        print(f"variances at the parameters of {run['row']}, seed {run['seed']}: {variances}")
    if every and "distance_centre" in every[0]:
        print(f"from the canvas centre: {mean(run['distance_centre'] for run in every):.2f} px")
    data, commits = ({run[key] for run in every} for key in ("data", "commit"))
    print(f"{', '.join(sorted(data))}; ± is the standard error over seeds")
    print(f"commits {', '.join(sorted(commits))}")


def _glimpses(figures: Mapping[str, Any]) -> int:
    return sum(name.startswith("error_") and name != "error_mean" for name in figures)


def _told(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="translated-mnist")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="left out, those of the recommended settings")
    parser.add_argument("--minutes", type=float, help="CPU minutes a run; its decay is that of --epochs")
    parser.add_argument("--draws", type=int, default=50, help="of each gradient, for its variance")
    parser.add_argument("--out", type=Path, default=Path("runs/glimpses"))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--table", type=Path, help="print the table of an earlier run's folder")
    parser.add_argument("--quick", action="store_true", help="320 images, tiny networks: to see that it runs")
    arguments = parser.parse_args()
    if arguments.table:
        table(arguments.table)
        return
    layers: list[Mapping[str, Any]] = [parse_setting(text) for text in arguments.set]
    layers.append({"data": {"name": arguments.data}, "threads": arguments.threads})
    if arguments.epochs:
        layers.append({"training": {"max_epochs": arguments.epochs}})
    if arguments.quick:
        sizes = dict.fromkeys(("hidden", "features", "head", "guide"), 8)
        layers.append({"data": {"train_limit": 320}, "training": {"max_epochs": 1}})
        layers.append({"network": {**sizes, "glimpses": 2}, "decoding": {"draws": 2, "particles": 2}})
    with TemporaryDirectory() as temporary:
        out = Path(temporary) if arguments.quick else arguments.out
        for seed in arguments.seeds:
            for row in arguments.rows:
                draws, limit = (10, 500) if arguments.quick else (arguments.draws, None)
                run_row(row, seed, out, merge(layers), arguments.minutes, draws, limit)
        table(out)


if __name__ == "__main__":
    main()
