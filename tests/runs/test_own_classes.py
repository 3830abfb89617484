"""Runs with a guide of the user's own: trained, refused, opened again, and what is kept of them."""

import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyro
import pytest
import torch
from corpora import TINY, fail, hashes, metrics, succeed, train_command
from own_guides import folder_of_modules
from pyro.nn import PyroParam
from torch import nn
from torch.distributions import constraints

from hardpp import load_data, open_run, sites, train
from hardpp.distributions import Categorical
from hardpp.errors import CheckpointError, ResourceError, UsageError
from hardpp.tasks.opened_run import OpenedRun
from hardpp.types import SequenceBatch

QUICK = {"max_steps": 1, "settings": TINY, "device": "cpu", "report": lambda text: None}


@pytest.fixture(scope="module", autouse=True)
def modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with folder_of_modules(tmp_path_factory.mktemp("modules")) as folder:
        sys.path.append(str(folder))
        yield folder


@pytest.fixture(scope="module")
def own(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a guide that is made for its model."""
    out = tmp_path_factory.mktemp("own") / "run"
    succeed(*train_command(corpus, out, "--guide", "mine:Sized", "--max-epochs", "1"))
    return out


@pytest.mark.parametrize(
    ("guide", "words"),
    [
        ("Missing", "the model's latent site 'alignment' is missing in the guide; it draws 'alignmnet'"),
        ("Extra", "the guide's site 'extra' is missing in the model"),
        ("TooMany", "site 'alignment' takes the integers 0 to "),
        ("Continuous", " in the model but continuous values in the guide"),
        ("OnePlate", " in the model's plates ('data', 'steps') but (8, 1) in the guide's ('data',)"),
        ("Event", "site 'alignment' has event shape () in the model but ("),
        ("NeedsWidth", "its constructor needs width\n  hint: give it a classmethod for_model("),
    ],
)
def test_a_guide_that_does_not_fit_is_refused(guide: str, words: str, corpus: Path, tmp_path: Path) -> None:
    message = fail(2, *train_command(corpus, tmp_path / "run", "--guide", f"mine:{guide}"))
    assert words in message
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_who_trains_the_guide(corpus: Path, tmp_path: Path) -> None:
    words = ["--objective", "exact", "--max-steps", "1"]
    message = fail(2, *train_command(corpus, tmp_path / "run", *words, "--guide", "mine:Diagonal"))
    assert "objective 'exact' trains no guide, and guide 'mine:Diagonal' has parameters" in message
    succeed(*train_command(corpus, tmp_path / "run", *words, "--guide", "mine:Nothing"))
    then = ["--guide", "mine:Diagonal", "--max-steps", "1", "--then", "exact guide=mine:Diagonal"]
    succeed(*train_command(corpus, tmp_path / "stages", *then, "--set", "stage.exact.training.max_steps=1"))


def test_it_is_opened_if_it_is_trusted(own: Path, tmp_path: Path) -> None:
    message = fail(4, "evaluate", own)
    assert "names code that opening the run would execute: guide mine:Sized\n  hint: give --trust" in message
    assert "PER" in succeed("evaluate", own, "--trust")
    stages = tmp_path / "run"
    shutil.copytree(own, stages)
    config = (stages / "config.toml").read_text()
    stage = '\n[[before]]\nname = "first"\nobjective = "elbo"\nguide = "elsewhere.deep:Class"\n'
    (stages / "config.toml").write_text(config.replace('guide = "mine:Sized"', 'guide = "prior"') + stage)
    message = fail(4, "evaluate", stages)
    assert "would execute: guide elsewhere.deep:Class" in message
    assert "elsewhere.deep:Class is not to be found here: looked for in the working folder" in message
    assert "elsewhere" not in sys.modules


@pytest.fixture
def anew(modules: Path) -> Iterator[Any]:
    """Puts other text into the module, as another process would find it."""
    file = modules / "mine.py"
    before = file.read_text()

    def written(old: str, new: str) -> None:
        assert old in before
        file.write_text(before.replace(old, new))
        sys.modules.pop("mine", None)
        importlib.invalidate_caches()
        shutil.rmtree(modules / "__pycache__", ignore_errors=True)

    yield written
    written(before, before)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("class Sized", "class Size", "has no 'Sized'; did you mean 'Size'?"),
        ("class Sized(Diagonal)", "class Sized", "Sized is no subclass of torch.nn.Module"),
        ("def for_model", "def of_model", "its constructor needs symbols"),
        ("torch.zeros(symbols)", "torch.zeros(symbols + 1)", "size mismatch for guide.symbols"),
        ("import torch", "import torhc", "No module named 'torhc'"),
    ],
)
def test_a_class_that_is_gone_ends_in_4(old: str, new: str, words: str, own: Path, anew: Any) -> None:
    anew(old, new)
    assert words in fail(4, "evaluate", own, "--trust")


def test_a_class_that_has_changed_is_not_gone_on_with(own: Path, corpus: Path, anew: Any) -> None:
    command = train_command(corpus, own, "--guide", "mine:Sized", "--max-epochs", "1")
    anew("super().scores(batch) + self", "super().scores(batch) - self")
    assert f"the class mine:Sized has changed since {own} was begun" in fail(2, *command)
    with pytest.warns(UserWarning, match="mine:Sized has changed since the run was begun"):
        open_run(own, "cpu", trust=True)


def test_a_class_that_no_name_leads_to(corpus: Path, tmp_path: Path) -> None:
    import mine

    class Local(mine.Diagonal):  # type: ignore[misc]
        pass

    runs = [
        train(guide=Local, data=corpus, out=tmp_path / "run", **QUICK),
        train(guide=Local, data=corpus, out=tmp_path / "run", **QUICK),  # it is complete
        open_run(tmp_path / "run", "cpu", guide=Local),
    ]
    assert {type(run.programs.guide) for run in runs} == {Local}
    assert len({run.programs.guide.sharpness.detach().item() for run in runs}) == 1
    message = fail(4, "evaluate", tmp_path / "run", "--trust")
    assert "Local was made by a function" in message
    assert "hint: open it from Python: hardpp.open_run(" in message
    with pytest.raises(UsageError, match="its guide is 'variational'"):
        open_run(train(data=corpus, out=tmp_path / "ours", **QUICK).path, guide=Local)
    then = [{"objective": "enum", "guide": mine.Nothing, "training": {"max_steps": 1}}]
    run = train(guide=Local, data=corpus, then=then, out=tmp_path / "stages", **QUICK)
    assert [stage.guide for stage in run.config.stages()] == [runs[0].config.guide, "mine:Nothing"]
    with pytest.raises(UsageError, match="guide is a name or a class, not 3"):
        train(guide=3, data=corpus, **QUICK)  # type: ignore[arg-type]


def test_a_script_is_named(own: Path, tmp_path: Path) -> None:
    shutil.copytree(own, tmp_path / "run")
    config = (own / "config.toml").read_text()
    (tmp_path / "run" / "config.toml").write_text(config.replace("mine:Sized", "__main__:Sized"))
    message = fail(4, "evaluate", tmp_path / "run", "--trust")
    assert "__main__:Sized is a class of the script or notebook that named it" in message
    import mine

    with pytest.raises(CheckpointError, match="notebook"):
        open_run(tmp_path / "run", "cpu", trust=True)
    assert open_run(tmp_path / "run", "cpu", guide=mine.Sized).step > 0


def test_a_guide_that_is_made_is_trained_as_it_is(corpus: Path, tmp_path: Path) -> None:
    import mine

    class Positive(mine.Diagonal):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.sharpness = PyroParam(torch.tensor(3.0), constraints.positive)

    with pyro.settings.context(module_local_params=False):  # as where nothing was trained before
        guide = Positive()
    settings = {**QUICK, "settings": {**TINY, "optimiser": {"learning_rate": 0.1, "warmup_steps": 0}}}
    run = train(guide=guide, data=corpus, out=tmp_path / "run", **settings)
    assert run.programs.guide is guide
    assert 0 < abs(guide.sharpness.item() - 3) < 1
    weights = hashes(tmp_path / "run")
    again = train(guide=guide, data=corpus, out=tmp_path / "run", **settings)
    assert hashes(again.path) == weights
    opened = open_run(run.path, "cpu", guide=Positive)
    assert opened.programs.guide is not guide
    assert torch.equal(opened.programs.guide.sharpness, guide.sharpness)
    assert len(pyro.get_param_store()) == 0


def test_a_parameter_in_the_store_of_pyro_is_refused(corpus: Path, tmp_path: Path) -> None:
    class Stored(nn.Module):
        """Has its only parameter where no run looks for it."""

        def forward(self, batch: SequenceBatch) -> None:
            scores = batch.source_mask.unsqueeze(-2).log() * pyro.param("of_a_test", torch.ones(()))
            with sites.output_steps(batch.target_mask):
                pyro.sample(sites.ALIGNMENT, Categorical(logits=scores.expand(*batch.target.shape, -1)))

    try:
        with pytest.raises(UsageError, match=r"'of_a_test' is a pyro.param.* neither train nor save"):
            train(guide=Stored, data=corpus, out=tmp_path / "run", **QUICK)
    finally:
        pyro.get_param_store().clear()


def test_data_that_are_at_hand(corpus: Path, tmp_path: Path) -> None:
    data = load_data(corpus, reverse=True, report=lambda text: None)
    run = train(data=data, out=tmp_path / "run", **QUICK)
    assert run.config.data.reverse
    assert run.data is data.data
    assert run.description == data.description
    assert run.evaluate(data.test[:3])["pairs"] == 3
    assert {*data.train[0].source} <= {*data.description.source_vocabulary}
    with pytest.raises(UsageError, match=r"data.train_limit is None there, 5 here"):
        train(data=data, **{**QUICK, "settings": {**TINY, "data.train_limit": 5}})
    with pytest.raises(UsageError, match="loaded for model 'alignment', and the run's is 'caption'"):
        train("caption", data=data, **{**QUICK, "settings": {}})


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> OpenedRun:
    return open_run(shutil.copytree(trained, tmp_path / "run"), "cpu")


def test_the_history_is_that_of_the_file(run: OpenedRun, trained: Path) -> None:
    records, history = metrics(trained), run.history
    assert history.index.name == "step"
    assert history.index.tolist() == [record["step"] for record in records]
    assert history["bound"].tolist() == pytest.approx([record["bound"] for record in records])
    assert {"split", "epoch", "time"} <= set(history.columns)
    drawn = {line.get_label() for line in history.plot().lines}
    assert "bound" in drawn
    assert "time" not in drawn
    file = run.path / "metrics.jsonl"
    whole = file.read_text()
    file.write_text(whole + '{"step": 99, "spl')  # it is being written
    assert len(run.history) == len(records)
    file.write_text(whole + "no json\n")
    with pytest.raises(CheckpointError, match=f"metrics.jsonl:{len(records) + 1} is not a line"):
        _ = run.history
    file.write_text("")
    assert list(run.history["bound"]) == []
    file.unlink()
    with pytest.raises(CheckpointError, match=r"metrics.jsonl cannot be read"):
        _ = run.history


def test_a_run_is_saved_whole(run: OpenedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run.path / "run.lock").write_text("process 1 on node3\n")
    assert run.save(tmp_path / "deep" / "copy") == tmp_path / "deep" / "copy"
    kept, copied = (
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (run.path, tmp_path / "deep" / "copy")
    )
    assert kept.pop("run.lock")
    assert copied == kept
    assert json.loads(copied["summary.json"]) == json.loads((run.path / "summary.json").read_text())
    with pytest.raises(UsageError, match="exists already"):
        run.save(tmp_path / "deep" / "copy")
    with pytest.raises(UsageError, match="lies in the run folder"):
        run.save(run.path / "copy")

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(ResourceError, match=r"other cannot be written: .*No space left"):
        run.save(tmp_path / "other")
    assert {path.name for path in tmp_path.iterdir()} == {"run", "deep"}


def test_what_a_notebook_shows(run: OpenedRun) -> None:
    items = run.select(limit=3)
    plots = run.plot(items, count=2)
    assert len(plots) == 2
    assert plots._repr_html_().count('src="data:image/png;base64,iVBOR') == 2
    assert list(plots) == list(run.plot(items=items, count=2))
    assert "<td>variational</td>" in run._repr_html_()
    with pytest.raises(UsageError, match="names of what to plot are texts"):
        run.plot("a", items)
