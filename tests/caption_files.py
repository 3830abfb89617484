"""Small captioned pictures laid out as users and publishers hold them."""

import json
from collections.abc import Sequence
from pathlib import Path

from image_files import write_picture

from hardpp.data.captions import emoji

NAMES = tuple(f"{number}_{number:x}.jpg" for number in range(1000, 1060))
TONES = {"1F3FB": "light", "1F3FF": "dark"}
LOST = "2258277193_586949ec62.jpg.1"  # has captions in the published file, and no picture


def spoken(number: int, reference: int) -> str:
    """The sentence of a picture, as it stands in the files."""
    return f'A dog , number {number} , runs "fast" #{reference} .'


def write_pictures(folder: Path, names: Sequence[str] = NAMES) -> None:
    """Wide pictures, one a name, whose red is their place."""
    for place, name in enumerate(names):
        write_picture(folder / name, (4 * place, 0, 0), (16, 8 + place % 3))


def write_tokens(folder: Path, names: Sequence[str] = NAMES) -> Path:
    """The published form: 40 pictures for train, 8 for dev, 8 for test, 4 in no list."""
    write_pictures(folder / "Flickr8k_Dataset" / "Flicker8k_Dataset", names)
    texts = folder / "Flickr8k_text"
    texts.mkdir()
    lines = [
        f"{name}#{reference}\t{spoken(number, reference)}\n"
        for number, name in enumerate([*names, LOST])
        for reference in range(5)
    ]
    (texts / "Flickr8k.token.txt").write_text("".join(lines), encoding="utf-8")
    for part, some in (("train", names[:40]), ("dev", names[40:48]), ("test", names[48:56])):
        (texts / f"Flickr_8k.{part}Images.txt").write_text("".join(f"{name}\n" for name in some))
    return folder


def write_table(folder: Path, names: Sequence[str] = NAMES) -> Path:
    """Kaggle's form, with commas and quotes in the captions."""
    write_pictures(folder / "Images", names)
    rows = [
        f'{name},"A dog , it said ""{number}"" , runs ."\n' for number, name in enumerate(names) for _ in "ab"
    ]
    (folder / "captions.txt").write_text("image,caption\n" + "".join(rows), encoding="utf-8")
    return folder


def write_json(folder: Path, names: Sequence[str] = NAMES) -> Path:
    """Karpathy's form; one picture in ten is for val, one for test and one is restval."""
    write_pictures(folder / "pictures", names)
    splits = {0: "val", 1: "test", 2: "restval"}
    images = [
        {
            "filename": name,
            "split": splits.get(number % 10, "train"),
            "sentences": [{"raw": spoken(number, reference)} for reference in range(2)],
        }
        for number, name in enumerate(names)
    ]
    (folder / "dataset_flickr8k.json").write_text(json.dumps({"images": images}))
    return folder


def write_emoji(folder: Path, count: int = 80) -> Path:
    """Emoji with the first codes of a block; every third one comes in skin tones."""
    entries, names, derived = [], {}, {}
    for number in range(count):
        base = f"{0x1F400 + number:X}"
        codes = {base: f"animal {number}"}
        tinted = {f"{base}-{tone}": f"animal {number}: {name} skin" for tone, name in TONES.items()}
        codes |= tinted if number % 3 == 0 else {}
        listed = {
            code: {"unified": code, "image": f"{code.lower()}.png", "has_img_twitter": True} for code in codes
        }
        entry = dict(listed.pop(base))
        if number % 2:  # asks for a picture, which names do not
            entry["unified"] += "-FE0F"
        if listed:
            entry["skin_variations"] = {code.partition("-")[2]: one for code, one in listed.items()}
        entries.append(entry)
        for code, name in codes.items():
            sign = "".join(chr(int(one, 16)) for one in code.split("-"))
            (derived if "-" in code else names)[sign] = {"default": ["x"], "tts": [name]}
            path = folder / emoji.PICTURES / f"{code.lower()}.png"
            write_picture(path, (number, 2, 3, 255), (64, 64), "RGBA")
    (folder / emoji.LIST).write_text(json.dumps(entries))
    for (file, key), said in zip(emoji.NAMES.items(), (names, derived), strict=True):
        (folder / file).parent.mkdir(parents=True)
        (folder / file).write_text(json.dumps({key: {"identity": {}, "annotations": said}}))
    return folder
