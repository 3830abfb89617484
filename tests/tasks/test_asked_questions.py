"""Questions without answers, and pictures that cannot be read, from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from corpora import fail, hardpp, settings, succeed
from image_files import write_picture
from PIL import Image
from question_corpora import MODEL, TINY, regions, tsv_line, write_easy, write_vqa

from hardpp.runs.folder import open_run


def train(data: Path, out: Path, *more: str) -> str:
    words = ["train", "--model", MODEL, "--data", data, "--out", out, "--device", "cpu", "--max-steps", "1"]
    result = hardpp(*words, *settings(TINY), *more)
    assert result.exit_code == 0, result.stderr
    return result.stderr


def test_questions_about_pictures_are_answered_line_by_line(tmp_path: Path) -> None:
    data, run = write_easy(tmp_path / "easy"), tmp_path / "run"
    train(data, run)
    assert open_run(run, "cpu").description.size == [32, 32]
    for number in range(2):
        write_picture(tmp_path / "mine" / f"COCO_test_{number:05}.png", (200, 0, 0), (40, 36 + number))
    asked = tmp_path / "mine" / "asked.tsv"
    asked.write_text("COCO_test_00000.png\twhat color is it?\n\n1\tis it red?\n")
    lines = succeed("decode", run, "--input", asked).split("\n")
    assert len(lines) == 4
    assert (lines[1], lines[3]) == ("", "")
    assert lines[0] in open_run(run, "cpu").description.answers
    rows = succeed("decode", run, "--input", asked, "--format", "tsv").split("\n")
    assert rows[2].split("\t") == ["3 is it red?", lines[2]]
    own = tmp_path / "other" / "own.tsv"  # about images of the run's data
    own.parent.mkdir()
    own.write_text("test/1\twhat color is the shape?\n")
    assert succeed("decode", run, "--input", own)
    asked.write_text("nowhere.png\twhat color is it?\nCOCO_test_00000.png\twhat color is it?\n")
    assert "asked.tsv:1: there is no image 'nowhere.png'" in fail(3, "decode", run, "--input", asked)
    result = hardpp("decode", run, "--input", asked, "--on-bad", "skip")
    assert result.stdout.split("\n") == ["", lines[0], ""]
    assert "left out: " in result.stderr


def test_lists_beside_a_file_of_questions_are_no_features(tmp_path: Path) -> None:
    data, run = write_vqa(tmp_path / "vqa"), tmp_path / "run"
    (data / "notes.tsv").write_text("image\twhat I think\n")
    train(data, run)
    (tmp_path / "words.tsv").write_text("acid\tAE S IH D\n")
    asked = tmp_path / "asked.tsv"
    image = next(iter(open_run(run, "cpu").select(limit=1).questions)).image
    asked.write_text(f"{image}\tWhat color is it?\n")
    assert succeed("decode", run, "--input", asked)


def test_vqa_s_file_of_a_part_without_annotations(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(write_vqa(tmp_path / "vqa"), run)
    test = tmp_path / "test"
    test.mkdir()
    (test / "features.tsv").write_bytes(b"".join(tsv_line(n, *regions(n, 3)) for n in (900, 901)))
    rows = [
        {"question_id": 10 * n + k, "image_id": n, "question": f"What color is {k}?"}
        for n in (900, 901)
        for k in (0, 1)
    ]
    path = test / "v2_OpenEnded_mscoco_test-dev2015_questions.json"
    path.write_text(json.dumps({"questions": rows}))
    found = json.loads(succeed("decode", run, "--input", path, "--format", "vqa"))
    assert [each["question_id"] for each in found] == [9000, 9001, 9010, 9011]
    assert {each["answer"] for each in found} <= set(open_run(run, "cpu").description.answers)
    named = json.loads(succeed("decode", run, "--input", path, "--format", "json"))
    assert [each["text"] for each in named] == [each["answer"] for each in found]
    rows[1]["image_id"] = 1
    rows[2]["question"] = " "
    path.write_text(json.dumps({"questions": rows}))
    assert "entry 1: there is no image '1' (and 1 more bad entry: 2)" in fail(
        3, "decode", run, "--input", path
    )
    found = json.loads(succeed("decode", run, "--input", path, "--format", "vqa", "--on-bad", "skip"))
    assert [each["question_id"] for each in found] == [9000, 9011]
    assert "leave --nbest" in fail(2, "decode", run, "--input", path, "--format", "vqa", "--nbest", "2")
    path.write_text("[]")
    assert "holds no list of questions" in fail(3, "decode", run, "--input", path)


@pytest.mark.parametrize("broken", ["cut", "empty", "page"])
def test_a_broken_picture_is_left_out_with_its_questions_or_named(tmp_path: Path, broken: str) -> None:
    data = write_easy(tmp_path / "easy")
    path = data / "train" / "images" / "3.png"
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes({"cut": path.read_bytes()[:900], "empty": b"", "page": b"<html>"}[broken])
    words = ["train", "--model", MODEL, "--data", data, "--out", tmp_path / "run", *settings(TINY)]
    refused = fail(3, *words)
    assert "about image train/3, which cannot be read: " in refused
    assert "3.png: not a readable picture" in refused
    told = train(data, tmp_path / "run", "--on-bad", "skip")
    assert "left out: " in told
    assert "1 more bad entry" in told
