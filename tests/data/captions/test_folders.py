import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from caption_files import LOST, NAMES, spoken, write_json, write_table, write_tokens

from hardpp.data.captions.captioned import CaptionedImages, CaptionedPart
from hardpp.data.captions.folders import captioned_images
from hardpp.data.captions.found_captions import holds_captions
from hardpp.errors import DataError

Write = Callable[[Path], Path]


def parts(found: CaptionedImages) -> list[CaptionedPart]:
    return [found.train, found.dev, found.test]


def test_the_published_form(tmp_path: Path) -> None:
    told: list[str] = []
    found = captioned_images(write_tokens(tmp_path / "flickr"), told.append, side=8)
    assert found.name == "flickr"
    assert [tuple(part.names) for part in parts(found)] == [NAMES[:40], NAMES[40:48], NAMES[48:56]]
    assert told[0] == "captions of Flickr8k.token.txt"
    assert told[1] == (
        "captions are cut into words, in lower case without punctuation: "
        "'A dog , number 0 , runs \"fast\" #0 .' is a | dog | number | 0 | runs | fast | 0; "
        "'A dog , number 0 , runs \"fast\" #1 .' is a | dog | number | 0 | runs | fast | 1; "
        "'A dog , number 0 , runs \"fast\" #2 .' is a | dog | number | 0 | runs | fast | 2"
    )
    assert told[2:] == [
        "passing over 5 pictures that are missing or in no part",
        "reading the sizes of 56 images",
    ]
    for first, part in zip((0, 40, 48), parts(found), strict=True):
        for number, captions in enumerate(part.captions, start=first):
            wanted = [f"a dog number {number} runs fast {reference}" for reference in range(5)]
            assert [" ".join(caption.words) for caption in captions] == wanted
            assert all(caption.gold is None for caption in captions)
        pixels = part.images.read()
        assert pixels.shape == (len(part), 3, 8, 8)
        for place, shown in enumerate(pixels, start=first):
            assert abs(int(shown[0, 4, 4]) - 4 * place) <= 4  # as JPEG stores colours


def test_kaggle_s_form_is_split_by_checksum(tmp_path: Path) -> None:
    told: list[str] = []
    found = captioned_images(write_table(tmp_path / "kaggle"), told.append, side=8)
    assert told[2] == "keeping a tenth of the pictures for dev and a tenth for test"
    names = [set(part.names) for part in parts(found)]
    assert sum(map(len, names)) == 60 == len(set.union(*names))
    assert all(1 <= len(some) <= 14 for some in names[1:])
    for part in parts(found):
        for name, captions in zip(part.names, part.captions, strict=True):
            assert [" ".join(one.words) for one in captions] == [
                f"a dog it said {NAMES.index(name)} runs"
            ] * 2


def test_kaggle_s_captions_with_the_published_lists(tmp_path: Path) -> None:
    folder = write_tokens(tmp_path / "flickr")
    (folder / "Flickr8k_text" / "Flickr8k.token.txt").unlink()
    shutil.copy(write_table(tmp_path / "kaggle") / "captions.txt", folder)
    assert [len(part) for part in parts(captioned_images(folder, side=8))] == [40, 8, 8]


def test_karpathy_s_form(tmp_path: Path) -> None:
    found = captioned_images(write_json(tmp_path / "karpathy"), side=8)
    assert [len(part) for part in parts(found)] == [48, 6, 6]
    assert found.dev.names[0] == NAMES[0]
    assert found.test.names[0] == NAMES[1]
    assert NAMES[2] in found.train.names
    assert " ".join(found.test.captions[0][1].words) == "a dog number 1 runs fast 1"


@pytest.mark.parametrize("write", [write_tokens, write_table, write_json])
def test_windows_line_ends_and_byte_order_marks_change_nothing(tmp_path: Path, write: Write) -> None:
    folder = write(tmp_path / "flickr")
    assert holds_captions(folder)
    before = captioned_images(folder, side=8)
    for path in folder.rglob("*.[tj][xs]*"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert captioned_images(folder, side=8).fingerprint() == before.fingerprint()
    assert captioned_images(folder, side=4).fingerprint() != before.fingerprint()


def test_odd_signs_inside_captions_do_not_end_them(tmp_path: Path) -> None:
    folder = write_tokens(tmp_path / "flickr")
    path = folder / "Flickr8k_text" / "Flickr8k.token.txt"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("number 0 ,", "number\x85\u2028 0\t,"), encoding="utf-8")
    assert captioned_images(folder, side=8).train.captions[0][0].words[:4] == ("a", "dog", "number", "0")


def test_only_the_last_hash_ends_a_name(tmp_path: Path) -> None:
    names = ("a#1.jpg", *NAMES[1:])
    assert captioned_images(write_tokens(tmp_path / "flickr", names), side=8).train.names[0] == "a#1.jpg"


def test_what_is_such_a_folder(tmp_path: Path) -> None:
    assert not holds_captions(tmp_path / "none")
    assert not holds_captions(tmp_path)
    with pytest.raises(DataError, match="there are no captions"):
        captioned_images(tmp_path)


