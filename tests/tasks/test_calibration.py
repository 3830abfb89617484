"""The right posterior passes simulation-based calibration, and wrong ones do not."""

from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

import hardpp
from hardpp.diagnostics.simulated_posterior import exact_draws
from hardpp.errors import UsageError
from hardpp.inference.exact import ExactMarginal
from hardpp.tasks.answers.calibration.simulation_based import Judged, Simulated, calibrate
from hardpp.tasks.opened_run import OpenedRun

DATA = 1000


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    """A model of made-up words after an epoch: unsure, and with a guide that is not right yet."""
    folder = tmp_path_factory.mktemp("calibrated")
    words = [a + b + c + d for a in "bks" for b in "aei" for c in "bks" for d in "aei"]
    lines = [f"{word}\t{' '.join(word.upper())}\n" for word in words]
    (folder / "words.tsv").write_text("".join(lines), encoding="utf-8")
    sizes = {"embedding": 8, "encoder": 4, "skip": True, "decoder": 16, "guide": 4, "dropout": 0.0}
    settings = {"network": sizes, "optimiser.learning_rate": 0.02, "training.batch_size": 16, "threads": 1}
    return hardpp.train(
        "alignment", "variational", "elbo", folder / "words.tsv", max_epochs=8, settings=settings,
        out=folder / "run", report=lambda text: None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def simulated(run: OpenedRun) -> list[Simulated]:
    torch.manual_seed(0)
    items = run.select(part="all")
    return [batch for _ in range(-(-DATA // len(items))) for batch in run._simulate(items)]


def smallest(run: OpenedRun, simulated: list[Simulated], draw: Any) -> float:
    """The smallest p-value of a posterior that draws so."""
    judged = {"it": Judged(draw)}
    (row,) = calibrate(run.programs, iter(simulated), judged, draws=19, seed=1, device=run.device).rows
    return min(value for key, value in row.items() if key.startswith("p "))


def test_the_exact_posterior_passes(run: OpenedRun, simulated: list[Simulated]) -> None:
    assert smallest(run, simulated, partial(exact_draws, ExactMarginal())) > 0.003  # by chance once in 100


@pytest.mark.parametrize("wrong", ["tempered", "one_further", "swapped", "guide_draws"])
def test_a_wrong_posterior_does_not(
    run: OpenedRun, simulated: list[Simulated], wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    assert smallest(run, simulated, getattr(import_module("calibration"), wrong)) < 0.003


def test_a_run_judges_its_posteriors(run: OpenedRun) -> None:
    exact, guide = run.calibrate(run.select(part="all"), draws=19).rows
    assert exact["kl"] is None
    assert guide["kl"] > 0
    error = (0.89 * 0.11 / exact["data"] / 4) ** 0.5  # of words of four symbols
    assert exact["89% sets"] == pytest.approx(0.89, abs=4 * error)
    again, _ = run.calibrate(run.select(part="all"), draws=19).rows
    assert again == exact


def test_a_refined_guide_is_the_exact_posterior(run: OpenedRun) -> None:
    exact, guide, refined = run.calibrate(run.select(part="all"), draws=19, refine_steps=1).rows
    assert guide["kl"] > 0.01
    assert refined["kl"] == pytest.approx(0, abs=1e-4)
    error = (0.89 * 0.11 / refined["data"] / 4) ** 0.5
    assert refined["89% sets"] == pytest.approx(0.89, abs=4 * error)
    assert exact["kl"] is None


def test_a_chain_is_refused(run: OpenedRun) -> None:
    network = run.config.network | {"alignment": "chain"}
    chained = replace(run, config=run.config.model_copy(update={"network": network}))
    with pytest.raises(UsageError, match="chain"):
        chained.calibrate(draws=19)
