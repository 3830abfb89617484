"""A new guide is a row, a new family a class and a row: the command line takes both as they are."""

import json
from pathlib import Path

import arviz
import pyro
import pytest
import torch
from corpora import fail, succeed, train_command, write_corpus
from pyro.nn import PyroModule
from torch import Tensor, nn

from hardpp import sites
from hardpp.distributions.categorical import Categorical
from hardpp.tasks import catalogue
from hardpp.tasks.alignment.family import AlignmentFamily
from hardpp.tasks.family import GuideSpec
from hardpp.tasks.new_package import new_package
from hardpp.types import SequenceBatch
from hardpp.verbs import family_options


class Diagonal(PyroModule):
    """alignment[b, t] is near position t: one number says how near."""

    max_plate_nesting = 2

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.ones(()))

    def forward(self, batch: SequenceBatch) -> Tensor:
        steps, positions = (
            torch.arange(part.shape[1], device=part.device) for part in (batch.target, batch.source)
        )
        scores = -self.sharpness * (steps.unsqueeze(-1) - positions).abs()  # (T, S)
        scores = scores.masked_fill(~batch.source_mask.unsqueeze(-2), -torch.inf)
        with sites.output_steps(batch.target_mask):
            return pyro.sample(sites.ALIGNMENT, Categorical(logits=scores))


def ask_everything(run: Path, name: str) -> None:
    """Every verb that reads a run, in turn."""
    (figures,) = json.loads(succeed("evaluate", run, "--format", "json"))
    assert figures["step"] > 0
    assert len(succeed("decode", run, "--limit", "2").splitlines()) == 2
    assert "\t" in succeed("align", run, "--format", "tsv")
    assert arviz.from_netcdf(succeed("posterior", run, "--draws", "4").strip()).posterior.sizes["draw"] == 4
    (path,) = succeed("plot", run, "--source", name).splitlines()
    assert Path(path).read_bytes().startswith(b"\x89PNG")


def test_a_guide_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, run = write_corpus(tmp_path / "data"), tmp_path / "run"
    assert "no guide 'diagonal'" in fail(2, *train_command(data, run, "--guide", "diagonal"))
    row = GuideSpec("near the diagonal", lambda parts: Diagonal())
    monkeypatch.setitem(AlignmentFamily.guides, "diagonal", row)  # type: ignore[arg-type]
    assert "near the diagonal" in succeed("guides")
    succeed(*train_command(data, run, "--guide", "diagonal", "--objective", "elbo"))
    word = succeed("decode", run, "--format", "tsv").split("\t")[0]
    ask_everything(run, word)
    assert "diagonal" in (run / "config.toml").read_text()


@pytest.fixture(scope="module")
def toy_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    new_package("model", "toy", folder)
    return folder / "toy"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, toy_package: Path) -> str:
    """Puts the family of `hardpp new model` into the catalogue; options made from it are made anew."""
    monkeypatch.syspath_prepend(toy_package)
    monkeypatch.setitem(catalogue.FAMILIES, "toy", "toy:ToyFamily")
    generated = [made for made in vars(family_options).values() if hasattr(made, "cache_clear")]
    for made in generated:
        made.cache_clear()
    yield "toy"
    for made in generated:
        made.cache_clear()


@pytest.mark.parametrize("objective", ["vimco", "enum", "exact"])
def test_a_family_is_a_row(toy: str, objective: str, tmp_path: Path) -> None:
    data, run = tmp_path / "letters.txt", tmp_path / "run"
    data.write_text("abcd" * 20)
    train = ["train", "--model", toy, "--data", data, "--objective", objective, "--max-epochs", "2"]
    train += ["--device", "cpu", "--out", run]
    succeed(*train)
    ask_everything(run, "b")
    assert "TOPIC" in succeed("decode", run, "--upper")
    assert "--beam is not for model toy" in fail(2, "evaluate", run, "--beam", "2")
    assert "topics have no mean, which gumbel asks for" in fail(2, *train[:-2], "--objective", "gumbel")
    assert "every letter has a topic" in succeed("models")
    assert "a table of topics" in succeed("guides", "--model", toy)
    data.write_text("dcba" * 20)
    assert "the data have changed" in fail(3, *train)
    rows = succeed("compare", "gradients", run, "--objectives", "rws,enum", "--limit", "3", "--draws", "20")
    assert "rws" in rows
