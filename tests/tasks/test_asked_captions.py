"""Captions as users have them: what training leaves out, and what finished runs are asked about."""

import csv
import io
import json
from pathlib import Path

from corpora import fail, hardpp, settings, succeed
from image_files import write_picture

from hardpp.runs.folder import open_run

TINY = {
    "network": {
        **{"kernels": [4, 4], "image": 4, "embedding": 4, "decoder": 6, "attention": 5},
        "guide": 5,
    },
    "training": {"batch_size": 8, "max_epochs": 1, "max_steps": 1},
}


def write(folder: Path, count: int = 30) -> Path:
    """Pictures of many sizes, and a table."""
    rows = ["image,caption"]
    for number in range(count):
        write_picture(folder / "images" / f"{number}.png", (8 * number, 0, 0), (16 + number, 20))
        rows.append(f"{number}.png,A dog {'runs' if number % 2 else 'sleeps'}.")
    (folder / "captions.csv").write_text("\n".join(rows) + "\n")
    return folder


def train(data: Path, out: Path, *more: str) -> str:
    words = ["train", "--model", "caption", "--data", data, "--out", out, "--device", "cpu"]
    result = hardpp(*words, *settings(TINY), "--set", "data.side=16", *more)
    assert result.exit_code == 0, result.stderr
    return result.stderr


def judged(run: Path, *more: str | Path) -> str:
    (row,) = csv.DictReader(io.StringIO(succeed("evaluate", run, "--format", "csv", *more)))
    return row["images"]


def test_captions_in_words_that_the_run_does_not_know_are_told_of(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(write(tmp_path / "dogs"), run)
    assert "never seen" not in hardpp("evaluate", run, "--data", write(tmp_path / "new", 3)).stderr
    path = tmp_path / "new" / "captions.csv"
    path.write_text(path.read_text().replace("A dog", "Ein Hund", 1))
    told = hardpp("evaluate", run, "--data", tmp_path / "new").stderr
    assert "warning: item 1: target '0.png' has symbols never seen in training: ein hund" in told
    assert "item 2" not in told


def test_runs_are_asked_about_pictures_with_and_without_captions(tmp_path: Path) -> None:
    data, run = write(tmp_path / "dogs"), tmp_path / "run"
    told = train(data, run)
    assert (
        "captions are cut into words, in lower case without punctuation: 'A dog sleeps.' is a | dog" in told
    )
    assert open_run(run, "cpu").description.size == [3, 16, 16]
    new = write(tmp_path / "new", 12)
    assert judged(run, "--data", new) == judged(run, "--data", new, "--part", "all") == "12"
    assert judged(run, "--data", data) == judged(run) != "30" == judged(run, "--part", "all")
    assert "has no parts" in fail(3, "evaluate", run, "--data", new, "--part", "dev")
    said = succeed("decode", run, "--input", new / "images", "--format", "tsv").splitlines()
    assert [line.split("\t")[0] for line in said[:2]] == ["0.png", "1.png"]
    (new / "list").write_text(f"{new}/images/1.png\n\n{new}/images/0.png\n")
    lines = succeed("decode", run, "--input", new / "list").split("\n")
    assert lines == [said[1].split("\t")[1], "", said[0].split("\t")[1], ""]
    (new / "images" / "5.png").write_text("<html>")
    assert "5.png: not a readable picture" in fail(3, "evaluate", run, "--data", new)
    assert judged(run, "--data", new, "--on-bad", "skip") == "11"
    found = json.loads(
        succeed("decode", run, "--input", new / "images", "--format", "json", "--on-bad", "skip")
    )
    assert [each["name"] for each in found].count("") == 1
    told = train(new, tmp_path / "again", "--on-bad", "skip")
    assert "left out 1 images" in told
