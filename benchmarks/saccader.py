"""Saccader against its own backbone and against other policies, estimators and stages, over seeds.

    python benchmarks/saccader.py --data mnist-112 --seeds 0 1 2 --out runs/saccader
    python benchmarks/saccader.py --data openclipart --seeds 0 1 2 --out runs/saccader
    python benchmarks/saccader.py --table runs/saccader
    python benchmarks/saccader.py --quick

Of each data set and seed, one run trains the representation, and one from its weights the locations. From
those the joint stage is trained by the paper's estimator, rloo, vimco and rws (the last with the guide that
knows the label), all with as many images seen and as many draws of each; `without-locations` is the paper's
from the representation alone. Each run is evaluated on the test part, at six glimpses whatever it was trained
with; the policies are compared on the network of the paper's estimator.

The same command goes on where it was stopped, and measures no run twice. A CPU core trains on about 30 images
of 112 pixels a second, and evaluates 60: a seed of openclipart takes an hour, one of mnist-112 two days, or
five hours with --set data.train_limit=10000 --test 2000. --quick takes 20 seconds.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from measured import commit, over_seeds
from PIL import Image

import hardpp
from hardpp.config import merge, parse_setting
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.saccader.looking import SaccaderDecoding, look
from hardpp.tasks.saccader.policies import POLICIES, PolicyName

DENSE, BASE, PAPER = "representation", "locations", "paper"
COMPARED = 6  # glimpses, of runs that were trained otherwise
FIRST_STAGES = (DENSE, BASE)  # names of runs, too
AGAINST: tuple[PolicyName, ...] = ("learned", "ordered-logits")  # policies of every network that has one
VARIANTS: dict[str, dict[str, Any]] = {  # arguments of hardpp.train
    PAPER: {"objective": "hybrid", "guide": "prior"},
    "rloo": {"objective": "rloo", "guide": "prior"},
    "vimco": {"objective": "vimco", "guide": "prior"},
    "rws": {"objective": "rws", "guide": "label-aware"},
    "without-locations": {"objective": "hybrid", "guide": "prior"},
}
TITLES = {
    DENSE: "all places (the dense backbone)",
    BASE: "locations, no joint stage",
    PAPER: "the paper's policy gradient",
    "rws": "rws, label-aware guide",
    "without-locations": "the paper's, without location pretraining",
}
COLUMNS = {  # title -> figure
    "accuracy": "accuracy",
    "nll": "nll",
    "dense": "dense",
    "of dense": "of_dense",
    "classified": "classified",
    "diversity, px": "diversity",
    "alike": "alike",
    "hit_first": "hit_first",
    "hit": "hit",
}
QUICK: dict[str, Any] = {
    "data": {"side": 40, "smallest_area": 0.5},
    "network": {"stem": 4, "planes": [4, 4], "blocks": [1, 1], "strides": [2, 2], "wide": [1, 1]},
    "training": {"batch_size": 6, "log_every": 1, "max_epochs": 2},
}


class Benchmark:
    """The runs of one data set and seed, each trained and measured once."""

    def __init__(self, arguments: argparse.Namespace, data: str, seed: int, settings: Mapping[str, Any]):
        self.arguments, self.data, self.seed, self.settings = arguments, data, seed, settings
        self.folder = arguments.out / f"{Path(data).name}-{seed}"

    def run(self) -> None:
        """Trains and measures what is missing."""
        self._measured(DENSE, stage=DENSE)
        self._measured(BASE, stage=BASE, init_from=self.folder / DENSE)
        for name in self.arguments.variants:
            begun = self.folder / (DENSE if name == "without-locations" else BASE)
            given = {**VARIANTS[name], "particles": self.arguments.particles, "init_from": begun}
            self._measured(name, stage="joint", **given)

    def _measured(self, name: str, stage: str, **given: Any) -> None:
        path = self.folder / f"{name}.json"
        if path.is_file():
            return
        epochs = self.arguments.joint_epochs if stage == "joint" else None
        settings = merge(
            [self.settings, {"stages": [stage]}, {"training": {"max_epochs": epochs}} if epochs else {}]
        )
        run = hardpp.train(
            "saccader",
            data=self.data,
            seed=self.seed,
            preset=self.arguments.preset,
            device=self.arguments.device,
            settings=settings,
            out=self.folder / name,
            report=_told,
            **given,
        )
        found: dict[str, Any] = {"run": name, "data": Path(self.data).name, "seed": self.seed}
        found |= {"commit": commit(), "training": _training_speed(run)}
        items = run.select(limit=self.arguments.test, report=_told)
        asked = {"glimpses": self.arguments.glimpses}
        policies = {PAPER: POLICIES, DENSE: ()}.get(name, AGAINST)
        found["policies"] = {policy: run.evaluate(items, policy=policy, **asked) for policy in policies}
        compared = {} if name == DENSE else {"glimpses": min(COMPARED, self.arguments.glimpses)}
        found["trained"] = figures = run.evaluate(items, **compared)
        figures["of_dense"] = figures["accuracy"] / max(1e-9, figures["dense"])
        if name == PAPER:
            some = run.select(limit=self.arguments.occluded, report=_told)
            found["occluded"] = run.evaluate(some, occlude=True, **asked)
            found["speed"] = _test_speed(run)
        path.write_text(json.dumps(found, indent=1))
        _told(f"{path}: accuracy {figures['accuracy']:.4f}, dense {figures['dense']:.4f}")


def _training_speed(run: OpenedRun) -> float | None:
    """Images a second of training, batches included and dev parts left out; None of too short a run."""
    epochs: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
    for line in (run.path / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["split"] == "train":
            epochs[record["epoch"]].append((record["step"], record["time"]))
    steps = sum(points[-1][0] - points[0][0] for points in epochs.values())
    seconds = sum(points[-1][1] - points[0][1] for points in epochs.values())
    return run.config.training.batch_size * steps / seconds if seconds else None


@torch.no_grad()
def _test_speed(run: OpenedRun, at_once: int = 50, repeats: int = 5) -> dict[str, float]:
    """Images a second of the dense backbone, and with all that chooses so many glimpses."""
    batch = run.batch(run.select(limit=at_once, report=_told))
    model: Any = run.programs.model

    def speed(act: Callable[[], Any]) -> float:
        act()
        _wait(run)
        began = time.perf_counter()
        for _ in range(repeats):
            act()
        _wait(run)
        return float(batch.size * repeats / (time.perf_counter() - began))

    found = {"dense": speed(lambda: model.representation(batch.source).logits.mean(1).argmax(-1))}
    for glimpses in (1, COMPARED):
        options = SaccaderDecoding(glimpses=glimpses)
        found[str(glimpses)] = speed(lambda options=options: look(run, batch, options).last.argmax(-1))  # type: ignore[misc]
    return found


def _wait(run: OpenedRun) -> None:
    if run.device.type == "cuda":
        torch.cuda.synchronize()


def tables(out: Path) -> None:
    """Prints what was measured, a section for each data set."""
    every = [json.loads(path.read_text()) for path in sorted(out.glob("*/*.json"))]
    every = [found for found in every if "policies" in found]
    for data in dict.fromkeys(found["data"] for found in every):
        by_run: defaultdict[str, list[Any]] = defaultdict(list)
        for found in every:
            if found["data"] == data:
                by_run[found["run"]].append(found)
        seeds = sorted({found["seed"] for runs in by_run.values() for found in runs})
        print(f"\n## {data}, seeds {', '.join(map(str, seeds))}")
        if PAPER in by_run:
            _print_policies(by_run[PAPER])
            _print_occluded(by_run[PAPER])
        _print_variants(by_run)
        _print_against(by_run)
        _print_speed(by_run)
    print("\n± is the standard error over seeds; where to look is decided from the whole image.")
    print(f"commits {', '.join(sorted({found['commit'] for found in every}))}")


def _print_policies(runs: Sequence[Any]) -> None:
    glimpses = sum(key.startswith("after_") for key in runs[0]["policies"][POLICIES[0]])
    numbers = range(1, glimpses + 1)
    print(f"\ndense accuracy of the same network {over_seeds([run['trained']['dense'] for run in runs], 4)}")
    for figure, what in (
        ("after", "accuracy"),
        ("classified", "share of the pixels classified"),
        ("diversity", "mean pixels between two glimpses"),
    ):
        print(f"\n### {what}, by glimpses\n")
        _print_row(["policy", *map(str, numbers)], head=True)
        for policy in POLICIES:
            values = [[run["policies"][policy][f"{figure}_{g}"] for run in runs] for g in numbers]
            _print_row([policy, *(over_seeds(each, 1 if figure == "diversity" else 4) for each in values)])


def _print_occluded(runs: Sequence[Any]) -> None:
    names = {"occluded": "attended", "occluded_random": "random"}
    numbers = range(1, 1 + sum(key.startswith("occluded_random_") for key in runs[0]["occluded"]))
    count = runs[0]["occluded"]["images"]
    print(f"\n### accuracy by all places once so many patches are painted over ({count} images)\n")
    _print_row(["patches", "0", *map(str, numbers)], head=True)
    for figure, name in names.items():
        values = [[run["occluded"][f"{figure}_{g}"] for run in runs] for g in numbers]
        whole = [run["occluded"]["dense"] for run in runs]
        _print_row([name, *(over_seeds(each, 4) for each in (whole, *values))])


def _print_variants(by_run: Mapping[str, Sequence[Any]]) -> None:
    print(f"\n### how it was trained, at {COMPARED} glimpses\n")
    _print_row(["", "seeds", *COLUMNS], head=True)
    for name in (*FIRST_STAGES, *VARIANTS):
        if runs := by_run.get(name):
            measured = [run["trained"] for run in runs]
            cells = [[each[key] for each in measured if key in each] for key in COLUMNS.values()]
            seeds = ", ".join(str(run["seed"]) for run in runs)
            _print_row([TITLES.get(name, name), seeds, *(over_seeds(each, 4) for each in cells)])


def _print_against(by_run: Mapping[str, Sequence[Any]]) -> None:
    print(f"\n### accuracy of {AGAINST[0]} above {AGAINST[1]} places, of the same network, by glimpses\n")
    head = True
    for name in (BASE, *VARIANTS):
        runs = [run["policies"] for run in by_run.get(name, ()) if run["policies"]]
        if runs:
            numbers = [key for key in runs[0][AGAINST[0]] if key.startswith("after_")]
            if head:
                _print_row(["", "runs", *(key.removeprefix("after_") for key in numbers)], head=True)
                head = False
            apart = [[run[AGAINST[0]][key] - run[AGAINST[1]][key] for run in runs] for key in numbers]
            cells = [over_seeds(each, 4) for each in apart]
            _print_row([TITLES.get(name, name), str(len(runs)), *cells])


def _print_speed(by_run: Mapping[str, Sequence[Any]]) -> None:
    print("\n### images a second\n")
    _print_row(["", "images a second", "of the dense backbone"], head=True)
    rows = {}
    for name in (*FIRST_STAGES, *VARIANTS):
        speeds = [run["training"] for run in by_run.get(name, ()) if run["training"]]
        rows[f"training, {TITLES.get(name, name)}"] = speeds
    dense = {"training": next(iter(rows.values())), "test": []}
    tested = [run["speed"] for run in by_run.get(PAPER, ())]
    for key in tested[0] if tested else ():
        name = "the dense backbone" if key == "dense" else f"glimpses: {key}"
        rows[f"test, {name}"] = [speed[key] for speed in tested]
    dense["test"] = [speed["dense"] for speed in tested]
    for name, speeds in rows.items():
        against = dense[name.partition(",")[0]]
        share = f"{np.mean(speeds) / np.mean(against):.2f}" if speeds and against else ""
        _print_row([name, over_seeds(speeds, 1), share])


def _print_row(cells: Sequence[str], head: bool = False) -> None:
    print("| " + " | ".join(cells) + " |" + ("\n" + "|---" * len(cells) + "|" if head else ""))


def _told(text: str) -> None:
    print(text, flush=True)


def _made_up(folder: Path) -> Path:
    """Squares of three colours on grey noise, as a folder of classes."""
    noise = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 4), ("test", 4)):
        for name, colour in {"blue": (0, 0, 200), "green": (0, 160, 0), "red": (220, 0, 0)}.items():
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = noise.integers(90, 130, (48, 56, 3), dtype=np.uint8)
                top, left = noise.integers(0, 30, 2)
                pixels[top : top + 16, left : left + 16] = colour
                Image.fromarray(pixels).save(folder / part / name / f"{number}.png")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", default=["mnist-112"], help="names or folders")
    parser.add_argument("--seeds", nargs="+", type=int, help="0 1 2; of --quick 0 alone")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--particles", type=int, default=2, help="draws of each image in the joint stage")
    parser.add_argument("--glimpses", type=int, default=8, help="at most, of the curves")
    parser.add_argument("--joint-epochs", type=int, help="left out, those of the recommended settings")
    parser.add_argument("--test", type=int, help="only the first so many images of the test part")
    parser.add_argument("--occluded", type=int, default=1000, help="images that are painted over")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("runs/saccader"))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--table", type=Path, help="print the tables of an earlier run's folder")
    parser.add_argument("--quick", action="store_true", help="60 made-up pictures: to see that it runs")
    arguments = parser.parse_args()
    if arguments.table:
        tables(arguments.table)
        return
    settings = merge([{"threads": arguments.threads}, *(parse_setting(text) for text in arguments.set)])
    with TemporaryDirectory() as temporary:
        if arguments.quick:
            arguments.data = [str(_made_up(Path(temporary) / "squares"))]
            arguments.out = Path(temporary) / "runs"
            settings = merge([QUICK, settings])
        for data in arguments.data:
            for seed in arguments.seeds or ([0] if arguments.quick else [0, 1, 2]):
                Benchmark(arguments, data, seed, settings).run()
        tables(arguments.out)


if __name__ == "__main__":
    main()
