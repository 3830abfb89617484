from pathlib import Path

import pytest

from hardpp.data.kinds import KINDS, field_separator, kinds_of


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
        (["1.jpg", "captions.txt"], ["captions", "images"]),
        (["train/questions.json", "train/images/1.png"], ["questions", "images"]),
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
