"""Where the pictures of a folder lie, which class each is of, and for which part it is.

    FOLDER/train/CLASS/**/*.jpg, FOLDER/val/CLASS/..., FOLDER/test/CLASS/...
    FOLDER/train/CLASS/**/*.jpg, FOLDER/val/*.jpg with a list of labels (`hardpp.data.images.label_lists`)
    FOLDER/CLASS/**/*.jpg

val may be called dev, valid or validation. Where there are no parts, a tenth of the pictures is for test and
a tenth for dev, by checksum of their paths; where only one of them is missing it is a tenth of train.
Pictures to test on that nobody has labelled are passed over. Classes are the folders of train, sorted. Files
that are not called like pictures are passed over, hidden ones too, and what lies in no folder of a class.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hardpp.data.images.label_lists import find_list, labels_of
from hardpp.data.images.picture_files import ENDINGS
from hardpp.data.lines import OnBad, Report
from hardpp.data.parts import PARTS, bucket
from hardpp.errors import DataError

LAYOUTS = {
    "FOLDER/train/CLASS/*": "pictures, with val and test likewise; what is missing is a tenth of train",
    "FOLDER/val/*, FOLDER/val.txt": "pictures to validate on without folders, and lines FILE CLASS (or its "
    "number, from 0, among the sorted classes); or LOC_val_solution.csv",
    "FOLDER/CLASS/*": "pictures, of which val and test are made",
}

_NAMES = {
    "train": ("train", "training"),
    "dev": ("dev", "val", "valid", "validation"),
    "test": ("test", "testing"),
}
_TENTH = 2  # of the 20 buckets
_SHOWN = 5  # names in one message


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
    own: dict[str, Path] = {}
    for part, names in _NAMES.items():
        folders = [folder / name for name in names if (folder / name).is_dir()]
        if len(folders) > 1:
            raise DataError(f"{folder}: both {folders[0].name} and {folders[1].name} are there for {part}")
        if folders:
            own[part] = folders[0]
    if own and "train" not in own:
        raise DataError(f"{folder}: has a folder for {' and '.join(own)}, and none for train")
    passed_over: list[Path] = []
    parts = {"train": _in_classes(own.get("train", folder), passed_over, empty_is_fault=True)}
    for part in (part for part in own if part != "train"):
        aside: list[Path] = []
        parts[part] = _in_classes(own[part], aside)
        if not parts[part] and (flat := [path for path in aside if _is_picture(path, own[part])]):
            labels = find_list(folder, own[part])
            if labels is None and part == "test":
                report(f"{own[part]}: passing over {len(flat)} pictures that have no labels")
                del parts[part]
                continue
            classes = sorted({picture.label for picture in parts["train"]})
            found = labels_of(flat, own[part], labels, classes, on_bad, report)
            parts[part] = [LabelledPicture(path, label) for path, label in found.items()]
            aside = sorted({*aside} - {*flat})
        passed_over += aside
    if passed_over:
        report(
            f"files passed over, as they are hidden, not called like pictures or in no folder of a class: "
            f"{len(passed_over)}, such as {passed_over[0]}"
        )
    return _split(parts, folder, report)


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
        for picture in parts[part]:
            if picture.label not in classes:
                raise DataError(f"{picture.path}: is of class {picture.label!r}, of which train has no image")
        if missing := sorted(set(classes) - {picture.label for picture in parts[part]}):
            names = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
            report(f"{part} has no image of {len(missing)} of the {len(classes)} classes: {names}")
    return classes


def _split(
    parts: dict[str, list[LabelledPicture]], folder: Path, report: Report
) -> dict[str, list[LabelledPicture]]:
    missing = [part for part in PARTS if part not in parts]
    buckets = [bucket(picture.path.relative_to(folder).as_posix()) for picture in parts["train"]]
    numbered = list(zip(buckets, parts["train"], strict=True))
    for turn, part in enumerate(missing):
        report(f"keeping a tenth of the images for {part}")
        low = turn * _TENTH
        parts[part] = [picture for number, picture in numbered if low <= number < low + _TENTH]
    parts["train"] = [picture for number, picture in numbered if number >= len(missing) * _TENTH]
    return parts


def _in_classes(
    folder: Path, passed_over: list[Path], *, empty_is_fault: bool = False
) -> list[LabelledPicture]:
    # Adds to `passed_over` the files that are no pictures of a class.
    pictures: list[LabelledPicture] = []
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error
    for entry in entries:
        if not entry.is_dir() or entry.name.startswith("."):
            passed_over.append(entry)
            continue
        files = sorted(path for path in entry.rglob("*") if path.is_symlink() or not path.is_dir())
        of_class = [path for path in files if _is_picture(path, folder)]
        if not of_class and empty_is_fault:
            raise DataError(f"{entry}: a folder of a class without images")
        pictures += [LabelledPicture(path, entry.name) for path in of_class]
        passed_over += sorted({*files} - {*of_class})
    return pictures


def _is_picture(path: Path, folder: Path) -> bool:
    names = path.relative_to(folder).parts
    return path.suffix.lower() in ENDINGS and not any(name.startswith(".") for name in names)
