import importlib.metadata
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from corpora import TINY, fail, succeed, train_command, write_corpus

from hardpp.data.transduction.pairs import Pair
from hardpp.errors import DataError, UsageError
from hardpp.inference.exact import EnumeratedELBO, ExactMarginal
from hardpp.runs.folder import open_run
from hardpp.tasks.alignment import description
from hardpp.tasks.alignment.evaluation import decode, position_weights
from hardpp.tasks.configuration import resolve
from hardpp.tasks.opened_run import OpenedRun
from hardpp.tasks.sequence_decoding import SequenceDecoding


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    folder = tmp_path_factory.mktemp("run")
    data = write_corpus(folder / "data")
    # A readable model, so that decoded words and alignments differ from pair to pair.
    words = ["--set", "optimiser.learning_rate=0.05", "--max-epochs", "8", "--objective", "enum"]
    succeed(*train_command(data, folder / "run", *words))
    return open_run(folder / "run", "cpu")


@pytest.fixture(scope="module")
def pairs(run: OpenedRun) -> list[Pair]:
    return run.select(None, "test", None, print)


def test_other_data_are_cut_as_the_runs_were(run: OpenedRun, tmp_path: Path) -> None:
    # No blank in any target: by itself the file would be cut into characters.
    folder = write_corpus(tmp_path / "data")
    for part in ("train", "dev", "test"):
        (folder / f"{part}.tsv").write_text("ab\tAH\n")
    (pair,) = run.select(str(folder), "test", None, print)
    assert (pair.source, pair.target) == (("a", "b"), ("AH",))
    for part in (None, "all"):  # a file of one line, which cannot be split
        assert run.select(str(folder / "dev.tsv"), part, None, print) == [pair]


def test_figures_are_those_of_the_pairs_taken_one_by_one(
    run: OpenedRun, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    symbols, nll, kl = 0, 0.0, 0.0
    with torch.no_grad():
        for pair in pairs:
            batch = run.batch([pair])
            exact = float(ExactMarginal().estimate(*run.programs, batch).bound.sum())
            nll -= exact
            kl += exact - float(EnumeratedELBO().estimate(*run.programs, batch).bound.sum())
            symbols += len(pair.target) + 1
    for size in (2, 100):
        monkeypatch.setattr(description, "BATCH", size)
        found = run.evaluate(pairs)
        assert found["nll"] == pytest.approx(nll / symbols, rel=1e-4)
        assert found["kl"] == pytest.approx(kl / symbols, abs=1e-4)
        assert found["pairs"] == len(pairs)


@pytest.mark.parametrize("beam", [1, 3])
def test_decoded_words_belong_to_their_pairs(
    run: OpenedRun, pairs: list[Pair], beam: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = SequenceDecoding(beam=beam)
    alone = [decode(run, [pair], how)[0] for pair in pairs]
    assert len(set(map(tuple, alone))) > 1
    monkeypatch.setattr(description, "BATCH", 3)
    assert decode(run, pairs, how) == alone
    assert decode(run, pairs[::-1], how) == alone[::-1]


@pytest.mark.parametrize("which", ["posterior", "guide", "prior"])
def test_positions_belong_to_their_pairs(
    run: OpenedRun, pairs: list[Pair], which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(description, "BATCH", 3)
    for pair, together in zip(pairs, position_weights(run, pairs, which), strict=True):
        (alone,) = position_weights(run, [pair], which)
        assert together.shape == (len(pair.target) + 1, len(pair.source) + 1)
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
        torch.testing.assert_close(together.sum(-1), torch.ones(len(pair.target) + 1))


def test_no_pairs_are_refused(run: OpenedRun) -> None:
    for question in (partial(run.evaluate, []), partial(decode, run, [])):
        with pytest.raises(DataError, match="no pairs"):
            question()


class Strangers(EnumeratedELBO):
    """An objective from somebody else's package."""

    name = "strangers"


def test_an_objective_of_somebody_else_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("somebody_elses")
    module.Theirs, module.Other = Strangers, dict
    monkeypatch.setitem(sys.modules, "somebody_elses", module)
    data = write_corpus(tmp_path / "data")
    words = ["--objective", "somebody_elses:Theirs", "--max-steps", "1"]
    succeed(*train_command(data, tmp_path / "run", *words))
    assert "somebody_elses:Theirs\n  hint: give --trust" in fail(4, "evaluate", tmp_path / "run")
    succeed("evaluate", tmp_path / "run", "--trust")
    begun = train_command(data, tmp_path / "begun", "--init-from", str(tmp_path / "run"), "--max-steps", "1")
    assert "train with the same class" in fail(4, *begun)
    succeed(*begun, "--objective", "somebody_elses:Theirs")
    succeed(*train_command(data, tmp_path / "back", *words, "--set", "data.reverse=true"))
    succeed(*train_command(data, tmp_path / "ours", "--max-steps", "1"))
    both = ["align", tmp_path / "ours", "--both-ways", tmp_path / "back", "--format", "pharaoh"]
    assert "give --trust" in fail(4, *both)
    assert len(succeed(*both, "--trust").splitlines()) == 10
    with pytest.raises(UsageError, match="is no subclass"):
        resolve([TINY, {"objective": "somebody_elses:Other", "data": {"name": str(data)}}])


def test_an_entry_point_is_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        importlib.metadata.EntryPoint("plugin", "hardpp.inference.exact:ExactMarginal", "hardpp.objectives"),
        importlib.metadata.EntryPoint("broken", "no_such_module:Name", "hardpp.objectives"),
    ]
    found = {"hardpp.objectives": entries}
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: found.get(group, []))
    assert resolve([{"objective": "plugin", "data": {"name": "."}}]).guide == "prior"
    with pytest.raises(UsageError, match=r"'broken' of a package .no_such_module:Name. cannot be imported"):
        resolve([{"objective": "broken", "data": {"name": "."}}])
    resolve([{"objective": "exact", "data": {"name": "."}}])  # a broken one hurts no other
