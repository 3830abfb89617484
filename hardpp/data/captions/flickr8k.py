"""Flickr8k as its users hold it, in any of its three forms, and other pictures laid out like it.

    Flickr8k.token.txt                       NAME.jpg#0<TAB>A child in a pink dress .
    Flickr_8k.{train,dev,test}Images.txt     NAME.jpg, one a line
    captions.txt                             image,caption      as CSV with a header (Kaggle)
    dataset_flickr8k.json                    {"images": [{"filename", "split", "sentences": [{"raw"}]}]}

and the pictures, all of them below one folder, in whatever folders of it: NAME is that of the file, with as
many of the folders before it as tell it from others. Parts are those of the three lists or of the JSON file;
captions without either are split by checksum of NAME, a tenth for test and a tenth for dev. Pictures that no
part names are passed over, and so are captions of pictures that do not exist (2258277193_586949ec62.jpg.1 has
five); a part that names such a picture is an error.

Pictures differ in size: the shorter side is brought to a number of pixels, and the square in the middle kept.

Source: Hodosh, Young and Hockenmaier (2013), Framing Image Description as a Ranking Task.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from hardpp.data.captions.captioned import Caption, CaptionedImages, CaptionedPart, Some, words_of
from hardpp.data.images.picture_files import ENDINGS, PictureFiles
from hardpp.data.parts import PARTS, bucket
from hardpp.errors import DataError

SIDE = 224

_TOKENS, _TABLE, _JSON = "Flickr8k.token.txt", "captions.txt", "dataset_flickr8k.json"
_LIST = "Flickr_8k.{}Images.txt"
_SPLITS = {"train": "train", "restval": "train", "val": "dev", "dev": "dev", "test": "test"}
_TENTH = 2  # of the 20 buckets

_Said = dict[str, list[tuple[str, ...]]]  # picture -> its sentences


def is_flickr8k(folder: Path) -> bool:
    """Whether a folder holds captions in one of the three forms."""
    return folder.is_dir() and any(_find(folder, name) for name in (_TOKENS, _JSON, _TABLE))


def captioned(
    folder: Path | str, report: Callable[[str], None] = lambda text: None, *, side: int = SIDE
) -> CaptionedImages:
    """Reads the captions and finds the pictures, which are read when they are asked for.

    Args:
        folder: Laid out as above.
        report: Told in a few words what is going on.
        side: Pixels a side of what is made of a picture.

    Raises:
        DataError: A file is missing or not as described, or a picture of a part has no file, several or no
            caption; the message names the file and line.
    """
    folder = Path(folder)
    path = next((list_path for name in (_TOKENS, _JSON, _TABLE) if (list_path := _find(folder, name))), None)
    if path is None:
        raise DataError(f"{folder}: there is no {_TOKENS}, {_JSON} or {_TABLE}")
    pictures = _Pictures(folder)
    if path.name == _JSON:
        captions_of, parts = _from_json(path)
    else:
        captions_of = _from_tokens(path) if path.name == _TOKENS else _from_table(path)
        parts = _lists(folder) or _by_checksum(_there(captions_of, pictures, path), report)
    paths: list[Path] = []
    for part in PARTS:
        if not parts[part]:
            raise DataError(f"{path}: no picture is for {part}")
        for name in parts[part]:
            if (file := pictures.find(name)) is None:
                raise DataError(f"{folder}: picture {name} of the {part} part is missing")
            if not captions_of.get(name):
                raise DataError(f"{path}: picture {name} of the {part} part has no caption")
            paths.append(file)
    names = [name for part in PARTS for name in parts[part]]
    if len(set(paths)) < len(paths):
        twice = next(name for place, name in enumerate(names) if paths[place] in paths[:place])
        raise DataError(f"{folder}: picture {twice} is in the parts twice")
    if unused := len(captions_of.keys() - set(names)):
        report(f"passing over {unused} pictures that are missing or in no part")
    files = PictureFiles(paths, folder, side=side)
    by_part, start = {}, 0
    for part in PARTS:
        of_part = parts[part]
        captions = [tuple(Caption(words) for words in captions_of[name]) for name in of_part]
        by_part[part] = CaptionedPart(of_part, Some(files, range(start, start + len(of_part))), captions)
        start += len(of_part)
    return CaptionedImages(folder.resolve().name, **by_part)


def _find(folder: Path, name: str) -> Path | None:
    return min(folder.rglob(name), default=None)


class _Pictures:
    """Files of pictures below a folder, by the ends of their paths."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._named: dict[str, list[Path]] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in ENDINGS and not path.name.startswith("."):
                self._named.setdefault(path.name, []).append(path)

    def find(self, name: str) -> Path | None:
        """The file of that name, or of that path below the folder or any folder of it; None if there is none.

        Raises:
            DataError: there are several.
        """
        ending = PurePosixPath(name).parts
        paths = [
            path
            for path in self._named.get(ending[-1] if ending else "", [])
            if path.relative_to(self._folder).parts[-len(ending) :] == ending
        ]
        if (exact := self._folder.joinpath(*ending)) in paths:
            return exact
        if len(paths) > 1:
            raise DataError(
                f"{paths[0]} and {paths[1]} are both meant by {name}",
                "write the folder before the name, too",
            )
        return paths[0] if paths else None


