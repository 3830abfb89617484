"""A user's own parallel text: line i of one file is the translation of line i of the other.

The path is a folder with train, dev (or valid, val) and test in both languages, as fairseq prepares IWSLT14:
`train.de train.en valid.de ...` or `train.de-en.de ...`. Or it is one pair of files, `NAME.de` and `NAME.en`,
given as `NAME` or as one of the two, which is split by `bucket` of the source text. How lines end, see
`hardpp.data.lines`. Nothing is skipped in silence, and unequal numbers of lines are always refused. Marks of
byte pair encoding (`@@`) stay.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hardpp.data.lines import OnBad, read_lines
from hardpp.data.transduction.languages import translation_direction
from hardpp.data.transduction.pairing import (
    drop_long_pairs,
    map_texts,
    pair_texts,
    split_lines,
    unescape_moses,
)
from hardpp.data.transduction.pairs import Bitext, Line
from hardpp.errors import DataError

_PARTS = {"train": ("train",), "dev": ("dev", "valid", "val"), "test": ("test",)}
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[_-][A-Za-z]+)?")
_NO_LANGUAGE = {"csv", "tsv", "txt", "xml", "zip"}
_OWN_SPLIT = "bring a folder with train, dev and test in both languages to choose the parts yourself"


def bitext(
    path: Path | str,
    *,
    source: str | None = None,
    target: str | None = None,
    on_bad: OnBad = "stop",
    max_tokens: int | None = None,
    unescape: bool = False,
    report: Callable[[str], None] = lambda text: None,
) -> Bitext:
    """Read a folder, or a pair of files.

    Args:
        path: A folder, the common beginning of two files, or one of the two.
        source: How the names of the source files end; need not be said when it is clear.
        target: The same for the target; "en" (or "tgt") when there is such a file.
        on_bad: What happens when a text is empty or not to be read: "stop", or "skip" to leave the pair out.
        max_tokens: Pairs with more words (between blanks) on a side are left out of train; `report` is told.
        unescape: Undo what the Moses tokenizer writes for characters, `&apos; &quot; &#91;` and ` @-@ `.
        report: Told what was left out.

    Raises:
        UsageError: The languages are not clear or not there.
        DataError: Files are missing, empty or unequally long, or hold bad lines; the message names file:line.
    """
    path = Path(path)
    options: Mapping[str, Any] = {"on_bad": on_bad, "unescape": unescape, "report": report}
    if path.is_dir():
        name = path.resolve().name
        parts = {part: texts(*files, **options) for part, files in _folder(path, source, target).items()}
    else:
        name = _stem(path).name
        parts = split_lines(lines(path, source=source, target=target, **options), path, _OWN_SPLIT)
    parts["train"] = drop_long_pairs(parts["train"], max_tokens, report)
    return Bitext.of_lines(name, parts)


def lines(
    path: Path | str,
    *,
    source: str | None = None,
    target: str | None = None,
    on_bad: OnBad = "stop",
    unescape: bool = False,
    report: Callable[[str], None] = lambda text: None,
) -> list[Line]:
    """Read every pair of one pair of files, in order; the arguments are those of `bitext`.

    Raises:
        UsageError, DataError: as for `bitext`.
    """
    files = _files(Path(path), source, target)
    return texts(*files, on_bad=on_bad, unescape=unescape, report=report)


def is_beginning(path: Path | str) -> bool:
    """Whether a path is no file, but the beginning of a pair of files, NAME.de and NAME.en."""
    return not Path(path).exists() and len(_endings(Path(path), ())) > 1


def texts(
    source: Path,
    target: Path,
    *,
    on_bad: OnBad = "stop",
    unescape: bool = False,
    report: Callable[[str], None] = lambda text: None,
) -> list[Line]:
    """Read the pairs of two files, in order; the arguments are those of `bitext`.

    Raises:
        DataError: as for `bitext`.
    """
    numbered = [list(enumerate(read_lines(path, "one text a line"), start=1)) for path in (source, target)]
    lines = pair_texts((source, target), numbered, on_bad, report)
    return map_texts(lines, unescape_moses) if unescape else lines


def _folder(path: Path, source: str | None, target: str | None) -> dict[str, tuple[Path, Path]]:
    files: dict[str, dict[str, Path]] = {part: {} for part in _PARTS}
    for file in sorted(path.iterdir()):
        for part, names in _PARTS.items():
            ending = _ending(file.name, names, {source, target})
            if ending is None:
                continue
            if (earlier := files[part].get(ending)) is not None:
                raise DataError(
                    f"{path}: both {earlier.name} and {file.name} are the {part} part in {ending!r}"
                )
            files[part][ending] = file
    if not any(files.values()):
        raise DataError(
            f"{path}: the folder has no train, dev and test",
            "it needs files like train.tsv, or like train.de and train.en",
        )
    languages = translation_direction(str(path), set().union(*files.values()), source, target)
    missing = [f"{part}.{side}" for part in _PARTS for side in languages if side not in files[part]]
    if missing:
        raise DataError(
            f"{path}: the folder lacks {', '.join(missing)}", "dev may also be called valid or val"
        )
    return {part: (files[part][languages[0]], files[part][languages[1]]) for part in _PARTS}


def _ending(name: str, names: tuple[str, ...], stated: set[str | None]) -> str | None:
    # The language of a file of a part, None when it is not one: train.de, train.de-en.de.
    part, *between, ending = name.split(".") if name.count(".") in (1, 2) else ("", "")
    if part not in names or not all("-" in pair for pair in between):
        return None
    is_language = _LANGUAGE.fullmatch(ending) and ending not in _NO_LANGUAGE
    return ending if is_language or ending in stated else None


def _files(path: Path, source: str | None, target: str | None) -> tuple[Path, Path]:
    stem, ending = _stem(path), path.suffix.removeprefix(".")
    # Unless it was said otherwise, the one of the two that is named is the source.
    if stem != path and source is None and target is None and ending not in ("en", "tgt"):
        source = ending
    endings = _endings(stem, (source, target))
    if not endings:
        raise DataError(f"{path}: there is no such file or folder")
    sides = translation_direction(str(stem), endings, source, target)
    return Path(f"{stem}.{sides[0]}"), Path(f"{stem}.{sides[1]}")


def _stem(path: Path) -> Path:
    return path.with_suffix("") if path.exists() else path


def _endings(stem: Path, stated: tuple[str | None, ...]) -> list[str]:
    # The languages of the files that begin with a name.
    beside = stem.parent.iterdir() if stem.parent.is_dir() else iter(())
    endings = [
        file.name.removeprefix(f"{stem.name}.") for file in beside if file.name.startswith(f"{stem.name}.")
    ]
    languages = [ending for ending in endings if ending in stated or _LANGUAGE.fullmatch(ending)]
    return [ending for ending in languages if ending in stated or ending not in _NO_LANGUAGE]
