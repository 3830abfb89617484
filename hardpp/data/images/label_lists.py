"""Lists of the classes of pictures that lie in one folder, as those to validate on of ImageNet do.

    val.txt                 FILE LABEL, a line a picture, with a tab or the first blank between them
    val_annotations.txt     the same, and after another tab whatever there is (Tiny ImageNet)
    LOC_val_solution.csv    ImageId,PredictionString, in which the first word is the class

for a folder that is called val, beside that folder or in it. A file is named with its ending or without, and
a label is the name of a class or its number, from 0, among the sorted names. ILSVRC's own numbers, from 1 to
1000, are in another order, and no list by them is read.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hardpp.data.lines import OnBad, Report, parse_lines
from hardpp.errors import DataError

_EXPECTED = "lines FILE LABEL"
_HINT = f"{_EXPECTED} are wanted, or ImageId,PredictionString in a CSV file"
_NUMBERS = "numbers go from 0, in the order of the sorted names; ILSVRC's own, from 1 to 1000, do not"


def find_list(folder: Path, pictures: Path) -> Path | None:
    """The list for a folder of pictures: beside it in `folder`, or in it; None if there is none."""
    names = (f"{pictures.name}.txt", f"{pictures.name}_annotations.txt", f"LOC_{pictures.name}_solution.csv")
    candidates = [place / name for place in (folder, pictures) for name in names]
    return next((path for path in candidates if path.is_file()), None)


def labels_of(
    pictures: Sequence[Path],
    folder: Path,
    path: Path | None,
    classes: Sequence[str],
    on_bad: OnBad = "stop",
    report: Report = lambda text: None,
) -> dict[Path, str]:
    """The classes of the pictures of a folder, in their order, by a list.

    Args:
        pictures: Those that lie in the folder.
        folder: It.
        path: The list.
        classes: Those of train, sorted.
        on_bad: "stop" at what is wrong, or "skip" lines of absent pictures and pictures without a line.
        report: Told what is left out, and which list was read.

    Raises:
        DataError: there is no list, or it has a class that is not among the classes, or `on_bad`.
    """
    if path is None:
        raise DataError(
            f"{folder}: its pictures are in no folders of classes, and there is no list of their labels",
            f"put {folder.name}.txt beside it, with lines FILE LABEL, or LOC_{folder.name}_solution.csv",
        )
    report(f"labels of the pictures in {folder.name} are those of {path.name}")
    stems = Counter(picture.stem for picture in pictures)
    by_name = {picture.stem: picture for picture in pictures if stems[picture.stem] == 1}
    by_name |= {picture.name: picture for picture in pictures}
    seen: set[Path] = set()

    def parse(number: int, line: bytes) -> tuple[int, Path, str] | None:
        name, label = _fields(path, line.decode("utf-8"))
        if number == 1 and path.suffix == ".csv" and name == "ImageId":
            return None
        picture = by_name.get(name.removeprefix("./").removeprefix(f"{folder.name}/"))
        if picture is None:
            raise ValueError(f"there is no picture {name!r} in {folder}")
        if picture in seen:
            raise ValueError(f"{name} is listed a second time")
        seen.add(picture)
        return number, picture, label

    lines = [line for line in parse_lines(path, parse, _EXPECTED, _HINT, on_bad, report) if line]
    as_number = _are_numbers([label for _, _, label in lines], classes)
    labels: dict[Path, str] = {}
    for number, picture, label in lines:
        if as_number and int(label) < len(classes):
            labels[picture] = classes[int(label)]
        elif label in classes:
            labels[picture] = label
        else:
            what = f"number {label}, and classes are 0 to {len(classes) - 1}" if as_number else f"{label!r}"
            reason = f"{path}:{number}: {picture.name} is of class {what}"
            raise DataError(
                reason if as_number else f"{reason}, of which train has no image",
                _NUMBERS if as_number else "a list names the folders of train, or numbers them",
            )
    if without := [picture for picture in pictures if picture not in labels]:
        message = f"{without[0]}: {path.name} has no label for it" + (
            f", nor for {len(without) - 1} more pictures" if len(without) > 1 else ""
        )
        if on_bad == "stop":
            raise DataError(message, _HINT)
        report(f"left out: {message}")
    return {picture: labels[picture] for picture in pictures if picture in labels}


def _fields(path: Path, line: str) -> tuple[str, str]:
    # The name of a file and its label.
    if path.suffix == ".csv":
        name, _, prediction = line.partition(",")
        label = prediction.split(maxsplit=1)[0] if prediction.split() else ""
    else:
        name, _, label = line.strip().partition("\t" if "\t" in line else " ")
        if path.stem.endswith("_annotations"):
            label = label.partition("\t")[0]
    if not name.strip() or not label.strip():
        raise ValueError("a file and a label are wanted")
    return name.strip(), label.strip()


def _are_numbers(labels: Sequence[str], classes: Sequence[str]) -> bool:
    # Where classes are called by numbers, numbers are their names.
    def is_number(text: str) -> bool:
        return text.isascii() and text.isdecimal() and len(text) < 10

    return all(map(is_number, labels)) and not any(map(is_number, classes))
