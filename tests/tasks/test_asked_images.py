"""Pictures as users have them: what training leaves out, and what finished runs are asked about."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import fail, hardpp, settings, succeed
from image_files import write_idx, write_picture
from PIL import Image

from hardpp.data.images.found_pictures import files_below
from hardpp.runs.folder import open_run

SMALL: dict[str, dict[str, Any]] = {
    "glimpse": {"glimpses": 2, "side": 4, "windows": 2, "cells": 3, "hidden": 8, "features": 8},
    "saccader": {"stem": 4, "planes": [4], "blocks": [1], "strides": [2], "wide": [1], "glimpses": 2},
    "masked-image": {"glimpses": 2, "patch": 4, "cells": 3, "features": 4, "hidden": 8},
    "image-vae": {"glimpses": 2, "patch": 4, "cells": 3, "code": 3, "planes": [4, 4], "hidden": 8},
}
MODELS = list(SMALL)


def train(model: str, data: Path, out: Path, *more: str, side: int | None = 21) -> str:
    tables = {"network": SMALL[model], "training": {"batch_size": 8, "max_epochs": 1, "max_steps": 1}}
    sided = [] if side is None else ["--set", f"data.side={side}"]
    words = ["train", "--model", model, "--data", data, "--out", out, "--device", "cpu", *sided]
    result = hardpp(*words, *settings(tables), *more)
    assert result.exit_code == 0, result.stderr
    return result.stderr


def write(folder: Path, count: int = 12, classes: str = "cat dog") -> Path:
    """Pictures of many sizes."""
    for shade, name in enumerate(classes.split()):
        for number in range(count):
            write_picture(folder / name / f"{number}.png", (20 * number, 99 * shade, 0), (21 + number, 30))
    return folder


def break_some(folder: Path) -> None:
    """One cut short, one empty, one that is a web page."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "cut.png")
    (folder / "cut.png").write_bytes((folder / "cut.png").read_bytes()[:2000])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "page.jpg").write_text("<html>404</html>")


def evaluated(run: Path, *more: str | Path) -> dict[str, str]:
    (row,) = csv.DictReader(io.StringIO(succeed("evaluate", run, "--format", "csv", *more)))
    return row


@pytest.mark.parametrize("model", MODELS)
def test_broken_pictures_are_left_out_everywhere_or_named(tmp_path: Path, model: str) -> None:
    data = write(tmp_path / "pets")
    run = tmp_path / "run"
    train(model, data, run)
    break_some(data / "cat")
    write_picture(data / "cat" / "0.png", (1, 2, 3), (21, 30))  # else they are the run's own, moved
    refused = fail(3, "evaluate", run, "--data", data.rename(tmp_path / "new"))
    assert "cat/cut.png: not a readable picture" in refused
    assert "--on-bad skip" in refused
    result = hardpp("evaluate", run, "--data", tmp_path / "new", "--on-bad", "skip", "--format", "csv")
    assert "left out 3 images: " in result.stderr
    assert all(name in result.stderr for name in ("cut.png", "empty.jpg", "page.jpg"))
    assert next(csv.DictReader(io.StringIO(result.stdout)))["images"] == "24"
    told = train(model, tmp_path / "new", tmp_path / "again", "--on-bad", "skip")
    assert "left out 3 images" in told
    decoded = succeed("decode", run, "--input", tmp_path / "new" / "cat", "--on-bad", "skip")
    assert len(decoded.split("\n")) - 1 == 15
    assert decoded.split("\n")[12:15] == ["", "", ""]
    assert "cut.png" in fail(3, "decode", run, "--input", tmp_path / "new" / "cat")


