"""Readers of what hardpp itself writes: configurations, run folders, checkpoints, posteriors."""

import hashlib
import json
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from corpora import TINY, write_corpus
from fuzzed.reader import Reader

import hardpp
from hardpp.config import read_toml
from hardpp.diagnostics.posterior_file import read_posterior
from hardpp.runs.bad_steps.bad_batch import FILE, BadBatch, read_bad_batch
from hardpp.runs.history import records
from hardpp.runs.report_sections import read_summary
from hardpp.tasks.configuration import resolve
from hardpp.verbs.output import write_posterior


@cache
def _trained() -> Path:
    base = Path(mkdtemp(prefix="fuzzed"))
    data = write_corpus(base / "data")
    settings = {"network.dropout": 0.0, **_flat(TINY)}
    run = hardpp.train(
        data=data, settings=settings, max_steps=2, out=base / "run", report=lambda text: None, evaluate="none"
    )
    write_posterior(run.posterior(run.select(limit=2), draws=2), base / "posterior.nc")
    return base


def prepare() -> None:
    """Trains the run that these readers read, which is done once a process."""
    _trained()


def _flat(tables: dict[str, Any]) -> dict[str, Any]:
    return {f"{table}.{key}": value for table, keys in tables.items() for key, value in keys.items()}


def _run(folder: Path, *patterns: str) -> list[Path]:
    run = shutil.copytree(_trained() / "run", folder / "run")
    (run / "summary.json").write_text('{"PER": 0.5, "step": 2, "evaluation": "full"}')
    return [path for pattern in patterns for path in sorted(run.glob(pattern))]


def _opened(folder: Path) -> Any:
    return hardpp.open_run(folder / "run", "cpu", report=lambda text: None)


# Manifests that agree with what is there.
def _seal(folder: Path) -> None:
    for step in (folder / "run" / "checkpoints").glob("step-*"):
        manifest = json.loads((step / "MANIFEST.json").read_text())
        for name in manifest["files"]:
            data = (step / name).read_bytes()
            manifest["files"][name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        (step / "MANIFEST.json").write_text(json.dumps(manifest))


def _told(folder: Path) -> Any:
    read_summary(folder / "run")
    return records(folder / "run"), _opened(folder).history


def _bad_step(folder: Path) -> list[Path]:
    counts = dict.fromkeys(("stage", "before", "step", "epoch", "batch", "rollbacks", "seed"), 1)
    said = {"why": "loss is nan", "policy": "stop", "loss": "nan", "gradient_norm": None, "device": "cpu"}
    drawn = {"items": ["the pair 'a' -> 'b'"], "item": None, "by_then": False, "begins_at": None}
    bad = BadBatch(version=1, threads=1, processes=1, **counts, **said, **drawn)
    (folder / FILE).write_text(bad.model_dump_json())
    return [folder / FILE]


def _configuration(folder: Path) -> list[Path]:
    path = folder / "run.toml"
    path.write_text((_trained() / "run" / "config.toml").read_text())
    return [path]


def _posterior(folder: Path) -> list[Path]:
    return [Path(shutil.copy(_trained() / "posterior.nc", folder / "posterior.nc"))]


def _whole(folder: Path) -> Any:
    posterior = read_posterior(folder / "posterior.nc")
    return posterior, repr(posterior), [posterior.item(name) for name in posterior.names]


READERS = {
    "configuration, TOML": Reader(
        _configuration, lambda folder: resolve([read_toml(folder / "run.toml")]), (2,), named=False
    ),
    "posterior, netCDF": Reader(_posterior, _whole, (4,)),
    "run, configuration": Reader(lambda folder: _run(folder, "config.toml"), _opened, (4,)),
    "run, descriptions": Reader(lambda folder: _run(folder, "data.json", "versions.json"), _opened, (4,)),
    "run, checkpoints": Reader(
        lambda folder: _run(folder, "checkpoints/best", "checkpoints/step*/*"), _opened, (4,)
    ),
    "run, sealed state": Reader(
        lambda folder: _run(folder, "checkpoints/step*/state.json"), _opened, (4,), _seal
    ),
    "run, sealed weights": Reader(
        lambda folder: _run(folder, "checkpoints/step*/model*"), _opened, (4,), _seal
    ),
    "run, bad step": Reader(_bad_step, lambda folder: read_bad_batch(folder / FILE), (4,)),
    "run, metrics": Reader(lambda folder: _run(folder, "metrics.jsonl", "summary.json"), _told, (4,)),
}
