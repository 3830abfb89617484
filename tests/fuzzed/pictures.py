"""Readers of pictures, of what is said of them, and of where to look in them."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fuzzed.reader import Reader
from fuzzed.texts import loaded
from glimpse_files import write_lines
from image_files import write_idx, write_picture
from PIL import Image

from hardpp.data.images import glimpse_sequences
from hardpp.data.images.asked_pictures import asked_pictures
from hardpp.data.images.picture_files import decoded
from hardpp.data.images.rgb_pictures import check_picture, decode_rgb

_NAMES = [f"p{number}.png" for number in range(15)]


def _picture(name: str, mode: str = "RGB", **how: Any) -> Reader:
    def write(folder: Path) -> list[Path]:
        pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / name, **how)
        return [folder / name]

    def read(folder: Path) -> Any:
        return check_picture(folder / name), decoded(folder / name, 16), decode_rgb(folder / name, 20)

    return Reader(write, read)


def _idx(folder: Path, compressed: bool = False) -> list[Path]:
    write_idx(folder / "idx", train=40, test=10, compressed=compressed, side=12)
    return sorted((folder / "idx").iterdir())


def _classes(folder: Path) -> list[Path]:
    for place, name in enumerate(_NAMES):
        write_picture(folder / "data" / "train" / ("cat", "dog")[place % 2] / name, (place, 0, 0), (16, 16))
        write_picture(folder / "data" / "val" / name, (place, 0, 0), (16, 16))
    lines = (f"{name} {('cat', 'dog')[place % 2]}\n" for place, name in enumerate(_NAMES))
    (folder / "data" / "val.txt").write_text("".join(lines))
    return [folder / "data" / "val.txt", folder / "data" / "train" / "cat" / "p0.png"]


def _sequences(folder: Path) -> list[Path]:
    lines = [f"train/{number}\t{4 * (number % 3)},0 8,4" for number in range(20)]
    return [write_lines(folder / "sequences.txt", *lines)]


def _said(name: str, text: str) -> Reader:
    def write(folder: Path) -> list[Path]:
        for place, picture in enumerate(_NAMES):
            write_picture(folder / "data" / "pictures" / picture, (place, 0, 0), (16, 16))
        (folder / "data" / name).write_text(text, encoding="utf-8")
        return [folder / "data" / name]

    return Reader(write, lambda folder: loaded(folder / "data", "caption", side=16))


def _karpathy() -> str:
    parts = ("val", "test", "restval", "train", "train")
    said = [{"raw": "A dog , it runs ."}, {"tokens": ["a", "cat"]}]
    rows = [
        {"filename": name, "split": parts[place % 5], "sentences": said[: 1 + place % 2]}
        for place, name in enumerate(_NAMES)
    ]
    return json.dumps({"images": rows})


def _coco() -> str:
    images = [{"id": place, "file_name": name} for place, name in enumerate(_NAMES)]
    said = [{"image_id": place, "id": place, "caption": "a dog runs"} for place in range(len(_NAMES))]
    return json.dumps({"images": images, "annotations": said})


_TOKENS = "".join(f"{name}#{number}\tA dog runs .\n" for name in _NAMES for number in range(2))
_TABLE = "image,caption\n" + "".join(f'{name},"A dog , ""{name}"" , runs ."\n' for name in _NAMES)
_LINES = "".join(json.dumps({"file_name": name, "text": "a dog runs"}) + "\n" for name in _NAMES)


def _asked(folder: Path) -> list[Path]:
    write_picture(folder / "p.png")
    (folder / "list.txt").write_text("p.png\n\n")
    return [folder / "list.txt", folder / "p.png"]


READERS = {
    "picture, PNG": _picture("p.png"),
    "picture, PNG of 16 bits": _picture("p.png", "I;16"),
    "picture, PNG of a palette": _picture("p.png", "P"),
    "picture, JPEG": _picture("p.jpg"),
    "picture, JPEG of CMYK": _picture("p.jpg", "CMYK"),
    "picture, TIFF": _picture("p.tif"),
    "picture, packed TIFF": _picture("p.tif", compression="tiff_deflate"),
    "picture, GIF": _picture("p.gif", "P"),
    "picture, BMP": _picture("p.bmp"),
    "picture, WebP": _picture("p.webp", lossless=True),
    "picture, PPM": _picture("p.ppm"),
    "images, IDX": Reader(_idx, lambda folder: loaded(folder / "idx", "glimpse")),
    "images, packed IDX": Reader(
        partial(_idx, compressed=True), lambda folder: loaded(folder / "idx", "glimpse")
    ),
    "images in classes": Reader(_classes, lambda folder: loaded(folder / "data", "saccader", side=16)),
    "images, list": Reader(_asked, lambda folder: asked_pictures(folder / "list.txt")),
    "sequences of glimpses": Reader(
        _sequences, lambda folder: glimpse_sequences.read(folder / "sequences.txt")
    ),
    "captions, Karpathy's JSON": _said("dataset_flickr8k.json", _karpathy()),
    "captions, COCO's JSON": _said("captions.json", _coco()),
    "captions, JSON lines": _said("metadata.jsonl", _LINES),
    "captions, tokens": _said("Flickr8k.token.txt", _TOKENS),
    "captions, table": _said("captions.txt", _TABLE),
}
