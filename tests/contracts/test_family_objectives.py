"""Every objective trains every model family, or is refused in one sentence before anything is written.

What an objective's name hides, its class says: `package.module:Class` with the same options does the same.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from corpora import hardpp, hashes, metrics, settings
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


def resolved(run: TinyRun, objective: str) -> RunConfig | None:
    """The configuration of such a training; None if it is refused."""
    try:
        given = {"model": run.name, "objective": objective, "data": {"name": str(run.data)}}
        return resolve([tiny_settings(run.name), given])
    except UsageError:
        return None


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_it_trains_or_is_refused(untrained: TinyRun, objective: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, refusal = train(untrained, out, objective)
    assert (code == 0) == (resolved(untrained, objective) is not None)
    if code == 0:
        records = metrics(out)
        assert [record["split"] for record in records] == ["train", "train", "dev"]
        assert all(record["bound"] < 0 for record in records)
    else:
        assert code == 2
        sentence, *hint = refusal.splitlines()
        assert sentence.startswith("hardpp: ")
        assert [line[:8] for line in hint] in ([], ["  hint: "])
        assert not out.exists()


@pytest.mark.parametrize("objective", {row.kind: name for name, row in reversed(OBJECTIVES.items())}.values())
def test_a_class_has_what_is_recommended_for_its_first_row(untrained: TinyRun, objective: str) -> None:
    kind = OBJECTIVES[objective].kind
    by_name, by_class = (
        resolved(untrained, each) for each in (objective, f"{kind.__module__}:{kind.__qualname__}")
    )
    assert (by_name is None) == (by_class is None)
    if by_name is not None and by_class is not None:
        assert (by_name.guide, by_name.inference) == (by_class.guide, by_class.inference)


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_its_class_does_the_same(untrained: TinyRun, objective: str, tmp_path: Path) -> None:
    spec, config = OBJECTIVES[objective], resolved(untrained, objective)
    spelt = f"{spec.kind.__module__}:{spec.kind.__qualname__}"
    options: Mapping[str, Any] = spec.settings if config is None else config.inference
    more = settings({"inference": {**options, **spec.fixed}})
    if config is None:
        code, _ = train(untrained, tmp_path / "class", spelt, *more)
        assert code == 2
        assert not (tmp_path / "class").exists()
        return
    for out, name in (("name", objective), ("class", spelt)):
        given = more if name == spelt else []
        assert train(untrained, tmp_path / out, name, "--guide", config.guide, *given) == (0, "")
    assert hashes(tmp_path / "class") == hashes(tmp_path / "name")
    assert metrics(tmp_path / "class") == metrics(tmp_path / "name")
    assert summary(tmp_path / "class") == summary(tmp_path / "name")


def summary(folder: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return figures
