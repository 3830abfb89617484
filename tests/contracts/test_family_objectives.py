"""Every objective trains every model family, or is refused in one sentence before anything is written.

What an objective's name hides, its class says: `package.module:Class` with the same options does the same.
What a pair of family and objective comes to, or why it is refused, is asked of all pairs, and
`second_device.py` takes two steps of each. Whole trainings on the command line do what their configuration
says, whatever the pair: every objective is trained with one family, and every family by some objectives.
"""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from corpora import hardpp, hashes, metrics, settings
from covering import spread
from tiny_families import FAMILIES, TinyRun, available, tiny_settings

from hardpp.config import RunConfig
from hardpp.errors import UsageError
from hardpp.tasks.configuration import resolve
from hardpp.tasks.objectives import OBJECTIVES


@pytest.fixture(scope="module", params=FAMILIES)
def untrained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    root = tmp_path_factory.mktemp(request.param)
    run = TinyRun(request.param, root / "data", root / "run")
    available(run.name).write(run.data)
    return run


def train(run: TinyRun, out: Path, objective: str, *more: str) -> tuple[int, str]:
    """Two steps with the guide that is recommended: the exit code, and the sentence if it is refused."""
    words = ["train", "--model", run.name, "--data", run.data, "--out", out, "--device", "cpu"]
    words += [*settings(tiny_settings(run.name)), "--objective", objective, "--max-steps", "2", *more]
    result = hardpp(*words)
    assert "Traceback" not in result.stderr
    return result.exit_code, "" if result.exit_code == 0 else result.stderr


def resolved(
    run: TinyRun, objective: str, more: Mapping[str, Any] = MappingProxyType({})
) -> RunConfig | None:
    """The configuration of such a training; None if it is refused."""
    try:
        given = {"model": run.name, "objective": objective, "data": {"name": str(run.data)}}
        return resolve([tiny_settings(run.name), {**given, **more}])
    except UsageError:
        return None


def by_class(objective: str, config: RunConfig | None) -> tuple[str, dict[str, Any]]:
    """How the class of an objective is spelt, and the options that make it what the name makes it."""
    spec = OBJECTIVES[objective]
    options: Mapping[str, Any] = spec.settings if config is None else config.inference
    return f"{spec.kind.__module__}:{spec.kind.__qualname__}", {"inference": {**options, **spec.fixed}}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_it_is_taken_or_refused_by_its_name_and_by_its_class(
    untrained: TinyRun, objective: str, tmp_path: Path
) -> None:
    config = resolved(untrained, objective)
    spelt, options = by_class(objective, config)
    if config is not None:
        same = resolved(untrained, spelt, {"guide": config.guide, **options})
        assert same is not None
        assert same.inference == options["inference"]
        assert same.model_copy(update={"objective": objective, "inference": config.inference}) == config
        return
    for name, more in ((objective, []), (spelt, settings(options))):
        code, refusal = train(untrained, tmp_path / "run", name, *more)
        assert code == 2
        sentence, *hint = refusal.splitlines()
        assert sentence.startswith("hardpp: ")
        assert [line[:8] for line in hint] in ([], ["  hint: "])
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("objective", {row.kind: name for name, row in reversed(OBJECTIVES.items())}.values())
def test_a_class_has_what_is_recommended_for_its_first_row(untrained: TinyRun, objective: str) -> None:
    kind = OBJECTIVES[objective].kind
    by_name, by_class = (
        resolved(untrained, each) for each in (objective, f"{kind.__module__}:{kind.__qualname__}")
    )
    assert (by_name is None) == (by_class is None)
    if by_name is not None and by_class is not None:
        assert (by_name.guide, by_name.inference) == (by_class.guide, by_class.inference)


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[TinyRun]]:
    """The families with which an objective is trained on the command line."""
    runs: dict[str, TinyRun] = {}
    for name, tiny in FAMILIES.items():
        if tiny.extra is None or find_spec(tiny.extra):
            root = tmp_path_factory.mktemp(name)
            runs[name] = TinyRun(name, root / "data", root / "run")
            tiny.write(runs[name].data)
    found: dict[str, list[TinyRun]] = {objective: [] for objective in OBJECTIVES}
    for name, objective in spread(runs, OBJECTIVES, lambda name, each: bool(resolved(runs[name], each))):
        found[objective].append(runs[name])
    return found


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_it_trains_and_its_class_does_the_same(
    families: dict[str, list[TinyRun]], objective: str, tmp_path: Path
) -> None:
    assert families[objective]
    for run in families[objective]:
        config = resolved(run, objective)
        assert config is not None
        spelt, options = by_class(objective, config)
        out = {name: tmp_path / run.name / name for name in ("name", "class")}
        guide = ["--guide", config.guide]
        assert train(run, out["name"], objective, *guide) == (0, "")
        assert train(run, out["class"], spelt, *guide, *settings(options)) == (0, "")
        records = metrics(out["name"])
        assert [record["split"] for record in records] == ["train", "train", "dev"]
        assert all(record["bound"] < 0 for record in records)
        assert hashes(out["class"]) == hashes(out["name"])
        assert metrics(out["class"]) == records
        assert summary(out["class"]) == summary(out["name"])


def summary(folder: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return figures
