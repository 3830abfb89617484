"""Flickr8k as its users hold it, and other pictures laid out like it.

    Flickr8k.token.txt, captions.txt or dataset_flickr8k.json    see `hardpp.data.captions.flickr8k_captions`
    Flickr_8k.{train,dev,test}Images.txt                         NAME.jpg, one a line

and the pictures, all of them below one folder, in whatever folders of it: NAME is that of the file, with as
many of the folders before it as tell it from others. Parts are those of the three lists or of the JSON file;
captions without either are split by checksum of NAME, a tenth for test and a tenth for dev. Pictures that no
part names are passed over, and so are captions of pictures that do not exist (2258277193_586949ec62.jpg.1 has
five); a part that names such a picture is an error.

Pictures differ in size: the shorter side is brought to a number of pixels, and the square in the middle kept.

Source: Hodosh, Young and Hockenmaier (2013), Framing Image Description as a Ranking Task.
"""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from hardpp.data.captions.captioned import Caption, CaptionedImages, captioned_parts
from hardpp.data.captions.flickr8k_captions import read_captions, read_split_captions, read_text_lines
from hardpp.data.images.picture_files import ENDINGS, PictureFiles
from hardpp.data.lines import Report
from hardpp.data.parts import PARTS, bucket, split
from hardpp.errors import DataError

SIDE = 224

_TOKENS, _TABLE, _JSON = "Flickr8k.token.txt", "captions.txt", "dataset_flickr8k.json"
_LIST = "Flickr_8k.{}Images.txt"
_TENTH = 2  # of the 20 buckets


def is_flickr8k(folder: Path) -> bool:
    """Whether a folder holds captions in one of the three forms."""
    return folder.is_dir() and any(_find(folder, name) for name in (_TOKENS, _JSON, _TABLE))


def captioned_images(
    folder: Path | str, report: Report = lambda text: None, *, side: int = SIDE
) -> CaptionedImages:
    """Read the captions and find the pictures, which are read when they are asked for.

    Every picture of a part needs one file and a caption; `side` is its pixels a side once it is read.
    """
    folder = Path(folder)
    path = next(filter(None, (_find(folder, name) for name in (_TOKENS, _JSON, _TABLE))), None)
    if path is None:
        raise DataError(f"{folder}: there is no {_TOKENS}, {_JSON} or {_TABLE}")
    pictures = _Pictures(folder)
    if path.name == _JSON:
        captions_of, parts = read_split_captions(path)
    else:
        captions_of = read_captions(path, table=path.name == _TABLE)
        parts = _lists(folder) or _by_checksum(_with_pictures(captions_of, pictures, path), report)
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
    examples = {
        part: [(name, tuple(Caption(words) for words in captions_of[name])) for name in parts[part]]
        for part in PARTS
    }
    return captioned_parts(folder.resolve().name, PictureFiles(paths, folder, side=side), examples)


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
        """Find the one file of a name, or of a path below the folder or any folder of it."""
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


def _with_pictures(names: Iterable[str], pictures: _Pictures, path: Path) -> list[str]:
    present = [name for name in names if pictures.find(name) is not None]
    if not present and (first := next(iter(names), None)) is not None:
        raise DataError(f"{path}: no picture that has a caption is there, such as {first}")
    return present


def _lists(folder: Path) -> dict[str, list[str]] | None:
    paths = {part: _find(folder, _LIST.format(part)) for part in PARTS}
    missing = [part for part in PARTS if paths[part] is None]
    if len(missing) == len(PARTS):
        return None
    if missing:
        raise DataError(f"{folder}: there is no {_LIST.format(missing[0])}")
    return {
        part: [name for line in read_text_lines(path) if (name := line.strip())]
        for part, path in paths.items()
        if path is not None
    }


def _by_checksum(names: Iterable[str], report: Report) -> dict[str, list[str]]:
    report("keeping a tenth of the pictures for dev and a tenth for test")
    part_of_tenth = {0: "test", 1: "dev"}
    return split(names, lambda name: part_of_tenth.get(bucket(name) // _TENTH, "train"))
