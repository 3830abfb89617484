"""Designed glimpse sequences against other policies, and what they teach, over seeds.

    python benchmarks/near_optimal.py --data translated-mnist --seeds 0 1 2 --out runs/near-optimal
    python benchmarks/near_optimal.py --table runs/near-optimal
    python benchmarks/near_optimal.py --quick

Of each seed:

    classifier    a run of masked-image; its calibration by number of patches
    search        places of a few test images from coarse to fine, and by judging all: are they the same?
    completion    these images by retrieval, by enumeration of training images, and by a run of image-vae
    policies      accuracy after each glimpse on test images: designed, random, centre, and a learnt policy
    teaching      a learnt policy taught by a share of designed sequences, by central ones, and by nobody; and
                  by nobody for twice as many epochs: is the taught one as good after half of the steps?

The last for two networks, judged by the whole test part. The same command goes on where it was stopped, and
measures nothing twice. --quick takes half a minute.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from measured import commit, over_seeds
from scipy.stats import binomtest

import hardpp
from hardpp.config import merge, parse_setting
from hardpp.data.images.glimpse_sequence_files import write
from hardpp.data.images.glimpse_sequences import read
from hardpp.data.images.idx import DIGITS
from hardpp.tasks.designing import CompletingRun
from hardpp.tasks.masked_image.looking import central

WITHIN = 0.01  # nats of the test part
NETWORKS: dict[str, dict[str, Any]] = {"relu": {}, "gru": {"cell": "gru", "features": 64, "hidden": 64}}
TEACHINGS = (("none", 1), ("designed", 1), ("central", 1), ("none", 2))  # teacher, times as many epochs


class Benchmark:
    """The runs of one seed, each made and measured once."""

    def __init__(self, arguments: argparse.Namespace, seed: int, settings: Mapping[str, Any]):
        self.arguments, self.seed, self.settings = arguments, seed, settings
        self.folder = arguments.out / f"{Path(arguments.data).name}-{seed}"
        self.folder.mkdir(parents=True, exist_ok=True)

    def run(self) -> None:
        """Trains and measures what is missing."""
        for name in self.arguments.parts:
            path = self.folder / f"{name}.json"
            if path.is_file():
                continue
            began = time.perf_counter()
            found = getattr(self, name)()
            about = {"seed": self.seed, "commit": commit(), "seconds": time.perf_counter() - began}
            path.write_text(json.dumps({**found, **about}, indent=1))
            _told(f"{path}: {time.perf_counter() - began:.0f} s")

    def classifier(self) -> dict[str, Any]:
        """Calibration on the test part, at random places."""
        run = self._classifier()
        return {"random": run.evaluate(run.select(limit=self.arguments.calibrated))}

    def search(self) -> dict[str, Any]:
        """Of a few images, coarse to fine and exhaustive."""
        run, limit = self._classifier(), self.arguments.searched
        found: dict[str, Any] = {}
        places = {}
        for name in ("coarse", "exhaustive"):
            path = self.folder / f"searched-{name}.txt"
            path.unlink(missing_ok=True)
            items = run.select(limit=limit)
            found[name] = run.design(path, items, exhaustive=name == "exhaustive", **self._design())
            places[name] = read(path).places
        # Of steps that were asked the same question: with the same glimpses before.
        same = [
            coarse[g] == exhaustive[g]
            for coarse, exhaustive in zip(*(each.values() for each in places.values()), strict=True)
            for g in range(len(coarse))
            if coarse[:g] == exhaustive[:g]
        ]
        return {**found, "same": float(np.mean(same)), "steps": len(same)}

    def completion(self) -> dict[str, Any]:
        """Of a few images, by each way to complete them; what is looked at is judged by the true image."""
        run, limit = self._classifier(), self.arguments.searched
        ways: dict[str, Any] = {
            "retrieval": "retrieval",
            "enumeration": "enumeration",
            "learned": self._vae(),
        }
        found = {}
        for name, way in ways.items():
            path = self.folder / f"completed-{name}.txt"
            path.unlink(missing_ok=True)
            items = run.select(limit=limit)
            own = {"database": self.arguments.enumerated} if name == "enumeration" else {}
            figures = run.design(path, items, completion=way, **{**self._design(), **own})
            found[name] = {**figures, "seen": run.evaluate(items, sequences=str(path))}
        return found

    def policies(self) -> dict[str, Any]:
        """Right labels after each glimpse of every policy, (images, glimpses)."""
        run = self._classifier()
        path = self.folder / "test.txt"
        items = run.select(limit=self.arguments.test)
        found: dict[str, Any] = {"designed": run.design(path, items, watch=_watched, **self._design())}
        batch, model = run.batch(items), run.programs.model
        designed = read(path).places
        asked = torch.tensor([designed[name] for name in items.names])
        G, count = asked.shape[1], len(items.names)
        torch.manual_seed(self.seed)
        learned = hardpp.open_run(self._policy("relu", "none")).programs.model
        gazes = {
            "designed": model.grid.nearest(asked),
            "learned": learned.sample_locations(batch.source)[0],
            "centre": central(model.grid)[:G].expand(count, -1),
            "random": torch.stack([torch.randperm(model.grid.places)[:G] for _ in range(count)]),
        }
        with torch.no_grad():
            for name, places in gazes.items():
                right = model.labels(batch.source, places).argmax(-1) == batch.target.unsqueeze(-1)
                found[name] = {**found.get(name, {}), "right": right.int().tolist()}
        return found

    def teaching(self) -> dict[str, Any]:
        """Test figures of policies that were taught, and that were not."""
        found: dict[str, Any] = {}
        for network in self.arguments.networks:
            for teacher, times in TEACHINGS:
                run = hardpp.open_run(self._policy(network, teacher, times))
                found[f"{network}, {teacher}, {times}"] = run.evaluate()
        return found

    def _classifier(self) -> Any:
        epochs = self.arguments.classifier_epochs
        first = {"many-patches": {"training": {"max_epochs": max(1, epochs // 4)}}}
        own = {"training": {"max_epochs": epochs}, "stage": first, "network": self.arguments.grid}
        return self._train("classifier", "masked-image", own)

    def _vae(self) -> CompletingRun:
        run: Any = self._train("vae", "image-vae", {"network": self.arguments.grid})
        return run

    # The folder of a policy's run.
    def _policy(self, network: str, teacher: str, times: int = 1) -> Path:
        grid, given = self.arguments.grid, {}
        places = {"places": "borders", "cells": grid["cells"], "side": grid["patch"], "windows": 1}
        own = {**places, "glimpses": grid["glimpses"], "context": 0, **NETWORKS[network]}
        training = {"max_epochs": times * self.arguments.policy_epochs}
        settings: dict[str, Any] = {"network": own, "training": training}
        if teacher != "none":
            settings["data"] = {"sequences": str(self._sequences(teacher))}
            weight, steps = self.arguments.supervision, self.arguments.supervision_steps
            settings["inference"] = {"supervision": weight, "supervision_steps": steps}
            given = {"guide": "replay", "objective": "rloo"}
        name = f"policy-{network}-{teacher}" + (f"-{times}-times" if times > 1 else "")
        run = self._train(name, "glimpse", settings, **given)
        return Path(run.path)

    # Sequences of the first training images, and of the same images the central places.
    def _sequences(self, teacher: str) -> Path:
        run = self._classifier()
        path = self.folder / "train.txt"
        items = run.select(part="train", limit=self.arguments.supervised)
        run.design(path, items, watch=_watched, **self._design())
        if teacher == "central":
            designed, path = read(path), self.folder / "central.txt"
            grid = run.programs.model.grid
            corners = grid.corners(central(grid)[: self.arguments.grid["glimpses"]]).tolist()
            same = {name: [(row, column) for row, column in corners] for name in designed.places}
            write(path, designed._replace(places=same), force=True)
        return path

    def _design(self) -> dict[str, Any]:
        few, first = self.arguments.completions, self.arguments.first
        return {"glimpses": self.arguments.grid["glimpses"], "completions": few, "first": first}

    def _train(self, name: str, model: str, settings: Mapping[str, Any], **given: Any) -> Any:
        data = {"data": {"train_limit": self.arguments.train}}
        return hardpp.train(
            model,
            data=self.arguments.data,
            seed=self.seed,
            settings=merge([data, self.settings, settings]),
            out=self.folder / name,
            report=_told,
            **given,
        )


def tables(out: Path) -> None:
    """Prints what was measured."""
    found: dict[str, list[Any]] = {}
    for path in sorted(out.glob("*/*.json")):
        found.setdefault(path.stem, []).append(json.loads(path.read_text()))
    printers: dict[str, Callable[[Sequence[Any]], None]] = {
        "classifier": _print_classifier,
        "search": _print_search,
        "completion": _print_completion,
        "policies": _print_policies,
        "teaching": _print_teaching,
    }
    for name, show in printers.items():
        if runs := found.get(name):
            seeds = ", ".join(str(run["seed"]) for run in runs)
            commits = ", ".join(sorted({run["commit"] for run in runs}))
            print(f"\n## {name}, seeds {seeds}, commits {commits}\n")
            show(runs)


def _print_classifier(runs: Sequence[Any]) -> None:
    numbers = [key.removeprefix("ece_") for key in runs[0]["random"] if key.startswith("ece_")]
    _row(["random places, after", *numbers], head=True)
    for figure in ("accuracy", "nll", "ece"):
        values = [[run["random"][f"{figure}_{g}"] for run in runs] for g in numbers]
        _row([figure, *(over_seeds(each, 4) for each in values)])


def _print_search(runs: Sequence[Any]) -> None:
    _row(["", "passes an image, after the first glimpse", "seconds an image"], head=True)
    for name in ("coarse", "exhaustive"):
        of_search = [run[name] for run in runs]
        passes, seconds = ([run[key] for run in of_search] for key in ("passes", "seconds"))
        _row([name, over_seeds(passes, 0), over_seeds(seconds, 2)])
    same, steps = [run["same"] for run in runs], sum(run["steps"] for run in runs)
    print(f"\nthe same place in {over_seeds(same, 4)} of {steps} steps")


def _print_completion(runs: Sequence[Any]) -> None:
    numbers = [key.removeprefix("ess_") for key in runs[0]["retrieval"] if key.startswith("ess_")]
    _row(["", "figure", *numbers, "seconds an image"], head=True)
    for name in ("retrieval", "enumeration", "learned"):
        for figure, title in (
            ("ess", "ESS"),
            ("expected_entropy", "expected entropy of the best place"),
            ("entropy", "entropy once it was looked at"),
            ("nll", "nll once it was looked at"),
        ):
            where = [run[name]["seen"] if figure in ("entropy", "nll") else run[name] for run in runs]
            values = [over_seeds([each[f"{figure}_{g}"] for each in where], 3) for g in numbers]
            seconds = over_seeds([run[name]["seconds"] for run in runs], 2) if figure == "ess" else ""
            _row([name if figure == "ess" else "", title, *values, seconds])


def _print_policies(runs: Sequence[Any]) -> None:
    right = {
        name: [np.array(run[name]["right"]) for run in runs]
        for name in ("designed", "learned", "centre", "random")
    }
    G = right["designed"][0].shape[1]
    _row(["accuracy after", *map(str, range(G))], head=True)
    for name, of_runs in right.items():
        _row([name, *(over_seeds([float(each[:, g].mean()) for each in of_runs], 4) for g in range(G))])
    for name in ("learned", "centre", "random"):
        cells = []
        for g in range(1, G):
            ours, theirs = (np.concatenate(right[each])[:, g] for each in ("designed", name))
            better, worse = int((ours > theirs).sum()), int((ours < theirs).sum())
            p = binomtest(better, better + worse, alternative="greater").pvalue if better + worse else 1.0
            cells.append(f"{p:.1g}")
        _row([f"p, designed above {name}", "", *cells])
    print("\np: one-sided sign test over the images that one of the two gets right")


def _print_teaching(runs: Sequence[Any]) -> None:
    columns = {"error": "error", "nll": "nats, one draw", "nll_mean": "nats, mean of draws"}
    _row(["network", "taught by", "epochs", *columns.values(), "spread of the last"], head=True)
    for key in [key for key in runs[0] if ", " in key]:
        network, teacher, times = key.split(", ")
        figures = [[run[key][figure] for run in runs] for figure in columns]
        spread = f"{np.std(figures[-1], ddof=1):.4f}" if len(runs) > 1 else ""
        _row([network, teacher, f"{times} x", *(over_seeds(each, 4) for each in figures), spread])
    for network in NETWORKS:
        if (half := f"{network}, designed, 1") in runs[0]:
            print(f"\n{network}: taught by designed sequences, in half of the steps, against nobody:")
            for figure in ("nll", "nll_mean"):
                apart = [run[half][figure] - run[f"{network}, none, 2"][figure] for run in runs]
                enough = sum(each <= WITHIN for each in apart)
                reached = f"within {WITHIN} in {enough} of {len(apart)} seeds"
                print(f"- {columns[figure]}: {over_seeds(apart, 4)} more; {reached}")
    print("\nspread: the standard deviation between seeds")


def _row(cells: Sequence[str], head: bool = False) -> None:
    print("| " + " | ".join(cells) + " |" + ("\n" + "|---" * len(cells) + "|" if head else ""))


def _told(text: str) -> None:
    print(text, flush=True)


def _watched(designed: Any) -> None:
    if designed.number % 20 == 0:
        _told(f"{designed.number} of {designed.total} sequences")


def _made_up(folder: Path) -> Path:
    """Digits of a few pixels, as the four files of MNIST."""
    import struct

    noise = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for part, count in (("train", 60), ("t10k", 20)):
        labels = (np.arange(count) % len(DIGITS)).astype(np.uint8)
        images = noise.integers(0, 60, (count, 12, 12), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[label : label + 3, 4:8] = 250
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / f"{part}-{name}-ubyte").write_bytes(head + array.tobytes())
    return folder


PARTS = ("classifier", "search", "completion", "policies", "teaching")
QUICK: dict[str, Any] = {
    "grid": {"glimpses": 2, "patch": 4, "cells": 3},
    "networks": ["relu"],
    **{"classifier_epochs": 1, "policy_epochs": 1, "calibrated": 20, "searched": 2, "enumerated": 20},
    **{"test": 4, "supervised": 4, "completions": 6, "first": 6},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="translated-mnist", help="a name or folder of square images")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--train", type=int, default=20_000, help="training images")
    parser.add_argument("--classifier-epochs", type=int, default=12, help="the first stage has a quarter")
    parser.add_argument("--policy-epochs", type=int, default=20)
    parser.add_argument("--calibrated", type=int, default=5000, help="test images of the calibration")
    parser.add_argument("--searched", type=int, default=20, help="test images of search and completion")
    parser.add_argument("--enumerated", type=int, default=500, help="training images that are enumerated")
    parser.add_argument("--test", type=int, default=200, help="test images of the policies")
    parser.add_argument("--supervised", type=int, default=400, help="training images with sequences")
    parser.add_argument("--supervision", type=float, default=0.1, help="the paper's: 64 x the share, 1.28")
    parser.add_argument("--supervision-steps", type=int, default=600, help="after which it is 0")
    parser.add_argument("--completions", type=int, default=100)
    parser.add_argument("--first", type=int, default=1000, help="completions before the first glimpse")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/near-optimal"))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of all runs")
    parser.add_argument("--table", type=Path, help="print the tables of an earlier run's folder")
    parser.add_argument("--quick", action="store_true", help="made-up images: to see that it runs")
    arguments = parser.parse_args()
    arguments.grid = {"glimpses": 5, "patch": 12, "cells": 13}
    if arguments.table:
        tables(arguments.table)
        return
    settings = merge([{"threads": arguments.threads}, *(parse_setting(text) for text in arguments.set)])
    torch.set_num_threads(arguments.threads)
    with TemporaryDirectory() as temporary:
        if arguments.quick:
            vars(arguments).update(QUICK)
            arguments.data = str(_made_up(Path(temporary) / "bars"))
            arguments.out = Path(temporary) / "runs"
        for seed in arguments.seeds:
            Benchmark(arguments, seed, settings).run()
        tables(arguments.out)


if __name__ == "__main__":
    main()
