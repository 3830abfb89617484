"""Outputs longer than in training: as long as their sources ask for, and told of where they are cut off."""

import json
from pathlib import Path

import pytest
from corpora import fail, hardpp, succeed, train_command, write_corpus
from decoding.tiny import SOURCES, padded, tiny_model

from hardpp.decoding.beam import beam_search
from hardpp.runs.folder import open_run
from hardpp.tasks.alignment.description import PairsDescription
from hardpp.tasks.answers.cut_outputs import cuts_told, telling_cuts
from hardpp.tasks.answers.decoded import Decoded
from hardpp.tasks.caption.family import CaptionFamily
from hardpp.tasks.opened_run import OpenedRun


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that hardly trained, of words of five letters at most."""
    folder = tmp_path_factory.mktemp("words")
    succeed(*train_command(write_corpus(folder / "data"), folder / "run", "--max-steps", "2"))
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> OpenedRun:
    return open_run(folder / "run", "cpu")


def test_longer_sources_may_have_longer_targets(run: OpenedRun) -> None:
    description: PairsDescription = run.description
    assert (description.longest_source, description.longest_target) == (5, 5)
    usual = description.longest(6)  # five letters and the end mark
    assert usual == 18  # 1.5 times as many symbols as the longest had, and ten
    assert description.longest(161) >= 1.5 * 160
    before = description.model_copy(update={"longest_source": 0})  # runs of before do not say it
    assert before.longest(6) == usual
    assert before.longest(161) >= 1.5 * 160


@pytest.mark.parametrize("beam", ["1", "3"])
def test_what_is_cut_off_is_told_of_with_line_and_setting(folder: Path, beam: str) -> None:
    (folder / "in").write_text("abc\n\nde\n")
    words = ["decode", folder / "run", "--input", folder / "in", "--beam", beam]
    result = hardpp(*words, "--max-length", "1", "--length-penalty", "10", "--format", "json")
    said = json.loads(result.stdout)
    assert [one.get("cut") for one in said].count(1) == result.stderr.count("outputs are cut off")
    for number, one in zip((1, 3), said[::2], strict=True):
        if one.get("cut"):
            assert (
                f"{folder / 'in'}:{number}: the likeliest output had not ended after 1 symbol"
                in result.stderr
            )
            assert "--max-length 2 (decoding.max_length)" in result.stderr
    assert "--max-length" in fail(2, *words, "--max-length", "0")
    assert hardpp(*words, "--max-length", "400").stderr.count("had not ended after 18 ") == 0


def test_a_setting_of_training_is_the_runs(folder: Path, tmp_path: Path) -> None:
    words = ["--max-steps", "1", "--set", "decoding.max_length=2"]
    succeed(*train_command(folder / "data", tmp_path / "run", *words))
    for said in open_run(tmp_path / "run", "cpu").decode():
        assert len(said.text.split()) <= 2


def test_sources_much_longer_than_any_of_training_are_told_of(folder: Path, run: OpenedRun) -> None:
    (folder / "in").write_text("abcde\n" + "ab" * 40 + "\n")
    told = hardpp("decode", folder / "run", "--input", folder / "in").stderr
    assert f"{folder / 'in'}:2: the source has 80 symbols, and none had more than 5 in training" in told
    assert "in:1: the source has" not in told
    many: list[str] = []
    run.decode(["ab" * 9] * 7, report=many.append)
    assert sum("the source has 18 symbols" in sentence for sentence in many) == 5
    assert any("the same of 2 more" in sentence for sentence in many)


def test_evaluate_counts_them(folder: Path) -> None:
    told = hardpp("evaluate", folder / "run", "--max-length", "1").stderr
    assert "outputs were cut off" in told
    assert "decoding.max_length" in told


def test_the_first_are_named_and_the_others_counted() -> None:
    told: list[str] = []
    answers = [Decoded("a", "x", cut=7)] * 7 + [Decoded("b", "y")]
    assert list(telling_cuts(answers, lambda index: f"item {index + 1}", told.append)) == answers
    assert [sentence.split(":")[1] for sentence in told[:5]] == [f" item {number}" for number in range(1, 6)]
    assert told[5:] == ["warning: 2 more outputs were cut off in the same way"]
    cuts_told([0, 0], pytest.fail)
    cuts_told([0, 3, 9], told.append)
    assert "2 of 3 outputs were cut off" in told[-1]
    assert "after 9 symbols" in told[-1]


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_beam_says_whether_it_stopped_before_the_likeliest_had_ended(steps: int) -> None:
    for seed in range(4):
        model = tiny_model(seed)
        found = beam_search(model, *padded(SOURCES), width=200, max_steps=steps)
        # As far as the longest outputs go: a wide beam has all of them, and what they leave is unfinished.
        longer = beam_search(model, *padded(SOURCES), width=200, max_steps=steps + 3)
        for short, long in zip(found, longer, strict=True):
            if not short[0].stopped:
                assert short[0].symbols == long[0].symbols
            if not short[0].ended:
                assert short[0].stopped


def test_sentences_about_pictures_have_the_same_option() -> None:
    assert CaptionFamily.decoding(max_length=3).most_steps(20) == 3
    assert CaptionFamily.decoding().most_steps(20) == 20
