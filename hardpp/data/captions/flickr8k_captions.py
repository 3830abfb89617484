"""The three files in which the captions of Flickr8k are handed out.

Flickr8k.token.txt       NAME.jpg#0<TAB>A child in a pink dress .
captions.txt             image,caption      as CSV with a header (Kaggle)
dataset_flickr8k.json    {"images": [{"filename", "split", "sentences": [{"raw"}]}]}
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from hardpp.data.captions.captioned import words_of
from hardpp.data.lines import read_json, read_text
from hardpp.data.parts import PARTS
from hardpp.errors import DataError

_SPLITS = {"train": "train", "restval": "train", "val": "dev", "dev": "dev", "test": "test"}

CaptionsOf = dict[str, list[tuple[str, ...]]]  # picture -> its sentences


def read_text_lines(path: Path) -> list[str]:
    """Read the lines of a file."""
    # Not splitlines, which cuts at signs that stand inside captions.
    return read_text(path).replace("\r\n", "\n").split("\n")


def read_captions(path: Path, *, table: bool) -> CaptionsOf:
    """Read captions.txt, if it is the table, or Flickr8k.token.txt."""
    captions_of: CaptionsOf = {}
    for line, name, text in _table(path) if table else _tokens(path):
        if not (words := words_of(text)):
            raise DataError(f"{path}:{line}: a caption without words")
        captions_of.setdefault(name, []).append(words)
    return captions_of


def read_split_captions(path: Path) -> tuple[CaptionsOf, dict[str, list[str]]]:
    """Read dataset_flickr8k.json; returns the captions, and the pictures of each part."""
    captions_of: CaptionsOf = {}
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    try:
        for image in read_json(path)["images"]:
            name = image["filename"]
            captions_of[name] = [words_of(sentence["raw"]) for sentence in image["sentences"]]
            parts[_SPLITS[image["split"]]].append(name)
            if not all(captions_of[name]):
                raise DataError(f"{path}: picture {name} has a caption without words")
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not captions in this form ({error!r})") from error
    return captions_of, parts


# These two yield line, picture and caption.
def _tokens(path: Path) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(read_text_lines(path), start=1):
        if not line.strip():
            continue
        key, tab, text = line.partition("\t")
        name, mark, _ = key.rpartition("#")
        if not (tab and mark and name):
            raise DataError(f"{path}:{number}: NAME.jpg#NUMBER, a tab and a caption are wanted")
        yield number, name, text


def _table(path: Path) -> Iterator[tuple[int, str, str]]:
    reader = csv.reader(io.StringIO("\n".join(read_text_lines(path))), strict=True)
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
