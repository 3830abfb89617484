import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import held, write_picture
from PIL import Image

from hardpp.data.images.augmentation import Augmentation
from hardpp.data.images.labelled import FirstImages, LabelledImages, first_images
from hardpp.data.images.layouts import find_pictures
from hardpp.data.images.resized_pictures import (
    ResizedPictures,
    at_side,
    plain,
    read_folder,
    resized_images,
)
from hardpp.errors import DataError, UsageError


def slope(path: Path, size: tuple[int, int], blue: int) -> None:
    """A picture that is red on the right and green at the bottom."""
    width, height = size
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    pixels[..., 2] = blue
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part, count in (("train", 6), ("val", 2), ("test", 2)):
        for label, blue in (("cat", 0), ("dog", 200)):
            for number in range(count):
                slope(
                    tmp_path / "pets" / part / label / f"{number}.png", (60 + number, 40 + 9 * number), blue
                )
    return tmp_path / "pets"


def train(images: LabelledImages) -> ResizedPictures:
    assert isinstance(images.train, ResizedPictures)
    return images.train


def test_pictures_of_any_size_are_read_at_one(folder: Path) -> None:
    told: list[str] = []
    found = read_folder(folder, 16, report=told.append)
    assert (found.name, found.classes) == ("pets", ("cat", "dog"))
    assert told == ["reading the sizes of 20 images", "pets: 2 classes, 12 train, 4 dev, 4 test images"]
    for part, count in ((found.train, 12), (found.dev, 4), (found.test, 4)):
        assert (len(part), part.size) == (count, (3, 16, 16))
        assert part.labels.tolist() == [0] * (count // 2) + [1] * (count // 2)
        shown = part.read()
        assert (shown.pixels.shape, shown.pixels.dtype, shown.boxes) == (
            (count, 3, 16, 16),
            torch.uint8,
            None,
        )
        assert shown.pixels[:, 2].unique(dim=0).tolist() == [[[0] * 16] * 16, [[200] * 16] * 16]
        for places in ([3, 0], torch.tensor([3, 0])):
            assert part.read(places).pixels.equal(shown.pixels[[3, 0]])
        assert part.read([-1]).pixels.equal(shown.pixels[[-1]])
        assert part.read([]).pixels.shape == (0, 3, 16, 16)
        assert part.read(epoch=5).pixels.equal(shown.pixels)
    assert found.dev.names == ["val/cat/0.png", "val/cat/1.png", "val/dog/0.png", "val/dog/1.png"]


def test_the_middle_is_shown_in_evaluations(folder: Path) -> None:
    red, green, _ = read_folder(folder, 20).dev.read([0]).pixels[0].float()
    # A square of 40 * 20/22 = 36.4 of 60 x 40 pixels: from 12 to 48, and from 2 to 38.
    assert red[10, [0, -1]].tolist() == pytest.approx([255 * 12.4 / 59, 255 * 46.6 / 59], abs=4)
    assert green[[0, -1], 10].tolist() == pytest.approx([255 * 2.4 / 39, 255 * 36.6 / 39], abs=4)
    assert (red.diff(dim=1) > 0).all()


def test_crops_are_drawn_anew_in_every_epoch_and_only_of_train(folder: Path) -> None:
    found = read_folder(folder, 16, Augmentation(seed=3))
    first, again = found.train.read(epoch=1).pixels, found.train.read(epoch=1).pixels
    assert first.equal(again)
    assert found.train.read([7, 2], 1).pixels.equal(first[[7, 2]])
    assert not (first == found.train.read(epoch=2).pixels).flatten(1).all(1).any()
    assert not first.equal(read_folder(folder, 16, Augmentation(seed=4)).train.read(epoch=1).pixels)
    many = torch.cat([found.train.read(epoch=epoch).pixels for epoch in range(20)])
    rising = (many[:, 0, 8, -1] > many[:, 0, 8, 0]).float().mean()
    assert abs(rising - 0.5) < 4 * 0.5 / len(many) ** 0.5
    unmirrored = read_folder(folder, 16, Augmentation(seed=3, flip=False)).train
    assert all(
        (unmirrored.read(epoch=epoch).pixels[:, 0, 8].diff().float().mean(1) > 0).all() for epoch in range(5)
    )
    for part in (found.dev, found.test):
        assert part.read(epoch=1).pixels.equal(part.read().pixels)


def test_a_part_without_augmentation_and_at_another_side(folder: Path) -> None:
    augmented, middle = read_folder(folder, 16, Augmentation()).train, train(read_folder(folder, 16))
    assert plain(augmented).read(epoch=4).pixels.equal(middle.read().pixels)
    large = at_side(augmented, 48)
    assert large.size == (3, 48, 48)
    small, double = augmented.read(epoch=2).pixels, large.read(epoch=2).pixels
    # The same crops: what lies in a corner and in the middle is the same, but for the filter.
    for place, scaled in ((0, 1), (8, 25), (15, 46)):
        apart = small[:, :2, place, place].int() - double[:, :2, scaled, scaled].int()
        assert apart.abs().max() <= 12
    few = first_images(augmented, 5)
    for part in (plain(few), at_side(few, 48)):
        assert isinstance(part, FirstImages)
        assert len(part) == 5
    assert plain(few).read().pixels.equal(middle.read(range(5)).pixels)
    assert at_side(few, 48).read(epoch=2).pixels.equal(double[:5])


def test_other_images_have_one_side(folder: Path) -> None:
    digits = held(3)
    assert plain(digits) is digits
    assert at_side(digits, 28) is digits
    with pytest.raises(UsageError, match="have 28 x 28 pixels and cannot be read at 16 x 16"):
        at_side(digits, 16)


def test_results_do_not_depend_on_what_stays_in_memory(folder: Path) -> None:
    kept = train(read_folder(folder, 16, Augmentation()))
    parts = find_pictures(folder)
    decoded = train(resized_images("pets", parts, folder, 16, Augmentation(), kept_bytes=1000))
    assert (kept.files.fits, decoded.files.fits) == (True, False)
    assert kept.fingerprint() == decoded.fingerprint()
    for epoch in range(2):
        assert kept.read([5, 0], epoch).pixels.equal(decoded.read([5, 0], epoch).pixels)


def test_threads_may_read_at_the_same_time(folder: Path) -> None:
    part = read_folder(folder, 16, Augmentation()).train
    wanted = [part.read(epoch=epoch).pixels for epoch in range(4)]
    part = read_folder(folder, 16, Augmentation()).train
    found: dict[int, torch.Tensor] = {}
    threads = [
        threading.Thread(target=lambda epoch=epoch: found.update({epoch: part.read(epoch=epoch).pixels}))
        for epoch in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[epoch].equal(pixels) for epoch, pixels in enumerate(wanted))


def test_a_picture_smaller_than_wanted_is_scaled_up(folder: Path) -> None:
    write_picture(folder / "train" / "cat" / "tiny.png", (9, 8, 7), (1, 1))
    part = read_folder(folder, 16, Augmentation()).train
    assert part.names is not None
    shown = part.read([part.names.index("train/cat/tiny.png")]).pixels[0]
    assert [channel.unique().tolist() for channel in shown] == [[9], [8], [7]]


def test_the_fingerprint_sees_files_labels_side_and_crops(folder: Path) -> None:
    def prints() -> list[str]:
        kinds = (
            None,
            Augmentation(),
            Augmentation(1),
            Augmentation(smallest_area=0.5),
            Augmentation(flip=False),
        )
        return [read_folder(folder, 16, kind).fingerprint() for kind in kinds] + [
            read_folder(folder, 17).fingerprint()
        ]

    before = prints()
    assert len(set(before)) == 6
    assert prints() == before
    with (folder / "test" / "dog" / "1.png").open("ab") as file:
        file.write(b" ")
    assert not set(prints()) & set(before)


def test_broken_pictures_are_left_out_before_anything_is_read(folder: Path) -> None:
    for name in ("train/cat/3.png", "val/dog/0.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:-40])
    with pytest.raises(DataError, match=rf"^{folder}/train/cat/3\.png: not a readable picture"):
        read_folder(folder, 16)
    told: list[str] = []
    found = read_folder(folder, 16, on_bad="skip", report=told.append)
    assert [len(part) for part in (found.train, found.dev, found.test)] == [11, 3, 4]
    assert found.train.labels.tolist() == [0] * 5 + [1] * 6
    assert found.train.read().pixels[:, 2, 0, 0].tolist() == [0] * 5 + [200] * 6
    assert told[1].startswith("left out 2 images: ")
    for path in (folder / "train" / "cat").iterdir():
        path.write_bytes(b"no")
    with pytest.raises(DataError, match="every image to train on of class 'cat' was left out"):
        read_folder(folder, 16, on_bad="skip")


def test_a_side_is_wanted(folder: Path) -> None:
    with pytest.raises(UsageError, match="a side of at least 1 pixel is wanted, not 0"):
        read_folder(folder, 0)


def test_fixed_pixels_stay_as_they_are(folder: Path) -> None:
    # Written down once; figures of different versions could not be compared otherwise.
    part = read_folder(folder, 8, Augmentation(seed=7)).train
    assert part.read([3], 2).pixels[0, 0, 0].tolist() == FIXED


FIXED = [12, 39, 68, 97, 125, 153, 182, 210]