def _there(said: _Said, pictures: _Pictures, path: Path) -> list[str]:
    there = [name for name in said if pictures.find(name) is not None]
    if said and not there:
        raise DataError(f"{path}: no picture that has a caption is there, such as {next(iter(said))}")
    return there


def _lines(path: Path) -> list[str]:
    try:
        # Not splitlines, which cuts at signs that stand inside captions.
        return path.read_text(encoding="utf-8-sig").replace("\r\n", "\n").split("\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error})") from error


def _gathered(rows: Iterator[tuple[int, str, str]], path: Path) -> _Said:
    captions_of: _Said = {}
    for line, name, text in rows:
        if not (words := words_of(text)):
            raise DataError(f"{path}:{line}: a caption without words")
        captions_of.setdefault(name, []).append(words)
    return captions_of


def _from_tokens(path: Path) -> _Said:
    def rows() -> Iterator[tuple[int, str, str]]:
        for number, line in enumerate(_lines(path), start=1):
            if not line.strip():
                continue
            key, tab, text = line.partition("\t")
            name, mark, _ = key.rpartition("#")
            if not (tab and mark and name):
                raise DataError(f"{path}:{number}: NAME.jpg#NUMBER, a tab and a caption are wanted")
            yield number, name, text

    return _gathered(rows(), path)


def _from_table(path: Path) -> _Said:
    def rows() -> Iterator[tuple[int, str, str]]:
        reader = csv.reader(io.StringIO("\n".join(_lines(path))), strict=True)
        try:
            for row in reader:
                if reader.line_num == 1:
                    if row != ["image", "caption"]:
                        raise DataError(f"{path}:1: the header image,caption is wanted")
                elif len(row) == 2:
                    yield reader.line_num, row[0], row[1]
                elif row:
                    raise DataError(f"{path}:{reader.line_num}: two columns are wanted, found {len(row)}")
        except csv.Error as error:
            raise DataError(f"{path}:{reader.line_num}: not CSV ({error})") from error

    return _gathered(rows(), path)


def _from_json(path: Path) -> tuple[_Said, dict[str, list[str]]]:
    captions_of: _Said = {}
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    try:
        for image in json.loads("\n".join(_lines(path)))["images"]:
            name = image["filename"]
            captions_of[name] = [words_of(sentence["raw"]) for sentence in image["sentences"]]
            parts[_SPLITS[image["split"]]].append(name)
            if not all(captions_of[name]):
                raise DataError(f"{path}: picture {name} has a caption without words")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not captions in this form ({error!r})") from error
    return captions_of, parts


def _lists(folder: Path) -> dict[str, list[str]] | None:
    paths = {part: _find(folder, _LIST.format(part)) for part in PARTS}
    missing = [part for part in PARTS if paths[part] is None]
    if len(missing) == len(PARTS):
        return None
    if missing:
        raise DataError(f"{folder}: there is no {_LIST.format(missing[0])}")
    return {
        part: [name for line in _lines(path) if (name := line.strip())]
        for part, path in paths.items()
        if path is not None
    }


def _by_checksum(names: Sequence[str], report: Callable[[str], None]) -> dict[str, list[str]]:
    report("keeping a tenth of the pictures for dev and a tenth for test")
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for name in names:
        number = bucket(name)
        parts["test" if number < _TENTH else "dev" if number < 2 * _TENTH else "train"].append(name)
    return parts
