import json
from pathlib import Path

import pytest
from image_files import write_picture

from hardpp.data.kinds import KINDS, field_separator, kinds_of, names_recordings


@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        (["train.tsv", "dev.tsv"], ["lists"]),
        (["train.de", "train.en"], ["parallel"]),
        (["train.tags.de-en.de"], ["parallel"]),
        (["train.csv", "train.txt", "notes"], []),
        (["TRAIN/DR1/FDHC0/SX1.WAV", "TRAIN/DR1/FDHC0/SX1.PHN"], ["speech"]),
        (["a.wav", "train.tsv"], ["speech", "lists"]),
        (["cat/1.PNG"], ["images"]),
        (["train-images-idx3-ubyte"], ["images"]),
        (["1.jpg", "captions.txt"], ["captions"]),
        (["train/questions.json", "train/images/1.png"], ["questions"]),
        (["train/questions.json", "train/a/1.png", "train/b/1.png"], ["questions", "images"]),
        ([], []),
    ],
)
def test_folders_are_told_by_names(names: list[str], kinds: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert kinds_of(tmp_path) == kinds
    assert set(kinds) <= set(KINDS)


def test_files_are_told_by_names(tmp_path: Path) -> None:
    found = {}
    for name in ("a.tsv", "a.wav", "a.png", "a.txt", "a.csv"):
        (tmp_path / name).write_text("")
        found[name] = kinds_of(tmp_path / name), field_separator(tmp_path / name)
    assert list(found.values()) == [
        (["lists"], ""),
        (["speech"], ""),
        (["images"], ""),
        ([], ""),
        ([], "commas"),
    ]


def test_captions_beside_pictures_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    def of(*names: str, text: str = "image,caption\nx.png,a dog\n", called: str = "notes.csv") -> list[str]:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        for name in names:
            write_picture(folder / name)
        (folder / called).write_text(text)
        return kinds_of(folder)

    assert of("x.png") == of("Images/x.png", "Images/y.png") == ["captions"]
    assert of("train2017/x.png", "val2017/y.png") == ["captions"]
    assert of("a/x.png", "b/x.png") == of("train/a/x.png", "train/b/x.png") == ["captions", "images"]
    assert of("a/x.png", "b/x.png", text="some words") == ["images"]
    assert (
        of("val/x.png", text="x.png\tn01\n") == of("a/x.png", text="image_id,part\nx.png,0\n") == ["images"]
    )
    coco = json.dumps(
        {"images": [{"id": 1, "file_name": "x.png"}], "annotations": [{"image_id": 1, "caption": "x"}]}
    )
    assert of("train2017/x.png", text=coco, called="captions_train2017.json") == ["captions"]
    boxes = coco.replace("caption", "bbox")
    assert of("train2017/x.png", text=boxes, called="instances_train2017.json") == ["images"]


def test_a_table_of_recordings_names_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("file_name,transcription\na.wav,one\n")
    assert names_recordings(path)
    path.write_text("word,ipa\na,b\n")
    assert not names_recordings(path)
    assert not names_recordings(tmp_path)