@pytest.mark.parametrize("model", MODELS)
def test_pictures_without_classes_are_answered_one_by_one(tmp_path: Path, model: str) -> None:
    data, run = write(tmp_path / "pets"), tmp_path / "run"
    train(model, data, run)
    photograph = Image.new("RGB", (40, 24))
    exif = photograph.getexif()
    exif[0x0112] = 6
    photograph.save(tmp_path / "side.jpg", exif=exif)
    one = succeed("decode", run, "--input", tmp_path / "side.jpg", "--format", "tsv").splitlines()
    assert [line.split("\t")[0] for line in one] == ["side.jpg"]
    (tmp_path / "list.txt").write_text(f"{data}/cat/1.png\n\n{tmp_path}/side.jpg\n")
    lines = succeed("decode", run, "--input", tmp_path / "list.txt").split("\n")
    assert (len(lines), lines[1]) == (4, "")
    if model != "image-vae":  # whose numbers are estimates by draws
        assert lines[2] == one[0].split("\t")[1]
    found = json.loads(succeed("decode", run, "--input", data, "--format", "json"))
    assert [each["name"] for each in found[:2]] == ["cat/0.png", "cat/1.png"]
    assert model == "image-vae" or found[1]["text"] == lines[0]
    opened = open_run(run, "cpu")
    both = [each.text for each in opened.decode([f"{data}/cat/1.png", ""])]
    assert model == "image-vae" or both == [lines[0], ""]
    (tmp_path / "none").mkdir()
    assert "there is no picture in it" in fail(3, "decode", run, "--input", tmp_path / "none")
    (tmp_path / "list.txt").write_text("nowhere.png\n")
    assert "nowhere.png: there is no such picture" in fail(3, "decode", run, "--input", tmp_path / "list.txt")


def test_lists_of_pictures_lie_anywhere_and_have_labels_and_what_is_wrong_is_named_by_line(
    tmp_path: Path,
) -> None:
    data, run = write(tmp_path / "pets"), tmp_path / "run"
    train("glimpse", data, run)
    listed = tmp_path / "list.tsv"
    paths = [data / "cat" / "1.png", data / "dog" / "2.png"]
    listed.write_text("".join(f"{path}\n" for path in paths))
    right = succeed("decode", run, "--input", listed)
    listed.write_text("pets/cat/1.png\tcat\r\npets/dog/2.png\tdog\r\n")
    assert succeed("decode", run, "--input", listed) == right
    listed.write_text("pets/cat/1.png\n\nnowhere.png\npets/dog/2.png\n")
    refused = fail(3, "decode", run, "--input", listed)
    assert f"{listed}:3: nowhere.png: there is no such picture" in refused
    assert "--on-bad skip" in refused
    broken = tmp_path / "broken.png"
    broken.write_text("<html>")
    listed.write_text("pets/cat/1.png\n\nbroken.png\npets/dog/2.png\n")
    assert f"{listed}:3: {broken}: not a readable picture" in fail(3, "decode", run, "--input", listed)
    one, other = right.split()
    result = hardpp("decode", run, "--input", listed, "--on-bad", "skip")
    assert result.stdout.split("\n") == [one, "", "", other, ""]
    assert "left out 1 images" in result.stderr
    write_idx(tmp_path / "digits", 2, 2)
    assert "IDX files are taken by --data" in fail(3, "decode", run, "--input", tmp_path / "digits")


def test_pipes_are_not_waited_for_and_broken_links_are_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "pets", count=1)
    os.mkfifo(folder / "cat" / "pipe.png")
    assert {path.name for path in files_below(folder)} == {"0.png"}
    (folder / "cat" / "link.png").symlink_to("nowhere.png")
    assert {path.name for path in files_below(folder)} == {"0.png", "link.png"}


def test_pictures_that_are_not_square_are_told_what_makes_them_so(tmp_path: Path) -> None:
    for name in ("cat/1.png", "cat/2.png", "cat/3.png", "dog/1.png", "dog/2.png", "dog/3.png"):
        write_picture(tmp_path / "pets" / name, (1, 2, 3), (20, 12))
    words = ["train", "--model", "image-vae", "--data", tmp_path / "pets", "--out", tmp_path / "run"]
    assert "--set data.side=12" in fail(2, *words, "--max-steps", "1")


