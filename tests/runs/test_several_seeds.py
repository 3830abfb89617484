"""One command trains several seeds, and goes on where it was interrupted."""

import json
from pathlib import Path
from typing import Any

import pytest
from corpora import fail, hardpp, train_command

from hardpp.errors import Interrupted, UsageError
from hardpp.runs import several_seeds
from hardpp.runs.several_seeds import mean_and_error, parse_seeds


def test_seeds_are_whole_numbers_that_differ() -> None:
    assert parse_seeds("0, 12,3") == [0, 12, 3]
    for text in ("", "1,,2", "a", "1.5", "-1", "\N{SUPERSCRIPT TWO}"):
        with pytest.raises(UsageError, match="whole numbers with commas"):
            parse_seeds(text)
    with pytest.raises(UsageError, match="7 is there twice"):
        parse_seeds("7,8,7")


def test_means_and_their_errors() -> None:
    figures: dict[str, dict[str, Any]] = {
        "a": {"PER": 1.0, "signature": "x"},
        "b": {"PER": 2.0, "signature": "x", "hit": 0.5},
        "c": {"PER": 6.0, "signature": "x"},
    }
    per, signature, hit = mean_and_error(figures)
    assert (per["a"], per["b"], per["c"], per["mean"]) == (1.0, 2.0, 6.0, 3.0)
    assert per["standard error"] == pytest.approx((((4 + 1 + 9) / 2) / 3) ** 0.5)
    assert (signature["mean"], signature["standard error"]) == (None, None)
    assert (hit["a"], hit["mean"]) == (None, None)  # no mean of some runs alone
    assert mean_and_error({"a": {"PER": 1.0}})[0]["standard error"] is None


def test_a_run_for_each_seed_and_the_same_command_goes_on(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = train_command(corpus, tmp_path / "runs", "--seeds", "3,4", "--max-steps", "2")
    train = several_seeds.run_in_folder

    def interrupted(config: Any, folder: Path, **options: Any) -> Any:
        if config.seed == 4:
            raise Interrupted(15)
        return train(config, folder, **options)

    with monkeypatch.context() as patch:
        patch.setattr(several_seeds, "run_in_folder", interrupted)
        assert hardpp(*command).exit_code == 143
    result = hardpp(*command)
    assert result.exit_code == 0, result.stderr
    head, *lines = result.stdout.splitlines()
    assert head.split() == ["figure", "seed", "3", "seed", "4", "mean", "standard", "error"]
    summaries = [json.loads((tmp_path / "runs" / f"seed-{n}" / "summary.json").read_text()) for n in (3, 4)]
    nll = next(line.split() for line in lines if line.startswith("nll"))
    values = [summary["nll"] for summary in summaries]
    assert nll[1:3] == [f"{value:.4f}" for value in values]
    assert nll[3] == f"{sum(values) / 2:.4f}"
    assert values[0] != values[1]
    assert "going on from step 2" in result.stderr.split("seed-4")[0]
    for word in ("--seed", "--dry-run"):
        more = [word, "1"] if word == "--seed" else [word]
        assert "goes with none" in fail(2, *command, *more)
