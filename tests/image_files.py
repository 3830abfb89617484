"""Small images laid out as users and publishers hold them."""

import gzip
import struct
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from hardpp.data.images.labelled import InMemoryImages, LabelledImages
from hardpp.data.uniforms import integers, uniforms


def digits(count: int, key: str = "digits", side: int = 28) -> NDArray[np.uint8]:
    """Blots of ink (count, side, side) with a margin, no two of which are alike."""
    blots = np.zeros((count, side, side), np.uint8)
    inner = integers(uniforms(key, count, side // 2, side // 3), 1, 255)
    blots[:, side // 4 : side // 4 + side // 2, side // 3 : side // 3 + side // 3] = inner
    return blots


def held(count: int, key: str = "digits", side: int = 28) -> InMemoryImages:
    """Blots in memory, labelled 0 to 9 in turn."""
    return InMemoryImages(torch.from_numpy(digits(count, key, side)).unsqueeze(1), torch.arange(count) % 10)


def labelled(train: int = 30, dev: int = 10, test: int = 10) -> LabelledImages:
    """Three parts of blots."""
    parts = [held(count, name) for name, count in (("train", train), ("dev", dev), ("test", test))]
    return LabelledImages("blots", *parts, tuple("0123456789"))


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    """An array as an IDX file."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(
    folder: Path, train: int = 40, test: int = 10, compressed: bool = False, side: int = 28
) -> Path:
    """The four files of MNIST."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", train), ("t10k", test)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, array in (("images-idx3", digits(count, part, side)), ("labels-idx1", labels)):
            content, path = idx_bytes(array), folder / f"{part}-{name}-ubyte"
            if compressed:
                content, path = gzip.compress(content), path.with_name(path.name + ".gz")
            path.write_bytes(content)
    return folder


def write_picture(
    path: Path, colour: tuple[int, ...] | int = 0, size: tuple[int, int] = (6, 5), mode: str = "RGB"
) -> Path:
    """A plain picture, (width, height); the ending decides the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


class Shades:
    """Images of one shade each."""

    size = (1, 2, 2)

    def __init__(self, count: int):
        self.count = count

    def __len__(self) -> int:
        return self.count

    def read(self, places: object = None) -> torch.Tensor:
        wanted = torch.arange(self.count) if places is None else torch.as_tensor(places)
        return wanted.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)

    def fingerprint(self) -> str:
        return str(self.count)


def write_faces(folder: Path, count: int = 30, listed: str = "CelebAMask-HQ-attribute-anno.txt") -> Path:
    """Faces as CelebA-HQ has them, of one shade each that is their number; the first half smiles."""
    for number in range(count):
        write_picture(folder / "CelebA-HQ-img" / f"{number}.png", (number,) * 3, (9, 9))
    lines = [f"{n}.jpg  {1 if 2 * n < count else -1} {1 if n % 3 == 0 else -1}" for n in range(count)]
    (folder / listed).write_text("\n".join([f"{count}", "Smiling Male", *lines, ""]))
    return folder


def write_birds(folder: Path, count: int = 24, size: tuple[int, int] = (40, 30)) -> Path:
    """Birds of two species as CUB has them; the first two of three are to train on."""
    species = ["001.Crow", "002.Gull"]
    paths = [f"{species[number % 2]}/bird_{number}.png" for number in range(count)]
    rows = np.arange(size[1]) * 255 // (size[1] - 1)
    columns = np.arange(size[0]) * 255 // (size[0] - 1)
    for number, path in enumerate(paths):
        pixels = np.stack(np.broadcast_arrays(columns, rows[:, None], number), -1).astype(np.uint8)
        (folder / "images" / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / "images" / path)
    lists = {
        "images": paths,
        "image_class_labels": [str(1 + number % 2) for number in range(count)],
        "classes": species,
        "train_test_split": [str(int(number % 3 < 2)) for number in range(count)],
        "bounding_boxes": ["10.0 8.0 12.0 6.0"] * count,
    }
    for name, values in lists.items():
        lines = [f"{number} {value}\n" for number, value in enumerate(values, start=1)]
        (folder / f"{name}.txt").write_text("".join(lines))
    return folder
