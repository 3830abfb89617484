"""Which files below a folder hold captions, and which list the pictures of a part."""

from pathlib import Path

from hardpp.data.captions.caption_files import is_caption_file, read_text_lines
from hardpp.data.images.found_pictures import files_below
from hardpp.data.images.picture_files import ENDINGS
from hardpp.data.parts import PARTS, part_called
from hardpp.errors import DataError

_KNOWN = ("Flickr8k.token.txt", "dataset_flickr8k.json", "captions.txt")  # which of several counts
_LIST = "Flickr_8k.{}Images.txt"


def caption_files(folder: Path) -> dict[Path, str | None]:
    """The files of captions below a folder that count, with the part that each is for.

    Raises:
        DataError: there are several, and their names say no parts.
    """
    found = [path for path in files_below(folder) if path.suffix.lower() not in ENDINGS]
    for name in _KNOWN:
        if named := [path for path in found if path.name == name]:
            return {named[0]: None}
    found = [path for path in found if is_caption_file(path)]
    parts = [part_in_name(path) for path in found]
    if len(found) > 1 and (None in parts or len(set(parts)) < len(parts)):
        raise DataError(
            f"{folder}: captions are in {found[0].relative_to(folder)} and {found[1].relative_to(folder)}, "
            "whose names say no part of each",
            "leave one of them there, or call them train, val and test",
        )
    return dict(zip(found, parts if len(found) > 1 else [None] * len(found), strict=True))


def part_in_name(path: Path) -> str | None:
    """The part that the name of a file or its folder says: captions_train2014.json is for train."""
    for name in (path.stem, path.parent.name):
        words = name.replace("-", "_").replace(".", "_").split("_")
        said = {part for part in map(part_called, words) if part}
        if len(said) == 1:
            return said.pop()
    return None


def holds_captions(folder: Path) -> bool:
    """Whether a folder holds captions in one of the forms."""
    return folder.is_dir() and any(
        path.name in _KNOWN or is_caption_file(path)
        for path in files_below(folder)
        if path.suffix.lower() not in ENDINGS
    )


def listed_parts(folder: Path) -> dict[str, list[str]] | None:
    """The names of pictures by part, of files that list them; None without any."""
    texts = [path for path in files_below(folder) if path.suffix.lower() in (".txt", ".lst")]
    named = {part: [path for path in texts if path.name == _LIST.format(part)] for part in PARTS}
    if not any(named.values()):
        named = {part: [path for path in texts if part_in_name(path) == part] for part in PARTS}
        named = {part: [path for path in paths if _is_list(path)] for part, paths in named.items()}
        if not named["train"] or not named["test"]:
            return None
    elif missing := [part for part in PARTS if not named[part]]:
        raise DataError(f"{folder}: there is no {_LIST.format(missing[0])}")
    return {part: _names(paths[0]) for part, paths in named.items() if paths}


def _names(path: Path) -> list[str]:
    return [name for line in read_text_lines(path) if (name := line.strip())]


def _is_list(path: Path) -> bool:
    names = _names(path)
    return bool(names) and all(name.lower().endswith(ENDINGS) and "\t" not in name for name in names)
