"""Speech by the six systems of Lawson et al. (2017) and others: errors, how soon, and when tokens are said.

    python benchmarks/speech.py --data synthetic-timit --rows vimco reinforce --seeds 0 1 2 --out runs/speech
    python benchmarks/speech.py --table runs/speech --curves speech.png    # of several folders, too
    python benchmarks/speech.py --quick

Networks, batches, particles and steps of all rows are the same; "leave-one-out" and "temporal" are equations
6 and 7. REINFORCE draws from the model itself and has the entropy bonus of Luo et al. (2016), without which
its decisions settle before they have heard anything; `--bonus 0` turns it off. VIMCO and NVIL have none. No
estimator here has a score of mean zero left in it (for VIMCO that is `center`), which the paper does not say.

Each row is a run folder (`hardpp train` would make the same), kept and gone on with. After every epoch the
dev part is recognised greedily: curve.jsonl has step, epoch, CPU seconds of training, PER and delay. Figures
of the table are of the epoch of the best dev bound on the test part. One process and `--threads` CPU threads.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

from measured import commit, over_seeds

from hardpp.config import merge, parse_setting
from hardpp.runs import checkpoint
from hardpp.runs.folder import check_same_config, create, holds_run, open_run
from hardpp.runs.recorded_training import train as train_session
from hardpp.runs.session import Session
from hardpp.runs.trainer import Trainer
from hardpp.tasks.configuration import resolve
from hardpp.tasks.family import Programs
from hardpp.tasks.metrics.error_rates import phone_error_rate
from hardpp.tasks.online_alignment.evaluation import OnlineDecoding, delays, recognise
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import Record

MODEL = "online-alignment"
TRANSDUCER, CTC = {"network": {"form": "transducer"}}, {"network": {"form": "ctc"}}
LAWSON: dict[str, dict[str, Any]] = {
    "reinforce": {
        "objective": "reinforce",
        "guide": "prior",
        "inference": {"baseline": "leave-one-out", "credit": "global"},
    },
    "reinforce-temporal": {
        "objective": "reinforce",
        "guide": "prior",
        "inference": {"baseline": "temporal"},
    },
    "nvil": {"objective": "elbo", "inference": {"baseline": "leave-one-out", "credit": "global"}},
    "nvil-temporal": {"objective": "elbo", "inference": {"baseline": "temporal"}},
    "vimco": {"objective": "vimco", "inference": {"control": "geometric"}},
    "vimco-temporal": {"objective": "vimco", "inference": {"control": "temporal"}},
}
ROWS: dict[str, dict[str, Any]] = {
    **LAWSON,
    "rws": {"objective": "rws", "inference": {"control_variates": False}},
    "elbo-learned": {"objective": "elbo", "inference": {"baseline": "learned"}},
    "exact-transducer": {"objective": "exact", **TRANSDUCER},
    "ctc": {"objective": "exact", **CTC},
}
COLUMNS = {  # title -> figure, decimals
    "PER": ("PER", 4),
    "best dev PER": ("dev_PER", 4),
    "NLL": ("nll", 4),
    "delay": ("delay", 0),
    "boundary": ("boundary", 0),
    "aligned": ("boundary_aligned", 0),
    "coverage": ("coverage", 2),
    "aligned, coverage": ("coverage_aligned", 2),
    "interval": ("interval", 0),
    "CPU s": ("cpu_seconds", 0),
}


def layers_of(row: str, seed: int, bonus: tuple[float, int], particles: int) -> list[Mapping[str, Any]]:
    """What sets a row apart, weakest first."""
    layers: list[Mapping[str, Any]] = [{"model": MODEL, "seed": seed, "device": "cpu"}, ROWS[row]]
    if ROWS[row]["objective"] != "exact":
        layers.append({"inference": {"particles": particles}})
    if row.startswith("reinforce"):
        weights = {"entropy_bonus": bonus[0], "entropy_bonus_steps": bonus[1]}
        layers.append({"inference": weights})
    return layers


def train(row: str, path: Path, layers: Sequence[Mapping[str, Any]]) -> None:
    """Trains a row in its folder, or goes on with it, and writes benchmark.json when it is done."""
    if (path / "benchmark.json").is_file():
        return
    config = resolve(list(layers))
    there = holds_run(path)
    if there:
        check_same_config(path, config)
    session = Session(config, _say)
    if not there:
        create(path, config, session.description)
    trainer = session.trainer()
    if (newest := checkpoint.newest_sound(path)) is not None:
        trainer.restore(newest.checkpoint)
    curve = [point for point in _curve(path) if point["step"] <= trainer.validated_at]
    (path / "curve.jsonl").write_text("".join(json.dumps(point) + "\n" for point in curve))
    dev, used, began = session.data.dev, curve[-1]["cpu_seconds"] if curve else 0.0, time.process_time()

    def watch(record: Record) -> None:
        nonlocal used, began
        if record.split == "train":
            return
        used += time.process_time() - began
        run = _now(session, trainer)
        transcripts = recognise(run, dev, OnlineDecoding())
        rates = phone_error_rate(
            [transcript.tokens for transcript in transcripts],
            [utterance.tokens for utterance in dev],
            session.description.folding,
        )
        point = {"step": record.step, "epoch": record.epoch, "cpu_seconds": round(used, 1)}
        point |= {"bound": float(record.bound), "PER": rates.symbol, **delays(transcripts, dev)}
        with (path / "curve.jsonl").open("a") as file:
            file.write(json.dumps(point) + "\n")
        _say(
            f"{path.name} epoch {record.epoch} {used:.0f} s bound {point['bound']:.3f} PER {rates.symbol:.4f}"
        )
        began = time.process_time()

    train_session(session, trainer, path, stop=lambda: False, watch=watch, report=_say)
    run = open_run(path, "cpu")
    figures = run.evaluate(run.select(report=_say))
    size = sum(parameter.numel() for parameter in run.programs.model.parameters())
    out = {"row": row, "seed": config.seed, "data": config.data.name, "commit": commit()}
    out |= {"model_parameters": size, **figures}
    out |= {"cpu_seconds": used, "dev_PER": min(point["PER"] for point in _curve(path))}
    (path / "benchmark.json").write_text(json.dumps(out | {"curve": _curve(path)}, indent=1))


def table(folders: Sequence[Path], levels: Sequence[float]) -> None:
    """Prints a line a row with means over seeds, and at which step each row reached each dev PER."""
    groups = {(data, row): group for data, rows in _groups(folders).items() for row, group in rows.items()}
    titles = [*COLUMNS, *(f"steps to {level:g}" for level in levels)]
    print("| data | row | seeds | " + " | ".join(titles) + " |")
    print("|---" * (len(titles) + 3) + "|")
    for (data, row), group in groups.items():
        cells = [data, f"`{row}`", str(len(group))]
        for figure, decimals in COLUMNS.values():
            values = [result[figure] for result in group if figure in result]
            cells.append(over_seeds(values, decimals))
        for level in levels:
            steps = [step for result in group if (step := _reached(result["curve"], level)) is not None]
            reached = f"{mean(steps):.0f}" if steps else "never"
            cells.append(
                reached if len(steps) in (0, len(group)) else f"{reached} ({len(steps)} of {len(group)})"
            )
        print("| " + " | ".join(cells) + " |")
    print("\n± is the standard error over seeds; delay, boundary, lag and interval are milliseconds.\n")
    for (data, row), group in groups.items():
        for result in group:
            rates = ", ".join(f"{point['PER']:.3f}" for point in result["curve"])
            size = result["model_parameters"]
            print(f"{data} {row} {result['seed']} ({size} parameters): dev PER by epoch {rates}")
    commits = {result["commit"] for group in groups.values() for result in group}
    print(f"\ncommit {', '.join(sorted(commits))}")


def draw(folders: Sequence[Path], path: Path) -> None:
    """Learning curves, a panel a data set: dev PER by step, a thin line a seed, a thick one their mean."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    groups = _groups(folders)
    wide = 8 if len(groups) == 1 else 5 * len(groups)
    figure = Figure(figsize=(wide, 4.5), layout="constrained")
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    kinds = list(dict.fromkeys(row.removesuffix("-temporal") for row in ROWS))
    shown: dict[str, Any] = {}
    for axis, (data, rows) in zip(panels, groups.items(), strict=True):
        for row, group in rows.items():
            colour = colormaps["tab10"](kinds.index(row.removesuffix("-temporal")))
            for result in group:
                steps, rates = zip(*((p["step"], p["PER"]) for p in result["curve"]), strict=True)
                axis.plot(steps, rates, color=colour, linewidth=0.6, alpha=0.6)
            shared = list(zip(*(result["curve"] for result in group), strict=False))
            middle = [mean(point["PER"] for point in points) for points in shared]
            steps = [points[0]["step"] for points in shared]
            style = "--" if row.endswith("temporal") else "-"
            (shown[row],) = axis.plot(steps, middle, color=colour, linewidth=1.8, linestyle=style)
        axis.set_title(data)
        axis.set_xlabel("steps")
        axis.set_ylim(0, 1)
        axis.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("dev PER, greedy")
    named = {row: shown[row] for row in ROWS if row in shown}
    figure.legend(named.values(), named.keys(), loc="outside right center", frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def _now(session: Session, trainer: Trainer) -> OpenedRun:
    module: Any = trainer.evaluated
    run: OpenedRun = session.family.run(
        path=Path(),
        family=session.family,
        config=session.config,
        description=session.description,
        programs=Programs(module.model, module.guide),
        objective=session.objective,
        device=session.device,
        step=trainer.step,
        data=session.data,
    )
    return run


def _curve(path: Path) -> list[dict[str, Any]]:
    file = path / "curve.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def _reached(curve: Sequence[Mapping[str, Any]], level: float) -> int | None:
    return next((point["step"] for point in curve if point["PER"] <= level), None)


# Data set -> row -> results, one a seed, whichever of the folders they lie in.
def _groups(folders: Sequence[Path]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    results: dict[str, dict[str, list[dict[str, Any]]]] = {}
    folder_of: dict[tuple[str, str, int], Path] = {}
    for folder in folders:
        paths = sorted(folder.glob("*/benchmark.json"))
        if not paths:
            raise SystemExit(f"{folder} holds no run that is done")
        for path in paths:
            result = json.loads(path.read_text())
            if first := folder_of.get(key := (result["data"], result["row"], result["seed"])):
                raise SystemExit(f"{first.parent} and {path.parent} are of one data set, row and seed")
            folder_of[key] = path
            results.setdefault(result["data"], {}).setdefault(result["row"], []).append(result)
    return {data: {row: rows[row] for row in ROWS if row in rows} for data, rows in results.items()}


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="spoken-digits")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--particles", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument(
        "--bonus", type=float, default=1.0, help="REINFORCE's entropy bonus at first; 0: none"
    )
    parser.add_argument("--bonus-steps", type=int, default=1000, help="over which it falls to a tenth")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/speech"))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--table", type=Path, nargs="+", help="print the table of earlier runs' folders")
    parser.add_argument("--levels", nargs="*", type=float, default=[0.5, 0.3, 0.2], help="dev PERs to reach")
    parser.add_argument("--curves", type=Path, help="picture of the learning curves to write")
    parser.add_argument("--quick", action="store_true", help="40 utterances, one epoch: to see that it runs")
    arguments = parser.parse_args()
    with TemporaryDirectory() as temporary:
        out = Path(temporary) if arguments.quick else arguments.out
        if not arguments.table:
            # All rows train as long: no row stops for want of patience.
            training = {"max_epochs": arguments.epochs, "patience": arguments.epochs}
            shared: Mapping[str, Any] = merge([{"training": training}, *map(parse_setting, arguments.set)])
            shared = merge([shared, {"data": {"name": arguments.data}, "threads": arguments.threads}])
            if arguments.quick:
                sizes = {"embedding": 4, "hidden": 8, "reader": 4, "guide": 4}
                quick = {"data": {"train_limit": 40}, "training": {"max_epochs": 1}, "network": sizes}
                shared = merge([shared, quick])
            bonus = (arguments.bonus, arguments.bonus_steps)
            for seed in arguments.seeds:
                for row in arguments.rows:
                    own = layers_of(row, seed, bonus, arguments.particles)
                    train(row, out / f"{row}-{seed}", [shared, *own])
        folders = arguments.table or [out]
        table(folders, arguments.levels)
        if arguments.curves:
            draw(folders, arguments.curves)
