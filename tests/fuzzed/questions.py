"""Readers of questions about images, and of features of these."""

import io
import json
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fuzzed.reader import Reader
from fuzzed.texts import loaded
from image_files import write_picture
from question_corpora import MODEL, regions, write_easy, write_vqa

from hardpp.data.questions.asked_questions import asked_questions
from hardpp.data.questions.picture_folder import PictureFolder

_IMAGES = (*range(100, 106), *range(200, 208))


def _easy(folder: Path) -> list[Path]:
    data = write_easy(folder / "data", train=12, test=4, side=16)
    return [
        data / "train" / "questions.json",
        data / "test" / "questions.json",
        data / "train" / "images" / "1.png",
    ]


def _vqa(folder: Path, *patterns: str) -> list[Path]:
    data = write_vqa(folder / "data")
    return [path for pattern in patterns for path in sorted(data.glob(pattern))]


# All regions, too: they are read when their image is.
def _answered(folder: Path) -> Any:
    data, description = loaded(folder / "data", MODEL)
    asked = [question for part in (data.train, data.dev, data.test) for question in part.questions]
    return [data.pictures.read(question.image) for question in asked], description


def _arrays() -> dict[str, Any]:
    found = [regions(image, 2) for image in _IMAGES]
    boxes, features = (np.stack(parts) for parts in zip(*found, strict=True))
    return {
        "image_id": np.array(_IMAGES),
        "features": features,
        "boxes": boxes,
        "num_boxes": np.full(len(boxes), 2),
    }


def _npz(folder: Path, *, packed: bool) -> list[Path]:
    _vqa(folder)
    (folder / "data" / "features.tsv").unlink()
    path = folder / "data" / "features.npz"
    (np.savez_compressed if packed else np.savez)(path, **_arrays())
    return [path]


# The arrays of an archive that is whole.
def _npy(folder: Path) -> list[Path]:
    _npz(folder, packed=False)
    for name, array in _arrays().items():
        np.save(folder / f"{name}.npy", array)
    return sorted(folder.glob("*.npy"))


def _pack(folder: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(folder.glob("*.npy")):
            archive.writestr(path.name, path.read_bytes())
    (folder / "data" / "features.npz").write_bytes(content.getvalue())


def _asked(name: str, text: str) -> Reader:
    def write(folder: Path) -> list[Path]:
        for number in range(3):
            write_picture(folder / f"{number}.png")
        (folder / name).write_text(text)
        return [folder / name]

    def read(folder: Path) -> Any:
        return asked_questions(folder / name, lambda names: PictureFolder(names, folder, None))

    return Reader(write, read)


_QUESTIONS = [
    {"question_id": 7 + number, "image_id": number, "question": "what is it?"} for number in range(3)
]

READERS = {
    "questions, easy-VQA": Reader(_easy, _answered),
    "questions, VQA": Reader(lambda folder: _vqa(folder, "*questions.json", "*annotations.json"), _answered),
    "regions, TSV": Reader(lambda folder: _vqa(folder, "features.tsv"), _answered),
    "regions, npz": Reader(partial(_npz, packed=False), _answered),
    "regions, packed npz": Reader(partial(_npz, packed=True), _answered),
    "regions, arrays in an npz": Reader(_npy, _answered, seal=_pack),
    "questions asked, JSON": _asked("asked.json", json.dumps({"questions": _QUESTIONS})),
    "questions asked, lines": _asked("asked.txt", "0\twhat?\n\n1.png\tis it red?\n2\twhat?\n"),
}
