"""Pictures that a trained run is asked about, made like those that it was trained on.

A folder has its own parts, or none: then all of its pictures are one part, `ALL`. Its classes are those that
the run knows, or some of them. Pictures without classes come one by one, as files, a folder or a list of
paths.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hardpp.data.images.folders import Pictures
from hardpp.data.images.found_pictures import begins_as_picture, files_below, is_picture, report_passed_over
from hardpp.data.images.idx import is_idx_folder
from hardpp.data.images.labelled import ImagePart
from hardpp.data.images.layouts import (
    LabelledPicture,
    check_classes,
    find_parts,
    innermost,
    part_folders,
    with_shares,
)
from hardpp.data.images.picture_files import ENDINGS, PictureFiles
from hardpp.data.images.resized_pictures import ResizedPictures, files_at
from hardpp.data.images.rgb_files import AS_THEY_ARE, known_pictures, look_at
from hardpp.data.images.rgb_pictures import KnownPicture
from hardpp.data.lines import BadLine, OnBad, Report, decode_line, read_lines, report_bad
from hardpp.data.named_files import is_file
from hardpp.data.parts import ALL
from hardpp.errors import DataError

UNKNOWN = -1  # the label of a picture of which no class is known

_LIST_HINT = "a path a line is wanted; --on-bad skip leaves such lines out"
_IDX_HINT = "IDX files are taken by --data"
_HINT = "hardpp decode RUN --input FOLDER says labels of pictures without classes"


class Wanted(NamedTuple):
    """What images of a run are like."""

    size: tuple[int, int, int]  # C, H, W
    side: int | None  # at which pictures of any size are read; None for images of one size
    classes: Sequence[str]
    on_bad: OnBad = "stop"


class AskedPicture(NamedTuple):
    """A picture file without a class, and what the user calls it."""

    name: str
    picture: KnownPicture


def are_asked(items: Any) -> bool:
    """Whether these are some `AskedPicture`."""
    return isinstance(items, list) and bool(items) and all(isinstance(each, AskedPicture) for each in items)


def labelled_parts(folder: Path, wanted: Wanted, report: Report = lambda text: None) -> dict[str, ImagePart]:
    """The parts of a folder of classes, one at least; `ALL` where it has no folders of parts.

    Raises:
        DataError: no picture lies in a folder of a class, or one is of a class that is not wanted, is broken,
            or has another size.
    """
    inside = innermost(folder, report)
    own = part_folders(inside)
    found = find_parts(inside, own, report, wanted.on_bad, wanted.classes)
    parts = {ALL: found["train"]} if not own else found
    if "train" in parts:
        parts = with_shares(parts, folder, report)
    listed = [picture for of_part in parts.values() for picture in of_part]
    if not listed:
        raise DataError(f"{folder}: no picture lies in a folder of a class", _HINT)
    check_classes(listed, wanted.classes, "the run has learnt nothing")
    known = known_pictures([picture.path for picture in listed], on_bad=wanted.on_bad, report=report)
    numbers = {label: number for number, label in enumerate(wanted.classes)}
    left = [(each, picture) for each, picture in zip(known, listed, strict=True) if each is not None]
    if not left:
        raise DataError(f"{folder}: every picture was left out")
    labels = torch.tensor([numbers[picture.label] for _, picture in left])
    paths = {each.path: place for place, (each, _) in enumerate(left)}
    made = _maker([each for each, _ in left], folder, wanted)
    places = {part: _places(of_part, paths) for part, of_part in parts.items()}
    return {part: made(of_part, labels[of_part]) for part, of_part in places.items()}


def unlabelled_part(pictures: Sequence[AskedPicture], wanted: Wanted) -> ImagePart:
    """Pictures as images of one part, all of label `UNKNOWN`."""
    made = _maker([each.picture for each in pictures], None, wanted)
    return made(torch.arange(len(pictures)), torch.full((len(pictures),), UNKNOWN))


def asked_pictures(
    path: Path, on_bad: OnBad = "stop", report: Report = lambda text: None
) -> list[AskedPicture | None]:
    """The pictures that a user names by a path: a picture, a folder of them, or a list of paths, one a line.

    A list's paths begin where one works or where the list lies, and a TAB and what follows it, such as a
    label, may stand behind them. None stands for a blank line of a list, and for a picture that is left out.
    """
    if path.is_dir():
        files = files_below(path)
        pictures = [file for file in files if is_picture(file)]
        report_passed_over(sorted({*files} - {*pictures}), report)
        if not pictures:
            raise DataError(f"{path}: there is no picture in it", _IDX_HINT if is_idx_folder(path) else "")
        return _known({file.relative_to(path).as_posix(): file for file in pictures}, on_bad, report)
    if path.suffix.lower() in ENDINGS or (path.is_file() and begins_as_picture(path)):
        return _known({path.name: path}, on_bad, report)
    return _listed(path, on_bad, report)


def named_pictures(
    names: Sequence[str], on_bad: OnBad = "stop", report: Report = lambda text: None
) -> list[AskedPicture | None]:
    """Pictures by their paths, as the shell takes them; None for a blank one and for one that is left out."""
    paths = {name: Path(name.strip()) for name in names if name.strip()}
    known = dict(zip(paths, _known(paths, on_bad, report), strict=True))
    return [known.get(name) for name in names]


# The pictures of the lines of a file; what is wrong with one is told with its number.
def _listed(path: Path, on_bad: OnBad, report: Report) -> list[AskedPicture | None]:
    def found(number: int, line: bytes) -> tuple[str, Path] | None:
        if not line.strip():
            return None
        whole = decode_line(line).strip()
        for name in (whole, whole.partition("\t")[0].strip()):
            for picture in (Path(name), path.parent / name):
                if is_file(picture):
                    return name, picture
        raise ValueError(f"{whole}: there is no such picture")

    bad: list[BadLine] = []
    lines: dict[int, tuple[str, Path] | None] = {}
    for number, line in enumerate(read_lines(path, "a path a line"), start=1):
        try:
            lines[number] = found(number, line)
        except ValueError as error:
            lines[number] = None
            bad.append(BadLine(path, number, str(error)))
    report_bad(bad, on_bad, report, _LIST_HINT)
    named = {picture: number for number, line in reversed(lines.items()) if line for picture in line[1:]}
    try:
        known = dict(zip(named, look_at(list(named), AS_THEY_ARE, on_bad, report), strict=True))
    except DataError as error:
        at = next((number for picture, number in named.items() if str(error).startswith(f"{picture}: ")), 0)
        raise DataError(f"{path}:{at}: {error}" if at else str(error), error.hint) from error
    asked: list[AskedPicture | None] = []
    for each in lines.values():
        picture = None if each is None else known[each[1]]
        asked.append(AskedPicture(each[0], picture) if each and picture else None)
    return asked


def _known(paths: dict[str, Path], on_bad: OnBad, report: Report) -> list[AskedPicture | None]:
    known = look_at(list(paths.values()), AS_THEY_ARE, on_bad, report)
    return [each and AskedPicture(name, each) for name, each in zip(paths, known, strict=True)]


def _places(pictures: Sequence[LabelledPicture], places: dict[Path, int]) -> Tensor:
    return torch.tensor([places[each.path] for each in pictures if each.path in places], dtype=torch.int64)


# What makes a part of places and labels.
def _maker(
    known: Sequence[KnownPicture], folder: Path | None, wanted: Wanted
) -> Callable[[Tensor, Tensor], ImagePart]:
    if wanted.side is not None:
        return partial(ResizedPictures, files_at(known, folder, wanted.side), side=wanted.side)
    return partial(Pictures, files_like(known, wanted.size, folder))


def files_like(
    known: Sequence[KnownPicture],
    size: tuple[int, int, int],
    folder: Path | None = None,
    side: int | None = None,
) -> PictureFiles:
    """Pictures of the size (C, H, W) that a run's images have, or made so by a side of theirs.

    Raises:
        DataError: without a side, one has another height or width.
    """
    channels, height, width = size
    if side is not None:
        return PictureFiles([each.path for each in known], folder, side, channels)
    for each in known:
        if each.shape != (width, height):
            raise DataError(
                f"{each.path}: has {each.shape.width} x {each.shape.height} pixels, and the run was trained "
                f"on images of {width} x {height}",
                "a run that was trained with data.side takes pictures of any size",
            )
    return PictureFiles(known, folder, channels=channels)
