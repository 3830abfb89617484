import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import digits, idx_bytes, write_idx

from hardpp.data.images import idx
from hardpp.data.images.idx import is_idx_folder, labelled_images
from hardpp.errors import DataError

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
FILE = struct.pack(">HBBIII", 0, 8, 3, 2, 3, 4) + bytes(range(24))


@pytest.mark.parametrize("content", [FILE, gzip.compress(FILE)], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", ["images-idx3-ubyte", "images-idx3-ubyte.gz"])
def test_arrays_are_read_compressed_or_not_whatever_the_name(
    tmp_path: Path, content: bytes, name: str
) -> None:
    (tmp_path / name).write_bytes(content)
    found = idx.read(tmp_path / name, 3)
    assert found.dtype == np.uint8
    assert (found == ARRAY).all()
    assert found.shape == (2, 3, 4)


def test_an_array_may_be_empty(tmp_path: Path) -> None:
    (tmp_path / "none").write_bytes(struct.pack(">HBBI", 0, 8, 1, 0))
    assert idx.read(tmp_path / "none", 1).shape == (0,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (FILE[:3], "not an IDX file"),
        (b"PNG!" + FILE, "not an IDX file"),
        (b"\0\0\7\3" + FILE[4:], "not an IDX file"),
        (b"\0\0\x0d\3" + FILE[4:], "numbers of kind float32, and uint8 are wanted"),
        (FILE[:10], "truncated in the header, after 10 bytes"),
        (FILE[:-1], "truncated, 2 x 3 x 4 bytes are promised and 23 are there"),
        (FILE + b"\n", "too long, 2 x 3 x 4 bytes are promised and 25 are there"),
        (struct.pack(">HBBIII", 0, 8, 3, 2**32 - 1, 2**32 - 1, 9), "truncated, 4294967295 x"),
        (struct.pack(">HBBI", 0, 8, 1, 1) + b"\1", "an array of 3 dimensions is wanted, and it has 1"),
        (gzip.compress(FILE, mtime=0)[:-9], "truncated or damaged gzip"),
        (gzip.compress(FILE, mtime=0)[:12] + b"\xff" * 9, "truncated or damaged gzip"),
        (b"\x1f\x8bnot gzip at all", "truncated or damaged gzip"),
    ],
)
def test_wrong_files_are_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t10k-images"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        idx.read(path, 3)
    assert str(error.value).startswith(f"{path}: ")


def test_missing_files_and_folders_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none: there is no such file"):
        idx.read(tmp_path / "none", 3)
    with pytest.raises(DataError, match=r"cannot be read"):
        idx.read(tmp_path, 3)


@pytest.mark.parametrize("compressed", [False, True])
def test_the_last_twelfth_of_train_is_dev(tmp_path: Path, compressed: bool) -> None:
    folder = write_idx(tmp_path / "idx", compressed=compressed)
    found = labelled_images(folder, "mine")
    assert (found.name, found.classes) == ("mine", tuple("0123456789"))
    known = torch.from_numpy(digits(40, "train")).unsqueeze(1)
    assert found.train.read().pixels.equal(known[:37])
    assert found.dev.read().pixels.equal(known[37:])
    assert found.test.read().pixels.equal(torch.from_numpy(digits(10, "t10k")).unsqueeze(1))
    assert found.train.labels.dtype == torch.int64
    assert found.dev.labels.tolist() == [7, 8, 9]
    assert len(found.test) == 10


def test_other_names_of_the_files(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "idx")
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("-idx", ".idx").replace("t10k", "test"))
    write_idx(folder, train=60, compressed=True)
    (folder / "notes").write_text("x")
    # Names with a hyphen come first, and t10k before test.
    assert len(labelled_images(folder, "mine").train) == 55
    for path in folder.glob("*.gz"):
        path.unlink()
    assert len(labelled_images(folder, "mine", "abcdefghijk").train) == 37


def test_what_is_such_a_folder(tmp_path: Path) -> None:
    assert not is_idx_folder(tmp_path / "none")
    (tmp_path / "train-images-idx3-ubyte.txt").write_text("x")
    assert not is_idx_folder(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_text("x")
    assert is_idx_folder(tmp_path)


def lose(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").unlink()


def cut(folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])


def swap(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes((folder / "train-images-idx3-ubyte").read_bytes())


def fewer_labels(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(9, np.uint8)))


def other_size(folder: Path) -> None:
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(digits(10, side=24)))


def other_label(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.array([0] * 7 + [10, 0, 11], np.uint8)))


def one_class(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.full(40, 3, np.uint8)))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.full(10, 3, np.uint8)))


def too_few(folder: Path) -> None:
    write_idx(folder, train=11)


def no_test(folder: Path) -> None:
    write_idx(folder, test=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lose, "there is no t10k-labels-idx1-ubyte"),
        (cut, "train-images-idx3-ubyte: truncated, 40 x 28 x 28 bytes are promised and 31355 are there"),
        (swap, "train-labels-idx1-ubyte: an array of 1 dimensions is wanted, and it has 3"),
        (fewer_labels, "t10k-labels-idx1-ubyte: 9 labels for the 10 images in t10k-images-idx3-ubyte"),
        (other_size, "t10k-images-idx3-ubyte: images of 24 x 24 pixels, and train has 28 x 28"),
        (other_label, "t10k-labels-idx1-ubyte: label 7 is 10, and classes are 0 to 9"),
        (one_class, "train-labels-idx1-ubyte: labels of two classes at least are wanted, all are 3"),
        (too_few, "12 images at least are needed"),
        (no_test, "and one in t10k-images-idx3-ubyte"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path: Path, change: object, message: str) -> None:
    folder = write_idx(tmp_path / "idx")
    assert callable(change)
    change(folder)
    with pytest.raises(DataError, match=message) as error:
        labelled_images(folder, "mine")
    assert str(error.value).startswith(str(folder))


def test_given_classes_bound_the_labels_of_train_too(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "idx")
    with pytest.raises(DataError, match="train-labels-idx1-ubyte: label 3 is 3, and classes are 0 to 2"):
        labelled_images(folder, "mine", "abc")
    with pytest.raises(DataError, match="cannot be read"):
        labelled_images(tmp_path / "none", "mine")


def test_dev_of_images_sorted_by_class_is_the_last_twelfth_of_every_class(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "idx", train=250)
    labels = np.repeat(np.array([0, 1, 2], np.uint8), [120, 100, 30])
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(10, dtype=np.uint8) % 2))
    told: list[str] = []
    found = labelled_images(folder, "mine", report=told.append)
    assert found.dev.labels.tolist() == [0] * 10 + [1] * 8 + [2] * 2
    assert torch.bincount(found.train.labels).tolist() == [110, 92, 28]
    known = torch.from_numpy(digits(250, "train")).unsqueeze(1)
    assert found.dev.read().pixels.equal(known[[*range(110, 120), *range(212, 220), *range(248, 250)]])
    assert "the last twelfth of every class is kept for dev" in told[0]
    assert told[1:] == ["test has no image of 1 of the 3 classes: 2"]


def test_a_class_that_is_rare_does_not_move_the_split(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "idx", train=120)
    labels = np.arange(120, dtype=np.uint8) % 3
    labels[5] = 3
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    found = labelled_images(folder, "mine", "abcdefghij")
    assert found.dev.labels.tolist() == labels[110:].tolist()
    labels = np.repeat(np.arange(10, dtype=np.uint8), [3] * 7 + [1] * 3)
    (write_idx(folder, train=24) / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    with pytest.raises(DataError, match="no class has 12 images, of which one is for dev"):
        labelled_images(folder, "mine")
