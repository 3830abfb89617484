"""3,786 pictures of 64 x 64 pixels with their English names: "woman farmer medium dark skin tone".

    FOLDER/emoji-datasource-twitter/emoji.json             [{"unified", "image", "skin_variations"}, ...]
    FOLDER/emoji-datasource-twitter/img/twitter/64/*.png
    FOLDER/cldr-annotations-full/annotations/en/annotations.json                 characters -> names
    FOLDER/cldr-annotations-derived-full/annotationsDerived/en/annotations.json  the same, of sequences

Parts are made by checksum of the emoji without its skin tone, so that the same picture in two colours is in
one part. What is transparent becomes white. Nobody has said which part of a picture a word speaks of.

Source: Twemoji as packed by Cal Henderson (npm `emoji-datasource-twitter`), CC-BY 4.0; names of the Unicode
Common Locale Data Repository.
"""

from pathlib import Path
from typing import Any

from hardpp.data.captions.captioned import Caption, CaptionedImages, captioned_parts, words_of
from hardpp.data.images.picture_files import PictureFiles
from hardpp.data.lines import read_json
from hardpp.data.parts import PARTS, part_of
from hardpp.errors import DataError

LIST = "emoji-datasource-twitter/emoji.json"
PICTURES = "emoji-datasource-twitter/img/twitter/64"
NAMES = {
    "cldr-annotations-full/annotations/en/annotations.json": "annotations",
    "cldr-annotations-derived-full/annotationsDerived/en/annotations.json": "annotationsDerived",
}

_SIDE = 64
_VARIANT = "\ufe0f"  # asks for a picture instead of a sign; names are listed without it


def captioned_images(folder: Path | str, name: str = "emoji-captions") -> CaptionedImages:
    """Read the names from the fetched folder; pictures are read when they are asked for."""
    folder = Path(folder)
    name_of = _names(folder)
    parts: dict[str, list[tuple[Path, Caption]]] = {part: [] for part in PARTS}
    for base, code, image in _listed(folder / LIST):
        text = name_of.get("".join(chr(int(number, 16)) for number in code.split("-")).replace(_VARIANT, ""))
        path = folder / PICTURES / image
        words = words_of(text or "")
        if not words:
            raise DataError(f"{folder / LIST}: emoji {code} has no name")
        if not path.is_file():
            raise DataError(f"{folder / LIST}: emoji {code} has no picture {path.name}")
        parts[part_of(base)].append((path, Caption(words)))
    paths = [path for part in PARTS for path, _ in parts[part]]
    if not all(parts.values()):
        raise DataError(f"{folder / LIST}: {len(paths)} emoji are too few for train, dev and test")
    examples = {
        part: [(path.stem, (caption,)) for path, caption in pictures] for part, pictures in parts.items()
    }
    return captioned_parts(name, PictureFiles(paths, folder, side=_SIDE), examples)


def _listed(path: Path) -> list[tuple[str, str, str]]:
    # Code without skin tone, code, and file of every picture.
    pictures = []
    for entry in _read(path, list):
        try:
            base = entry["unified"]
            for emoji in [entry, *entry.get("skin_variations", {}).values()]:
                if emoji["has_img_twitter"]:
                    code = emoji["unified"]
                    [int(number, 16) for number in code.split("-")]
                    pictures.append((base, code, emoji["image"]))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise DataError(f"{path}: {entry!r:.80} is not an emoji ({error!r})") from error
    return pictures


def _names(folder: Path) -> dict[str, str]:
    name_of: dict[str, str] = {}
    for file, key in NAMES.items():
        try:
            entries = _read(folder / file, dict)[key]["annotations"]
            name_of |= {sign: entry["tts"][0] for sign, entry in entries.items() if "tts" in entry}
        except (TypeError, KeyError, IndexError, AttributeError) as error:
            raise DataError(f"{folder / file}: not the names of emoji ({error!r})") from error
    return name_of


def _read(path: Path, kind: type) -> Any:
    content = read_json(path)
    if not isinstance(content, kind):
        raise DataError(f"{path}: a {kind.__name__} is wanted")
    return content
