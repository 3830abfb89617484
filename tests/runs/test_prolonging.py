"""A run that is given more epochs goes on from where it stopped."""

import json
import shutil
from pathlib import Path

import pytest
from corpora import fail, hardpp, metrics, train_command


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_more_epochs_go_on_from_the_newest_checkpoint(run: Path, corpus: Path) -> None:
    before = metrics(run)
    result = hardpp(*train_command(corpus, run, "--max-epochs", "4"))
    assert result.exit_code == 0, result.stderr
    assert "prolonged, training.max_epochs from 2 to 4" in result.stderr
    assert "going on from step 10" in result.stderr
    after = metrics(run)
    assert after[: len(before)] == before  # nothing was trained anew
    assert [line["step"] for line in after if line["split"] == "dev"] == [5, 10, 15, 20]
    # Half a cosine over 20 steps now: it goes on at the rate of step 10 of those, from nearly 0.
    rates = {line["step"]: line["learning_rate"] for line in after if line["split"] == "train"}
    assert rates[10] < 0.0003 < 0.0015 < rates[12] < 0.002
    assert "the learning rate goes on at 0.002, where it had come down to 0" in result.stderr
    assert "max_epochs = 4" in (run / "config.toml").read_text()
    assert json.loads((run / "summary.json").read_text())["step"] in (15, 20)
    assert "training.max_epochs is 4 there, 2 here" in fail(2, *train_command(corpus, run))


def test_nothing_else_may_have_changed(run: Path, corpus: Path) -> None:
    config = (run / "config.toml").read_bytes()
    longer = train_command(corpus, run, "--max-epochs", "4", "--seed", "1")
    assert "another configuration (seed is 0 there, 1 here)" in fail(2, *longer)
    assert (run / "config.toml").read_bytes() == config
    (corpus / "train.tsv").rename(corpus / "aside")
    try:
        (corpus / "train.tsv").write_text("a\tB\nbb\tB B\nc\tK\nd\tD\ne\tEH\n")
        assert "the data have changed" in fail(3, *train_command(corpus, run, "--max-epochs", "4"))
    finally:
        (corpus / "aside").rename(corpus / "train.tsv")
    assert (run / "config.toml").read_bytes() == config
    assert (run / "summary.json").exists()


def test_steps_may_become_as_many_as_the_epochs_have(corpus: Path, tmp_path: Path) -> None:
    command = train_command(corpus, tmp_path / "run")
    assert "stopped: all 3 steps are done" in hardpp(*command, "--max-steps", "3").stderr
    assert "training.max_steps is 3 there, 2 here" in fail(2, *command, "--max-steps", "2")
    result = hardpp(*command)
    assert "training.max_steps from 3 to as many as the epochs have" in result.stderr
    assert "max_steps" not in (tmp_path / "run" / "config.toml").read_text()
    assert metrics(tmp_path / "run")[-1]["step"] == 10


def test_a_run_that_stopped_by_patience_says_what_it_needs(corpus: Path, tmp_path: Path) -> None:
    # At this rate nothing gets better.
    wild = ["--set", "optimiser.learning_rate=10.0", "--set", "training.patience=1", "--max-epochs", "9"]
    command = train_command(corpus, tmp_path / "run", *wild, "--evaluate", "none")
    assert "no better dev bound for 1 epochs (training.patience)" in hardpp(*command).stderr
    steps = metrics(tmp_path / "run")[-1]["step"]
    result = hardpp(*command, "--max-epochs", "10")
    assert "nothing more is trained: no better dev bound for 1 epochs" in result.stderr
    assert metrics(tmp_path / "run")[-1]["step"] == steps
    hardpp(*command, "--max-epochs", "10", "--set", "training.patience=2")
    assert metrics(tmp_path / "run")[-1]["step"] > steps
