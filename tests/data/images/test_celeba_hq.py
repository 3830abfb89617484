from pathlib import Path

import pytest
from image_files import write_faces, write_picture
from PIL import Image

from hardpp.data.images import celeba_hq
from hardpp.data.images.augmentation import Augmentation
from hardpp.data.images.celeba_hq import read_celeba_hq
from hardpp.data.images.labelled import LabelledImages
from hardpp.errors import DataError, UsageError

OWN, CELEBA = "CelebAMask-HQ-attribute-anno.txt", "list_attr_celeba.txt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_faces(tmp_path / "faces")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 30 pictures had been published: 24, 2 and 4."""
    for name, count in (("PICTURES", 30), ("DEV", 2), ("TEST", 4)):
        monkeypatch.setattr(celeba_hq, name, count)


def shades(images: LabelledImages) -> list[list[int]]:
    parts = (images.train, images.dev, images.test)
    return [part.read().pixels[:, 0, 0, 0].tolist() for part in parts]


@pytest.mark.usefixtures("few")
def test_an_attribute_is_the_label_and_parts_are_the_published_ones(folder: Path) -> None:
    told: list[str] = []
    found = read_celeba_hq(folder, 8, report=told.append)
    assert (found.name, found.classes) == ("faces", ("not Male", "Male"))
    assert shades(found) == [[*range(24)], [24, 25], [26, 27, 28, 29]]
    assert found.train.labels.tolist() == [1, 0, 0] * 8
    assert found.test.labels.tolist() == [0, 1, 0, 0]
    assert found.test.names == [f"CelebA-HQ-img/{number}.png" for number in range(26, 30)]
    assert (found.train.size, len(told)) == ((3, 8, 8), 2)
    smiling = read_celeba_hq(folder, 8, attribute="Smiling")
    assert smiling.classes == ("not Smiling", "Smiling")
    assert smiling.train.labels.tolist() == [1] * 15 + [0] * 9
    assert smiling.fingerprint() != found.fingerprint()


def test_the_published_parts() -> None:
    published = (celeba_hq.PICTURES, celeba_hq.DEV, celeba_hq.TEST)
    assert published == (27_000 + 500 + 2_500, 500, 2_500)


def test_other_numbers_of_pictures_are_split_in_proportion(tmp_path: Path) -> None:
    told: list[str] = []
    found = read_celeba_hq(write_faces(tmp_path, 120), 4, report=told.append)
    assert [len(part) for part in shades(found)] == [108, 2, 10]
    assert told[0] == "120 pictures and not 30000: the last 10 are test, 2 before them dev"


def test_a_whole_picture_is_shown(tmp_path: Path) -> None:
    folder = write_faces(tmp_path)
    for path in (folder / "CelebA-HQ-img").iterdir():
        with Image.open(write_picture(path, 0, (16, 16), "L")) as picture:
            picture.putpixel((0, 15), 255)
            picture.save(path)
    pixels = read_celeba_hq(folder, 16).dev.read([0]).pixels[0, 0]
    assert pixels.nonzero().tolist() == [[15, 0]]
    crops = read_celeba_hq(folder, 16, Augmentation()).train
    assert not crops.read(epoch=1).pixels.equal(crops.read(epoch=2).pixels)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("place", ["data1024x1024", "images", ""])
@pytest.mark.parametrize("name", ["{:05d}.jpg", "imgHQ{:05d}.png"])
def test_where_pictures_lie_and_how_they_are_called(folder: Path, place: str, name: str) -> None:
    plain = shades(read_celeba_hq(folder, 8))
    for number in range(30):
        path = folder / "CelebA-HQ-img" / f"{number}.png"
        (folder / place).mkdir(exist_ok=True)
        write_picture(folder / place / name.format(number), (number,) * 3, (9, 9))
        path.unlink()
    (folder / "CelebA-HQ-img").rmdir()
    assert shades(read_celeba_hq(folder, 8)) == plain


@pytest.mark.parametrize("mapping", ["CelebA-HQ-to-CelebA-mapping.txt", "image_list.txt"])
def test_celeba_s_own_list_and_numbers(tmp_path: Path, mapping: str) -> None:
    own = write_faces(tmp_path / "own")
    other = write_faces(tmp_path / "other")
    (other / OWN).unlink()
    # Picture n of CelebA-HQ is picture 100 - n of CelebA, which has more.
    row = {n: " ".join((own / OWN).read_text().splitlines()[2 + n].split()[1:]) for n in range(30)}
    lines = [f"{100 - n:06d}.jpg  {row[n]}" for n in range(29, -1, -1)]
    (other / CELEBA).write_text("\n".join(["31", "Smiling Male", *lines, "000200.jpg 1 1", ""]))
    with pytest.raises(DataError, match="nothing says which picture of CelebA-HQ has which"):
        read_celeba_hq(other, 8)
    columns = [f"   {n}  {99 - n}  {100 - n:06d}.jpg" for n in range(30)]
    (other / mapping).write_text("\n".join(["idx  orig_idx  orig_file", *columns, ""]))
    told: list[str] = []
    for attribute in ("Male", "Smiling"):
        expected = read_celeba_hq(own, 8, attribute=attribute)
        found = read_celeba_hq(other, 8, attribute=attribute, report=told.append)
        for part in ("train", "dev", "test"):
            assert getattr(found, part).labels.equal(getattr(expected, part).labels)
        assert shades(found) == shades(expected)
    assert told[0] == f"pictures are matched to {CELEBA} by {mapping}"


