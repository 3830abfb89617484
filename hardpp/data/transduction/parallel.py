"""A user's own parallel text: line i of one file is the translation of line i of the other.

The path is a folder with train, dev (or valid, val) and test in both languages, as fairseq prepares IWSLT14:
`train.de train.en valid.de ...` or `train.de-en.de ...`. Or it is one pair of files, `NAME.de` and `NAME.en`,
given as `NAME` or as one of the two, which is split by `bucket` of the source text. How lines end, see
`hardpp.data.lines`. Nothing is skipped in silence, and unequal numbers of lines are always refused. Marks of
byte pair encoding (`@@`) stay.
"""

import re
from collections.abc import Callable
from pathlib import Path

from hardpp.data.lines import OnBad, read
from hardpp.data.transduction.languages import direction
from hardpp.data.transduction.pairing import changed, paired, short, unescaped
from hardpp.data.transduction.pairs import Bitext, Line
from hardpp.data.transduction.splitting import by_checksum
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
    if path.is_dir():
        name = path.resolve().name
        files = _folder(path, source, target)
    else:
        name, files = _files(path, source, target)
    parts = {
        part: texts(*sides, on_bad=on_bad, unescape=unescape, report=report) for part, sides in files.items()
    }
    if "all" in parts:
        parts = by_checksum(parts["all"], path, _OWN_SPLIT)
    parts["train"] = short(parts["train"], max_tokens, report)
    return Bitext.of_lines(name, parts)


def texts(
    source: Path,
    target: Path,
    *,
    on_bad: OnBad = "stop",
    unescape: bool = False,
    report: Callable[[str], None] = lambda text: None,
) -> list[Line]:
    """The pairs of two files, in order; the arguments are those of `bitext`.

    Raises:
        DataError: as for `bitext`.
    """
    numbered = [list(enumerate(read(path, "one text a line"), start=1)) for path in (source, target)]
    lines = paired((source, target), numbered, on_bad, report)
    return changed(lines, unescaped) if unescape else lines


def _folder(path: Path, source: str | None, target: str | None) -> dict[str, tuple[Path, Path]]:
    found: dict[str, dict[str, Path]] = {part: {} for part in _PARTS}
    for file in sorted(path.iterdir()):
        for part, names in _PARTS.items():
            ending = _ending(file.name, names, {source, target})
            if ending is None:
                continue
            if (other := found[part].get(ending)) is not None:
                raise DataError(
                    f"{path}: both {other.name} and {file.name} are the {part} part in {ending!r}"
                )
            found[part][ending] = file
    if not any(found.values()):
        raise DataError(
            f"{path}: the folder has no train, dev and test",
            "it needs files like train.tsv, or like train.de and train.en",
        )
    languages = direction(str(path), set().union(*found.values()), source, target)
    missing = [f"{part}.{side}" for part in _PARTS for side in languages if side not in found[part]]
    if missing:
        raise DataError(
            f"{path}: the folder lacks {', '.join(missing)}", "dev may also be called valid or val"
        )
    return {part: (found[part][languages[0]], found[part][languages[1]]) for part in _PARTS}


def _ending(name: str, names: tuple[str, ...], given: set[str | None]) -> str | None:
    # The language of a file of a part, None when it is not one: train.de, train.de-en.de.
    part, *between, ending = name.split(".") if name.count(".") in (1, 2) else ("", "")
    if part not in names or not all("-" in pair for pair in between):
        return None
    known = _LANGUAGE.fullmatch(ending) and ending not in _NO_LANGUAGE
    return ending if known or ending in given else None


def _files(path: Path, source: str | None, target: str | None) -> tuple[str, dict[str, tuple[Path, Path]]]:
    if path.exists():
        # One of the two; unless it was said otherwise, the one that is named is the source.
        stem, ending = path.with_suffix(""), path.suffix.removeprefix(".")
        if source is None and target is None and ending not in ("en", "tgt"):
            source = ending
    else:
        stem = path
    beside = stem.parent.iterdir() if stem.parent.is_dir() else iter(())
    endings = [
        file.name.removeprefix(f"{stem.name}.") for file in beside if file.name.startswith(f"{stem.name}.")
    ]
    known = [ending for ending in endings if ending in (source, target) or _LANGUAGE.fullmatch(ending)]
    known = [ending for ending in known if ending in (source, target) or ending not in _NO_LANGUAGE]
    if not known:
        raise DataError(f"{path}: there is no such file or folder")
    sides = direction(str(stem), known, source, target)
    return stem.name, {"all": (Path(f"{stem}.{sides[0]}"), Path(f"{stem}.{sides[1]}"))}
