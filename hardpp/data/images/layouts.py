"""Where the pictures of a folder lie, which class each is of, and for which part it is.

    FOLDER/train/CLASS/**/*.jpg, FOLDER/val/CLASS/..., FOLDER/test/CLASS/...
    FOLDER/train/CLASS/**/*.jpg, FOLDER/val/*.jpg with a list of labels (`hardpp.data.images.label_lists`)
    FOLDER/CLASS/**/*.jpg

Parts may be called otherwise (`hardpp.data.parts.part_called`), and all of it may lie in a folder of FOLDER.
Parts that are missing are shares of train (`hardpp.data.images.shares`). Pictures to test on that nobody has
labelled are passed over. Classes are the folders of train, sorted. What lies in no folder of a class is
passed over, and so are files that are no pictures (`hardpp.data.images.found_pictures`).
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from hardpp.data.images.found_pictures import files_below, is_noise, is_picture, report_passed_over
from hardpp.data.images.label_lists import find_list, labels_of
from hardpp.data.images.labelled import report_missing
from hardpp.data.images.shares import share_out
from hardpp.data.lines import OnBad, Report
from hardpp.data.parts import PARTS, part_called
from hardpp.errors import DataError

LAYOUTS = {
    "FOLDER/train/CLASS/*": "pictures, with val and test likewise; what is missing is a tenth of train",
    "FOLDER/val/*, FOLDER/val.txt": "pictures to validate on without folders, and lines FILE CLASS (or its "
    "number, from 0, among the sorted classes); or val_annotations.txt, LOC_val_solution.csv",
    "FOLDER/CLASS/*": "pictures, of which val and test are made",
}

_SHOWN = 5  # names in one message
_NO_CLASS = "images"  # the one folder of pictures of a list, in a part of Tiny ImageNet
_PARTS_HINT = "folders of parts are called train, dev and test; rename a class that is called so"


class LabelledPicture(NamedTuple):
    """A picture file, and the name of its class."""

    path: Path
    label: str


Parts = Mapping[str, Sequence[LabelledPicture]]


def find_pictures(
    folder: Path, report: Report = lambda text: None, on_bad: OnBad = "stop"
) -> dict[str, list[LabelledPicture]]:
    """Find the pictures of the parts train, dev and test; see `classes_of` for what is still to check.

    Args:
        folder: Laid out as above.
        report: Told what is passed over, left out or kept for a part.
        on_bad: "stop" at a line of a list that is wrong and at a picture that has no label, or "skip" them.
    """
    inside = innermost(folder, report)
    own = part_folders(inside)
    if own and "train" not in own:
        named = " and ".join(f"{part} ({path.name})" for part, path in own.items())
        raise DataError(f"{folder}: has a folder for {named}, and none for train", _PARTS_HINT)
    parts = find_parts(inside, own, report, on_bad)
    return with_shares(parts, folder, report)


def with_shares(
    parts: Mapping[str, list[LabelledPicture]], folder: Path, report: Report
) -> dict[str, list[LabelledPicture]]:
    """All three parts; those that are missing are shares of train, by paths below the folder."""
    missing = [part for part in PARTS if part not in parts]
    for part in missing:
        report(f"keeping a tenth of the images for {part}")

    def name_of(picture: LabelledPicture) -> str:
        return picture.path.relative_to(folder).as_posix()

    return {**parts, **share_out(parts["train"], missing, name_of, lambda picture: picture.label)}


def find_parts(
    folder: Path,
    own: Mapping[str, Path],
    report: Report,
    on_bad: OnBad = "stop",
    known: Sequence[str] = (),
) -> dict[str, list[LabelledPicture]]:
    """Find the pictures of the parts that a folder has itself; without any, all of its pictures are `train`.

    Args:
        folder: The innermost one.
        own: Its `part_folders`.
        report, on_bad: See `find_pictures`.
        known: The classes of a list of labels, sorted, where there is no train.
    """
    passed_over: list[Path] = []
    parts: dict[str, list[LabelledPicture]] = {}
    if "train" in own or not own:
        parts["train"] = _in_classes(own.get("train", folder), passed_over, empty_is_fault=True)
    for part in (part for part in own if part != "train"):
        aside: list[Path] = []
        parts[part] = _in_classes(own[part], aside)
        classes = sorted({picture.label for picture in parts.get("train", ())} or known)
        if {picture.label for picture in parts[part]} == {_NO_CLASS} and _NO_CLASS not in classes:
            aside, parts[part] = aside + [picture.path for picture in parts[part]], []
        if not parts[part] and (flat := [path for path in aside if is_picture(path)]):
            labels = find_list(folder, own[part])
            if labels is None and part == "test":
                report(f"{own[part]}: pictures passed over, as they have no labels: {len(flat)}")
                del parts[part]
                continue
            found = labels_of(flat, own[part], labels, classes, on_bad, report)
            parts[part] = [LabelledPicture(path, label) for path, label in found.items()]
            aside = sorted({*aside} - {*flat})
        passed_over += aside
    strays = [path for path in passed_over if is_picture(path)]
    if strays:
        report(
            f"pictures passed over, as they are in no folder of a class: {len(strays)}, such as {strays[0]}"
        )
    report_passed_over(sorted({*passed_over} - {*strays}), report)
    if own and (others := [path.name for path in subfolders(folder) if path not in own.values()]):
        names = ", ".join(others[:_SHOWN]) + (", ..." if len(others) > _SHOWN else "")
        report(f"folders passed over, as they are called by no part: {names}")
    return parts


def innermost(folder: Path, report: Report = lambda text: None) -> Path:
    """The folder itself, or the one below it that all folders of parts or classes lie in."""
    inside, below = folder, subfolders(folder)
    while len(below) == 1 and part_called(below[0].name) is None:
        inside, below = below[0], subfolders(below[0])
    if inside == folder or not below:
        return folder
    report(f"all lies in {inside}")
    return inside


def part_folders(folder: Path) -> dict[str, Path]:
    """The folders of parts, by part; none where those that are called so are classes.

    Classes may be called train or valid, too: such a folder has pictures and no folders of classes, and
    stands beside others that are no parts.

    Raises:
        DataError: two are called by one part.
    """
    own: dict[str, Path] = {}
    others: list[Path] = []
    for path in subfolders(folder):
        if (part := part_called(path.name)) is None:
            others.append(path)
        elif part in own:
            what = f"both {own[part].name} and {path.name} are there for {part}"
            raise DataError(f"{folder}: {what}", _PARTS_HINT)
        else:
            own[part] = path
    if len(own) == 1 and others and not any(subfolders(path) for path in own.values()):
        (part,) = own
        if part == "train" or len(others) == 1:
            return {}
    return {part: own[part] for part in PARTS if part in own}


def has_classes(folder: Path) -> bool:
    """Whether two folders at least have pictures where folders of classes lie, to train on or of no part."""
    inside = innermost(folder)
    named = {part_called(path.name): path for path in subfolders(inside)}
    classes = subfolders(named["train"]) if "train" in named else subfolders(inside)
    of_pictures = (path for path in classes if part_called(path.name) is None and _has_pictures(path))
    return len(list(islice(of_pictures, 2))) == 2


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, but those that systems leave behind."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not is_noise(path.name))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error


def classes_of(parts: Parts, folder: Path, report: Report = lambda text: None) -> tuple[str, ...]:
    """The classes of the pictures of all parts, sorted: those of train.

    Raises:
        DataError: there are fewer than two, a part has no picture, or a picture is of another class.
    """
    classes = tuple(sorted({picture.label for picture in parts["train"]}))
    if len(classes) < 2:
        raise DataError(
            f"{folder}: folders of two classes at least are wanted, found {', '.join(classes) or 'none'}",
            "lay images out as FOLDER/train/CLASS/*.png and FOLDER/test/CLASS/*.png, or FOLDER/CLASS/*.png",
        )
    for part in PARTS:
        if not parts[part]:
            raise DataError(
                f"{folder}: no image is for {part}", "more are needed, or folders train, dev and test"
            )
        check_classes(parts[part], classes, "train has no image")
        report_missing(part, (picture.label for picture in parts[part]), classes, report)
    return classes


def check_classes(pictures: Sequence[LabelledPicture], classes: Sequence[str], lack: str) -> None:
    """Refuse pictures of other classes, all of which are named; `lack` says whose classes these are."""
    foreign = dict.fromkeys(picture.label for picture in pictures if picture.label not in classes)
    if not foreign:
        return
    first, *more = foreign
    path = next(picture.path for picture in pictures if picture.label == first)
    others = f" (nor of {', '.join(map(repr, more))})" if more else ""
    near = [name for name in classes if name.casefold() == first.casefold()]
    hint = f"it has {near[0]!r}" if near else f"its classes are {', '.join(classes[:_SHOWN])}"
    hint += ", ..." if not near and len(classes) > _SHOWN else ""
    raise DataError(f"{path}: is of class {first!r}, of which {lack}{others}", hint)


def without(parts: Parts, bad: Collection[Path], folder: Path) -> Parts:
    """The parts without some pictures, which must not be all of a class to train on."""
    left = {part: [each for each in of_part if each.path not in bad] for part, of_part in parts.items()}
    if lost := {each.label for each in parts["train"]} - {each.label for each in left["train"]}:
        raise DataError(f"{folder}: every image to train on of class {min(lost)!r} was left out")
    return left


def _has_pictures(folder: Path) -> bool:
    return any(is_picture(path) for path in islice(folder.rglob("*"), 50) if path.is_file())


def _in_classes(
    folder: Path, passed_over: list[Path], *, empty_is_fault: bool = False
) -> list[LabelledPicture]:
    # Adds to `passed_over` the files that are no pictures of a class.
    classes = subfolders(folder)
    passed_over += sorted(path for path in folder.iterdir() if not (path in classes or is_noise(path.name)))
    pictures: list[LabelledPicture] = []
    for entry in classes:
        files = files_below(entry)
        of_class = [path for path in files if is_picture(path)]
        if not of_class and empty_is_fault:
            raise DataError(f"{entry}: a folder of a class without images")
        pictures += [LabelledPicture(path, entry.name) for path in of_class]
        passed_over += sorted({*files} - {*of_class})
    return pictures