def test_names_may_have_folders_where_names_alone_are_not_enough(tmp_path: Path) -> None:
    folder = tmp_path / "flickr"
    folder.mkdir()
    names = [f"{below}/{number}.png" for number in range(30) for below in "ab"]
    table = write_table(folder, names) / "captions.txt"
    shutil.copytree(folder / "Images" / "a", folder / "a")  # a path from the folder itself comes first
    for part in parts(captioned_images(folder, side=8)):
        for name, pixels, captions in zip(part.names, part.images.read(), part.captions, strict=True):
            assert abs(int(pixels[0, 4, 4]) - 4 * names.index(name)) <= 4
            assert captions[0].words[4] == str(names.index(name))
    shutil.rmtree(folder / "a")
    table.write_text(table.read_text().replace("a/", "").replace("b/", ""))
    with pytest.raises(DataError, match=r"Images/a/0\.png and .*/b/0\.png are both meant by 0\.png"):
        captioned_images(folder, side=8)


def test_captions_of_pictures_that_are_not_there(tmp_path: Path) -> None:
    folder = write_table(tmp_path / "flickr")
    shutil.rmtree(folder / "Images")
    with pytest.raises(DataError, match=f"no picture that has a caption is there, such as {NAMES[0]}"):
        captioned_images(folder)


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (path,) = folder.rglob(name)
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def lose(name: str) -> Callable[[Path], None]:
    return lambda folder: next(folder.rglob(name)).unlink()


def latin(folder: Path) -> None:
    (folder / "captions.txt").write_bytes("image,caption\nx,caf\u00e9\n".encode("latin-1"))


def no_dev(folder: Path) -> None:
    next(folder.rglob("Flickr_8k.devImages.txt")).write_text("\n")


TOKENS, DEV = "Flickr8k.token.txt", "Flickr_8k.devImages.txt"
TABLE, JSON = "captions.txt", "dataset_flickr8k.json"


@pytest.mark.parametrize(
    ("write", "change", "message"),
    [
        (
            write_tokens,
            edit(TOKENS, f"{NAMES[1]}#2\t", f"{NAMES[1]}#2 "),
            r"token\.txt:8: NAME\.jpg#NUMBER, a tab",
        ),
        (write_tokens, edit(TOKENS, f"{NAMES[1]}#2\t", f"{NAMES[1]}\t"), r"token\.txt:8: NAME\.jpg#NUMBER"),
        (write_tokens, edit(TOKENS, spoken(0, 3), ". !"), r"token\.txt:4: a caption without words"),
        (write_tokens, edit(DEV, NAMES[41], LOST), f"picture {LOST} of the dev part is missing"),
        (write_tokens, edit(DEV, NAMES[41], NAMES[3]), f"picture {NAMES[3]} is in the parts twice"),
        (write_tokens, lose(NAMES[50]), f"picture {NAMES[50]} of the test part is missing"),
        (write_tokens, lose(DEV), r"there is no Flickr_8k\.devImages\.txt"),
        (write_tokens, no_dev, "no picture is for dev"),
        (write_table, edit(TABLE, '""0""', '"0"'), r"captions\.txt:2: not CSV"),
        (write_table, edit(TABLE, f"{NAMES[2]},", f"{NAMES[2]},,"), "6: two columns are wanted, found 3"),
        (write_table, latin, r"captions\.txt:2: not UTF-8"),
        (write_json, edit(JSON, '"restval"', '"rest"'), "not captions in this form"),
        (write_json, edit(JSON, '"images"', '"pictures"'), "not captions in this form"),
        (write_json, edit(JSON, "{", "{{"), "not JSON"),
        (write_json, edit(JSON, '"raw": "A dog', '"raw": "!"}, {"raw": "A dog'), "a caption without words"),
    ],
)
def test_wrong_files_are_refused_by_name(
    tmp_path: Path, write: Write, change: Callable[[Path], None], message: str
) -> None:
    folder = write(tmp_path / "flickr")
    change(folder)
    with pytest.raises(DataError, match=message) as error:
        captioned_images(folder, side=8)
    assert str(error.value).startswith(str(folder))


def test_a_picture_without_caption_and_a_damaged_one(tmp_path: Path) -> None:
    folder = write_json(tmp_path / "flickr")
    path = folder / "dataset_flickr8k.json"
    content = json.loads(path.read_text())
    content["images"][5]["sentences"] = []
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=f"picture {NAMES[5]} of the train part has no caption"):
        captioned_images(folder)
    folder = write_json(tmp_path / "other")
    (folder / "pictures" / NAMES[1]).write_bytes(b"no")
    with pytest.raises(DataError, match=f"{NAMES[1]}: not a readable picture"):
        captioned_images(folder, side=8)
    told: list[str] = []
    assert len(captioned_images(folder, told.append, side=8, on_bad="skip").test) == 5
    assert f"left out 1 images: {folder}/pictures/{NAMES[1]}: not a readable picture" in told[-1]
