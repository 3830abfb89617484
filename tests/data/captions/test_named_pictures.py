from pathlib import Path

import pytest
from image_files import write_picture

from hardpp.data.captions.named_pictures import NamedPictures
from hardpp.errors import DataError


def test_pictures_are_found_by_the_ends_of_their_paths(tmp_path: Path) -> None:
    for name in ("val2014/COCO_val2014_000000000042.jpg", "a/1.png", "b/1.png", "c/d/2.png", "3.png"):
        write_picture(tmp_path / name)
    pictures = NamedPictures(tmp_path)
    for name, wanted in {
        "COCO_val2014_000000000042.jpg": "val2014/COCO_val2014_000000000042.jpg",
        "COCO_val2014_000000000042": "val2014/COCO_val2014_000000000042.jpg",
        "42": "val2014/COCO_val2014_000000000042.jpg",
        "coco/images/val2014/COCO_val2014_000000000042.jpg": "val2014/COCO_val2014_000000000042.jpg",
        "a/1.png": "a/1.png",
        "elsewhere/b/1.png": "b/1.png",
        "d\\2.png": "c/d/2.png",
        "images/3.png": "3.png",
    }.items():
        assert pictures.find(name) == tmp_path / wanted
    for name in ("e/2.png", "e/d/2.png", "f/1.png", "4.png", "", "2.jpg"):
        assert pictures.find(name) is None  # and not a picture of another folder
    with pytest.raises(DataError, match=r"a/1\.png and .*b/1\.png are both meant by 1\.png"):
        pictures.find("1.png")