def test_a_folder_without_parts_is_judged_whole_and_the_runs_own_as_in_training(tmp_path: Path) -> None:
    data, run = write(tmp_path / "pets", 20), tmp_path / "run"
    train("glimpse", data, run)
    new = write(tmp_path / "new")
    for more in ([], ["--part", "all"]):
        assert evaluated(run, "--data", new, *more)["images"] == "24"
    own = evaluated(run)
    assert evaluated(run, "--data", data) == own
    assert own["images"] == evaluated(run, "--part", "test")["images"] != "40"
    assert evaluated(run, "--part", "all")["images"] == "40"
    assert "has no folders of parts" in fail(3, "evaluate", run, "--data", new, "--part", "dev")
    assert len(succeed("decode", run, "--data", new).splitlines()) == 24
    assert succeed("posterior", run, "--data", new, "--out", tmp_path / "p.nc", "--draws", "2")
    assert succeed("plot", run, "--data", new, "--count", "1", "--out", tmp_path / "plots")


def test_classes_of_new_pictures_are_some_of_the_runs(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train("glimpse", write(tmp_path / "pets"), run)
    assert evaluated(run, "--data", write(tmp_path / "dogs", classes="dog"))["images"] == "12"
    refused = fail(3, "evaluate", run, "--data", write(tmp_path / "more", classes="Dog cat cow"))
    assert "is of class 'Dog', of which the run has learnt nothing (nor of 'cow')" in refused
    assert "it has 'dog'" in refused
    write_picture(tmp_path / "flat" / "1.png")
    assert "decode RUN --input" in fail(3, "evaluate", run, "--data", tmp_path / "flat")
    write(tmp_path / "tests" / "Test_Set")
    assert evaluated(run, "--data", tmp_path / "tests")["images"] == "24"


def test_other_forms_are_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train("glimpse", write(tmp_path / "pets"), run)
    refused = fail(2, "decode", run, "--input", tmp_path / "pets", "--format", "vqa")
    assert "--format vqa is not for model glimpse" in refused


def test_pictures_for_a_run_on_grey_images_of_one_size(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train("glimpse", write_idx(tmp_path / "idx", side=12), run, side=None)
    write_picture(tmp_path / "one.png", (9, 9, 9), (12, 12))
    assert succeed("decode", run, "--input", tmp_path / "one.png").strip() in list("0123456789")
    write_picture(tmp_path / "two.png", (9, 9, 9), (12, 13))
    refused = fail(3, "decode", run, "--input", tmp_path / "two.png")
    assert "two.png: has 12 x 13 pixels, and the run was trained on images of 12 x 12" in refused


def test_runs_of_glimpses_take_pictures_of_any_size_and_kind(tmp_path: Path) -> None:
    data = write(tmp_path / "pets")
    write_picture(data / "cat" / "grey.png", 9, (30, 30), "L")
    write_picture(data / "cat" / "clear.png", (1, 2, 3, 0), (30, 30), "RGBA")
    Image.new("I;16", (25, 25), 9999).save(data / "dog" / "deep.png")
    Image.new("CMYK", (25, 25)).save(data / "dog" / "print.jpg")
    frames = [Image.new("L", (25, 25), shade) for shade in (10, 200)]
    frames[0].save(data / "dog" / "moving.gif", save_all=True, append_images=frames[1:])
    told = train("glimpse", data, tmp_path / "run", side=12)
    assert open_run(tmp_path / "run", "cpu").description.size == [3, 12, 12]
    assert f"of pictures with several frames the first is read: 1, such as {data}/dog/moving.gif" in told


def test_a_run_says_when_its_own_pictures_are_others(tmp_path: Path) -> None:
    data, run = write(tmp_path / "pets", 20), tmp_path / "run"
    train("glimpse", data, run)
    assert "not the pictures" not in hardpp("evaluate", run).stderr
    write_picture(data / "cat" / "another.png", 1, (30, 30))
    assert (
        "warning: these are not the pictures, or the parts, that the run was trained on"
        in hardpp("evaluate", run).stderr
    )
