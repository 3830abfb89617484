"""Runs on recordings of one's own: lists of sounds, and sounds of which nothing is known."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from corpora import fail, settings, succeed
from tone_speech import MODEL, TINY, write_tones

from hardpp.data.speech.recordings import SoundFile
from hardpp.data.speech.timit import recordings
from hardpp.errors import UsageError
from hardpp.runs.folder import open_run
from hardpp.tasks.online_alignment.data import SpeechDescription
from hardpp.tasks.opened_run import OpenedRun

pytest.importorskip("soundfile")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARDPP_DATA", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lists")
    for part, found in recordings(write_tones(folder / "tones")).items():
        lines = []
        for one in found:
            assert isinstance(one.sound, SoundFile)
            lines.append(f"{one.sound.path.relative_to(folder)}\t{' '.join(one.tokens)}\n")
        (folder / f"{part}.tsv").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def run(lists: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenedRun:
    out = tmp_path_factory.mktemp("run") / "run"
    succeed("train", "--model", MODEL, "--data", lists, *settings(TINY), "--device", "cpu", "--out", out)
    return open_run(out, "cpu")


def test_a_run_is_trained_and_measured_on_lists(run: OpenedRun) -> None:
    summary = json.loads((run.path / "summary.json").read_text())
    assert summary["utterances"] == 3
    assert "PER" in summary
    assert "boundary" not in summary  # nobody knows when the tokens are said
    assert run.config.network["even"]  # as is recommended for phones
    succeed("align", run.path, "--format", "ctm")


def test_one_list_is_asked_about_whole_and_heard_as_in_training(run: OpenedRun, lists: Path) -> None:
    known = run.select()
    for data, part in ((lists / "test.tsv", None), (lists, "test")):
        asked = run.select(str(data), part)
        assert [one.name for one in asked] == [one.name for one in known]
        for mine, theirs in zip(known, asked, strict=True):
            assert torch.equal(mine.read(), theirs.read())
            assert mine.tokens == theirs.tokens
    assert len(run.select(str(lists / "train.tsv"), limit=2)) == 2
    assert len(run.select(str(lists / "test.tsv"), "all")) == len(known)


def test_names_that_are_alike_as_files_are_told_apart(run: OpenedRun, lists: Path, tmp_path: Path) -> None:
    line = (lists / "test.tsv").read_text().splitlines()[0]
    sound, tokens = line.split("\t")
    names = ["a b.wav", "a_b.wav", "wav/a.wav"]
    (tmp_path / "wav").mkdir()
    for name in names:
        shutil.copy(lists / sound, tmp_path / name)
    (tmp_path / "all.tsv").write_text("".join(f"{name}\t{tokens}\n" for name in names))
    asked = ["align", run.path, "--data", tmp_path / "all.tsv", "--format", "textgrid"]
    succeed(*asked, "--out", tmp_path / "grids")
    grids = tmp_path / "grids"
    written = {str(path.relative_to(grids)) for path in grids.rglob("*.TextGrid")}
    assert written == {"a b.TextGrid", "a_b.TextGrid", "wav/a.TextGrid"}


def test_sounds_of_which_nothing_is_known_are_recognised(
    run: OpenedRun, lists: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lists)
    paths = [line.split("\t")[0] for line in (lists / "test.tsv").read_text().splitlines()]
    (tmp_path / "sounds").write_text("".join(f"{path}\n" for path in paths))
    asked = ["decode", run.path, "--format", "tsv"]
    said = succeed(*asked, "--input", tmp_path / "sounds").splitlines()
    assert said == succeed(*asked).splitlines()
    assert [line.split("\t")[0] for line in said] == paths
    (tmp_path / "sounds").write_text("nowhere.wav\n")
    refused = fail(3, *asked, "--input", tmp_path / "sounds")
    assert "sounds:1: nowhere.wav: there is no such sound file" in refused


def test_a_run_that_hears_no_sound_says_so(run: OpenedRun, lists: Path) -> None:
    fields = run.description.model_dump(mode="json") | {"normalisation": {}}
    deaf = replace(run, description=SpeechDescription(**fields))
    with pytest.raises(UsageError, match="hears features that came with its data"):
        deaf.select(str(lists / "test.tsv"))
