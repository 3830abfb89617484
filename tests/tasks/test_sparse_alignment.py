"""Alignments with sparse guides and priors: one setting each, and no other program."""

from pathlib import Path

import pytest
import torch
from corpora import fail, succeed, train_command, write_corpus
from torch import Tensor

from hardpp.nn.attention import SparseScorer
from hardpp.runs.folder import open_run
from hardpp.tasks.alignment.evaluation import position_weights
from hardpp.tasks.opened_run import OpenedRun

SUPPORT = ["--objective", "sum-and-sample", "--set", "inference.top=support", "--particles", "6"]


def trained(folder: Path, *words: str) -> OpenedRun:
    """A run of four steps, whose scores are then made larger: all are nearly equal so early."""
    data = write_corpus(folder / "data")
    succeed(*train_command(data, folder / "run", "--max-steps", "4", *words))
    run = open_run(folder / "run", "cpu")
    scorers = {
        module for program in run.programs for module in program.modules() if isinstance(module, SparseScorer)
    }
    for scorer in scorers:
        with torch.no_grad():
            scorer.scorer.key.weight.mul_(100.0)  # type: ignore[attr-defined]
    assert len(scorers) == 1
    return run


def weights(run: OpenedRun, which: str) -> Tensor:
    """All of them, flat."""
    found = position_weights(run, run.select(None, "test", None, print), which)
    return torch.cat([each.flatten() for each in found])


@pytest.mark.parametrize("transform", ["sparsemax", "entmax15"])
def test_a_sparse_guide(tmp_path: Path, transform: str) -> None:
    run = trained(tmp_path, *SUPPORT, "--set", f"network.guide_transform={transform}")
    share = (weights(run, "guide") == 0).float().mean()
    assert 0.1 < share < 0.9
    assert (weights(run, "prior") > 0).all()
    assert run.evaluate()["kl"] > 0
    assert len(run.decode()) == 10


@pytest.mark.parametrize("objective", [["--objective", "exact"], ["--guide", "prior", *SUPPORT]])
def test_a_sparse_prior(tmp_path: Path, objective: list[str]) -> None:
    run = trained(tmp_path, *objective, "--set", "network.prior_transform=entmax15")
    for which in ("prior", "posterior"):
        assert 0.1 < (weights(run, which) == 0).float().mean() < 0.9
    figures = run.evaluate()
    assert all(torch.tensor(float(figures[name])).isfinite() for name in ("nll", "entropy", "kl"))
    assert len(run.decode()) == 10


def test_what_does_not_go_together(tmp_path: Path) -> None:
    data, prior = write_corpus(tmp_path / "data"), ["--set", "network.prior_transform=sparsemax"]
    said = fail(2, *train_command(data, tmp_path / "run", "--guide", "variational", *prior))
    assert "guide 'variational' may draw what a prior by sparsemax rules out" in said
    chain = ["--objective", "exact", "--guide", "smoothed", "--set", "network.alignment=chain"]
    assert "a chain has no sparse prior" in fail(2, *train_command(data, tmp_path / "run", *chain, *prior))