def test_the_other_list_with_numbers_from_0_needs_no_mapping(tmp_path: Path) -> None:
    assert len(read_celeba_hq(write_faces(tmp_path, listed=CELEBA), 8).train) == 27


def test_an_unknown_attribute_and_the_nearest_ones(folder: Path) -> None:
    with pytest.raises(UsageError, match=f"^{folder}/{OWN}: there is no attribute 'Smile'$") as error:
        read_celeba_hq(folder, 8, attribute="Smile")
    assert error.value.hint == "there are: Smiling, Male"


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "many", "the number of pictures is wanted"),
        (1, "29", "says 29 pictures, and 30 lines follow"),
        (9, "6.jpg 1", "has 1 values, and there are 2 attributes"),
        (9, "6.jpg 1 1 1", "has 3 values, and there are 2 attributes"),
        (9, "6.jpg 1 0", "Male is '0', and 1 or -1 is wanted"),
        (9, "5.jpg 1 1", "5.jpg has a line already, 8"),
        (9, "05.jpg 1 1", "05.jpg has the number of 5.jpg"),
        (9, "six.jpg 1 1", "six.jpg has no number at its end"),
        (9, "77.jpg 1 1", "there is no picture 77 in .*/CelebA-HQ-img"),
        (9, "", "empty line"),
    ],
)
def test_what_is_wrong_is_refused_by_file_and_line(folder: Path, line: int, text: str, message: str) -> None:
    lines = (folder / OWN).read_text().splitlines()
    lines[line - 1] = text
    (folder / OWN).write_text("\n".join([*lines, ""]))
    with pytest.raises(DataError, match=f"^{folder}/{OWN}:{line}: {message}"):
        read_celeba_hq(folder, 8)


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "number file", "columns idx and orig_file are wanted"),
        (3, "1 1", "has 2 columns, and there are 3"),
        (3, "one 1 1.jpg", "idx is 'one', and a number is wanted"),
        (3, "0 1 1.jpg", "0 has a line already"),
        (3, "1 1 99.jpg", f"there is no 99.jpg in {CELEBA}"),
    ],
)
def test_a_wrong_mapping(tmp_path: Path, line: int, text: str, message: str) -> None:
    folder = write_faces(tmp_path, listed=CELEBA)
    lines = ["idx orig_idx orig_file", *(f"{n} {n} {n}.jpg" for n in range(30))]
    lines[line - 1] = text
    (folder / "image_list.txt").write_text("\n".join(lines))
    with pytest.raises(DataError, match=f"^{folder}/image_list.txt:{line}: {message}"):
        read_celeba_hq(folder, 8)


def test_missing_pictures_are_named_or_left_out(folder: Path) -> None:
    (folder / "CelebA-HQ-img" / "3.png").unlink()
    (folder / "CelebA-HQ-img" / "28.png").unlink()
    with pytest.raises(DataError, match=rf"{OWN}:6: there is no picture 3 in .* \(3\.jpg\) \(and 1 more bad"):
        read_celeba_hq(folder, 8)
    told: list[str] = []
    found = read_celeba_hq(folder, 8, on_bad="skip", report=told.append)
    assert shades(found) == [[0, 1, 2, *range(4, 27)], [27], [29]]
    assert told[0].startswith(f"left out: {folder}/{OWN}:6: there is no picture 3")


def test_other_pictures_are_passed_over_and_told(folder: Path) -> None:
    write_picture(folder / "CelebA-HQ-img" / "30.png")
    write_picture(folder / "CelebA-HQ-img" / "sample.png")
    told: list[str] = []
    assert len(read_celeba_hq(folder, 8, report=told.append).train) == 27
    assert told[0].startswith("pictures passed over that have no number: 1, such as")
    assert told[1].startswith(f"1 pictures passed over that {OWN} has not, such as")


def test_two_pictures_of_a_number_or_two_folders(folder: Path) -> None:
    write_picture(folder / "CelebA-HQ-img" / "007.png")
    with pytest.raises(DataError, match=r"7\.png: 007\.png is picture 7 already"):
        read_celeba_hq(folder, 8)
    (folder / "images").mkdir()
    with pytest.raises(DataError, match="both CelebA-HQ-img and images are there"):
        read_celeba_hq(folder, 8)


def test_faces_that_are_all_alike(folder: Path) -> None:
    (folder / OWN).write_text((folder / OWN).read_text().replace("-1", "1"))
    with pytest.raises(DataError, match=f"^{folder}/{OWN}: all pictures to train on are 'Male'"):
        read_celeba_hq(folder, 8)


def test_a_folder_without_a_list(folder: Path) -> None:
    (folder / OWN).unlink()
    with pytest.raises(DataError, match=f"there is neither {OWN} nor {CELEBA}"):
        read_celeba_hq(folder, 8)
