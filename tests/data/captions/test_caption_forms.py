"""Captions in the forms that people have, of a few pictures."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from image_files import write_picture

from hardpp.data.captions.captioned import CaptionedImages, CaptionedPart
from hardpp.data.captions.folders import asked_parts, captioned_images
from hardpp.data.captions.found_captions import holds_captions
from hardpp.errors import DataError

NUMBERS = range(40)


def said(number: int) -> str:
    return f"A dog, number {number}."


def pictures(folder: Path, *below: str) -> None:
    for number in NUMBERS:
        write_picture(folder.joinpath(*below) / f"{number:06}.jpg", number, (9, 8))


def kaggle(folder: Path) -> None:
    pictures(folder, "Images")
    rows = "".join(f'{n:06}.jpg,"{said(n)}"\n' for n in NUMBERS)
    (folder / "my captions.csv").write_text(f"image,caption\n{rows}")


def flickr30k(folder: Path) -> None:
    pictures(folder, "flickr30k_images")
    rows = "".join(f"{n:06}.jpg| 0| A dog , number {n} .\n" for n in NUMBERS)
    (folder / "results.csv").write_text(f"image_name| comment_number| comment\n{rows}")


def flickr30k_tokens(folder: Path) -> None:
    pictures(folder, "flickr30k-images")
    (folder / "results_20130124.token").write_text("".join(f"{n:06}.jpg#0\t{said(n)}\n" for n in NUMBERS))


def flickr30k_on_kaggle(folder: Path) -> None:
    pictures(folder, "Images")
    rows = "".join(f'{n:06}.jpg,0,"A dog, number {n} ."\n' for n in NUMBERS)
    (folder / "captions.csv").write_text(f"image_name,comment_number,comment\n{rows}")


def plain_tsv(folder: Path) -> None:
    pictures(folder)
    (folder / "captions.tsv").write_text("".join(f"{n:06}.jpg\t{said(n)}\n" for n in NUMBERS))


def headless_csv(folder: Path) -> None:
    pictures(folder)
    (folder / "what they show").write_text("".join(f'{n:06}.jpg,"{said(n)}"\n' for n in NUMBERS))


def metadata(folder: Path) -> None:
    pictures(folder)
    rows = [{"file_name": f"{n:06}.jpg", "text": said(n)} for n in NUMBERS]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def list_of_objects(folder: Path) -> None:
    pictures(folder, "val2014")
    rows = [{"image": f"coco/val2014/{n:06}.jpg", "caption": [said(n)]} for n in NUMBERS]
    (folder / "coco_karpathy.json").write_text(json.dumps(rows))


def names_without_endings(folder: Path) -> None:
    pictures(folder)
    (folder / "captions.tsv").write_text("name\tcaption\n" + "".join(f"{n:06}\t{said(n)}\n" for n in NUMBERS))


def excel(folder: Path) -> None:
    kaggle(folder)
    path = folder / "my captions.csv"
    path.write_bytes(path.read_text().encode("utf-16"))


def numbers_of_pictures(folder: Path) -> None:
    pictures(folder)
    rows = "".join(f'{n:06},"{said(n)}"\n' for n in NUMBERS)
    (folder / "captions.csv").write_text(f"image_id,caption\n{rows}")


def text_caps(folder: Path) -> None:
    pictures(folder, "train_images")
    rows = [{"image_id": f"{n:06}", "caption_id": n, "caption_str": said(n)} for n in NUMBERS]
    (folder / "TextCaps_0.1_train.json").write_text(json.dumps({"dataset_type": "train", "data": rows}))


def by_name(folder: Path) -> None:
    pictures(folder)
    (folder / "captions.json").write_text(json.dumps({f"{n:06}.jpg": said(n) for n in NUMBERS}, indent=1))


def several_by_name(folder: Path) -> None:
    pictures(folder)
    (folder / "captions.json").write_text(json.dumps({f"{n:06}.jpg": [said(n), "A cat"] for n in NUMBERS}))


WITHOUT_PARTS = [
    *(kaggle, flickr30k, flickr30k_tokens, flickr30k_on_kaggle, plain_tsv, headless_csv, metadata),
    *(
        list_of_objects,
        names_without_endings,
        excel,
        numbers_of_pictures,
        text_caps,
        by_name,
        several_by_name,
    ),
]


def words(part: CaptionedPart) -> dict[int, str]:
    return {
        int(name.rpartition("/")[2].partition(".")[0]): " ".join(of_image[0].words)
        for name, of_image in zip(part.names, part.captions, strict=True)
    }


def check(found: CaptionedImages) -> None:
    for part in (found.train, found.dev, found.test):
        assert words(part) == {n: f"a dog number {n}" for n in words(part)}
        shown = part.images.read()[:, 0, 4, 4].tolist()
        assert all(abs(red - n) <= 4 for red, n in zip(shown, words(part), strict=True))


@pytest.mark.parametrize("write", WITHOUT_PARTS, ids=lambda write: write.__name__)
def test_forms_without_parts(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path)
    assert holds_captions(tmp_path)
    told: list[str] = []
    found = captioned_images(tmp_path, told.append, side=8)
    check(found)
    assert sorted(words(found.train) | words(found.dev) | words(found.test)) == list(NUMBERS)
    assert "keeping a tenth of the pictures for dev and a tenth for test" in told
    assert "captions are cut into words, in lower case without punctuation: 'A dog" in "\n".join(told)
    whole = asked_parts(tmp_path, side=8)
    assert list(whole) == ["all"]
    assert sorted(words(whole["all"])) == list(NUMBERS)


def test_commas_that_stand_in_no_quotes_are_told_so(tmp_path: Path) -> None:
    pictures(tmp_path)
    (tmp_path / "captions.csv").write_text("image,caption\n000001.jpg,a dog, running\n")
    with pytest.raises(DataError, match=r"csv:2: two columns are wanted, found 3; a caption with commas"):
        captioned_images(tmp_path, side=8)


def coco(folder: Path, *parts: str) -> None:
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    for part in parts:
        of_part = [n for n in NUMBERS if (n % 3 == 0) == (part == "val")]
        for n in of_part:
            write_picture(folder / f"{part}2017" / f"{n:012}.jpg", n, (9, 8))
        images = [{"id": 7 * n, "file_name": f"{n:012}.jpg"} for n in of_part]
        annotations = [{"image_id": 7 * n, "id": n, "caption": said(n)} for n in reversed(of_part)]
        content = {"info": {}, "images": images, "annotations": annotations}
        (folder / "annotations" / f"captions_{part}2017.json").write_text(json.dumps(content))
        boxes = {"images": images, "annotations": [{"image_id": 7, "bbox": [1, 2, 3, 4]}]}
        (folder / "annotations" / f"instances_{part}2017.json").write_text(json.dumps(boxes))


def test_coco_as_published(tmp_path: Path) -> None:
    coco(tmp_path, "train", "val")
    told: list[str] = []
    found = captioned_images(tmp_path, told.append, side=8)
    check(found)
    assert told[0] == "captions of captions_train2017.json, captions_val2017.json"
    assert "half of the pictures to validate on are kept for test" in told
    assert sorted(words(found.train)) == [n for n in NUMBERS if n % 3]
    assert sorted(words(found.dev) | words(found.test)) == [n for n in NUMBERS if n % 3 == 0]
    assert len(found.dev)
    assert len(found.test)


def test_one_of_coco_s_files_is_split_by_checksum(tmp_path: Path) -> None:
    coco(tmp_path, "val")
    check(captioned_images(tmp_path, side=8))
    assert list(asked_parts(tmp_path, side=8)) == ["all"]


def test_karpathy_s_coco(tmp_path: Path) -> None:
    pictures(tmp_path, "val2014")
    splits = ["train", "restval", "val", "test"]
    images = [
        {
            "filepath": "val2014",
            "filename": f"{n:06}.jpg",
            "split": splits[n % 4],
            "sentences": [{"tokens": ["a", "dog", "number", str(n)]}],
        }
        for n in NUMBERS
    ]
    (tmp_path / "dataset_coco.json").write_text(json.dumps({"images": images, "dataset": "coco"}))
    found = captioned_images(tmp_path, side=8)
    check(found)
    assert [len(found.train), len(found.dev), len(found.test)] == [20, 10, 10]
    assert list(asked_parts(tmp_path, side=8)) == ["train", "dev", "test"]


def test_a_file_for_each_part_and_lists_of_parts(tmp_path: Path) -> None:
    pictures(tmp_path / "a")
    for part, of_part in (("train", range(20)), ("val", range(20, 30)), ("test", range(30, 40))):
        (tmp_path / "a" / f"{part}.tsv").write_text("".join(f"{n:06}.jpg\t{said(n)}\n" for n in of_part))
    found = captioned_images(tmp_path / "a", side=8)
    assert [len(found.train), len(found.dev), len(found.test)] == [20, 10, 10]
    flickr30k_tokens(tmp_path / "b")
    for part, of_part in (("train", range(25)), ("test", range(30, 40))):
        (tmp_path / "b" / f"flickr30k_{part}.txt").write_text("".join(f"{n:06}.jpg\n" for n in of_part))
    found = captioned_images(tmp_path / "b", side=8)
    assert sorted(words(found.train) | words(found.dev)) == list(range(25))
    assert sorted(words(found.test)) == list(range(30, 40))


def test_two_files_of_no_part_are_refused_by_name(tmp_path: Path) -> None:
    kaggle(tmp_path)
    (tmp_path / "older captions.tsv").write_text("000001.jpg\ta dog\n")
    with pytest.raises(DataError, match=r"captions are in my captions\.csv and older captions\.tsv"):
        captioned_images(tmp_path)


def test_lines_that_cannot_be_used_are_named_or_left_out(tmp_path: Path) -> None:
    flickr30k(tmp_path)
    path = tmp_path / "results.csv"
    lines = path.read_text().split("\n")
    lines[5] = "000004.jpg| 0   A dog whose separator is lost ."  # as in the published file
    lines[7] = "000006.jpg| 0| ..."
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"results\.csv:6: three columns are wanted, found 2") as error:
        captioned_images(tmp_path, side=8)
    assert "--on-bad skip" in error.value.hint
    told: list[str] = []
    found = captioned_images(tmp_path, told.append, side=8, on_bad="skip")
    assert len(found.train) + len(found.dev) + len(found.test) == 38
    assert f"left out: {path}:6: three columns are wanted, found 2" in told
    assert f"left out 1 captions without words: {path}:8" in told


def test_pictures_that_cannot_be_used_are_named_or_left_out(tmp_path: Path) -> None:
    coco(tmp_path, "train", "val")
    (tmp_path / "train2017" / f"{1:012}.jpg").write_text("<html>")
    (tmp_path / "train2017" / f"{2:012}.jpg").unlink()
    with pytest.raises(DataError, match=r"picture 000000000002\.jpg of the train part is missing"):
        captioned_images(tmp_path, side=8)
    told: list[str] = []
    found = captioned_images(tmp_path, told.append, side=8, on_bad="skip")
    assert sorted(words(found.train)) == [n for n in NUMBERS if n % 3 and n > 2]
    assert any("left out 1 images" in line and "not a readable picture" in line for line in told)
    assert any(line.startswith("left out 1 pictures") for line in told)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("एक किताब मेज पर है।", "एक किताब मेज पर है"),
        ("两只狗在跑。", "两 只 狗 在 跑"),
        ("ฉันกินข้าว", "ฉั น กิ น ข้ า ว"),
        ("iPhoneを買った", "iphone を 買 っ た"),
        ("வணக்கம், உலகம்!", "வணக்கம் உலகம்"),
        ("한 사람이 달린다", "한 사람이 달린다"),
    ],
)
def test_captions_of_any_script_are_cut_and_said(tmp_path: Path, text: str, cut: str) -> None:
    pictures(tmp_path)
    rows = "".join(f"{n:06}.jpg\t{text}\n" for n in NUMBERS)
    (tmp_path / "captions.tsv").write_text(rows, encoding="utf-8")
    told: list[str] = []
    found = captioned_images(tmp_path, told.append, side=8)
    assert " ".join(found.train.captions[0][0].words) == cut
    (how,) = [line for line in told if line.startswith("captions are cut")]
    assert f"{text!r} is {cut.replace(' ', ' | ')}" in how
    assert ("characters where a script has no blanks" in how) == (len(cut.split()) > len(text.split()))


def test_json_of_captions_that_is_broken_is_told_as_such(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    said = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 1, "caption": "a cat"}]}
    (tmp_path / "captions.json").write_text(json.dumps(said)[:-1])
    assert holds_captions(tmp_path)
    with pytest.raises(DataError, match=r"captions\.json: not JSON"):
        captioned_images(tmp_path)


def test_a_table_with_a_line_break_of_macs_is_no_traceback(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    (tmp_path / "captions.txt").write_bytes(b'image,caption\ra.png,"a cat\n')
    with pytest.raises(DataError, match="captions"):
        captioned_images(tmp_path)
