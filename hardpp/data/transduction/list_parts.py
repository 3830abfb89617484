"""Which files of a folder are the parts of a list of pairs, by their names.

They are called train.tsv, dev.tsv and test.tsv, or by other usual words and endings; or the name of the data
stands before, as in the shared tasks of SIGMORPHON: `wel_sw_train.tsv`, `deu.trn`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from hardpp.data.lines import Report
from hardpp.data.parts import PARTS
from hardpp.errors import DataError, UsageError

_WORDS = {
    "train": ("train", "training", "trn"),
    "dev": ("dev", "development", "valid", "validation", "val"),
    "test": ("test", "testing", "tst"),
}
ENDINGS = ("", ".tsv", ".csv", ".txt", ".dict", ".dic", ".lex", ".lexicon")  # preferred in this order
_PART = {word: part for part, words in _WORDS.items() for word in words}
_NAME = re.compile(rf"(?:(.+)[._-])?({'|'.join(_PART)})(\.[a-z]+)?(?:\.gz)?", re.IGNORECASE)
_COVERED = re.compile(r"(?:^|[._-])covered$", re.IGNORECASE)  # a test part without its targets

Parts = dict[str, Path]


def list_parts(path: Path, report: Report = lambda text: None) -> Parts:
    """The files of the three parts; nothing where a path is neither such a folder nor such a beginning.

    Args:
        path: A folder, or the beginning of the names of its files, `low/wel_sw` of `low/wel_sw_train.tsv`.
        report: Told when the dev part stands in for a test part that is not there.

    Raises:
        DataError: A part is missing.
        UsageError: There are several such data in the folder.
    """
    sets = sets_in(path)
    if not sets and not path.is_dir():
        return {}
    if "" in sets or not sets:
        sets = {"": _named_parts(path, None).get("", {})}
    if len(sets) > 1:
        names = ", ".join(str(path / name) for name in sorted(sets)[:4])
        what = f"{path}: there are train parts of {len(sets)} lists in the folder"
        raise UsageError(what, f"give the beginning of their names: {names}{', ...' * (len(sets) > 4)}")
    ((name, parts),) = sets.items()
    if missing := [part for part in PARTS if part not in parts]:
        if missing == ["test"] and name:
            report(
                f"warning: {path}: beside {parts['dev'].name} is no test part with targets: "
                "the dev part, which tells training when to stop, stands in for it"
            )
            return {**parts, "test": parts["dev"]}
        files = ", ".join(f"{part}.tsv" if not name else part for part in missing)
        raise DataError(f"{path}: the folder lacks {files}", "it needs train.tsv, dev.tsv and test.tsv")
    return parts


def parts_beside(path: Path) -> Path | None:
    """What takes a train part and the files beside it as three parts: a folder, or a beginning of names."""
    match = _NAME.fullmatch(path.name)
    if match is None or _PART[match[2].lower()] != "train":
        return None
    whole = path.parent / match[1] if match[1] else path.parent
    return whole if len(sets_in(whole).get(match[1] or "", {})) == len(PARTS) else None


def sets_in(path: Path) -> dict[str, Parts]:
    """The lists that have a train part in a folder, or whose names begin so: name -> part -> file."""
    found = _named_parts(path, None) if path.is_dir() else _named_parts(path.parent, path.name)
    return {name: parts for name, parts in found.items() if "train" in parts}


def _named_parts(folder: Path, wanted: str | None) -> dict[str, Parts]:
    found: dict[str, dict[str, list[tuple[int, Path]]]] = {}
    for file, name, part, rank in _named(folder):
        if wanted is None or name == wanted:
            found.setdefault(name, {}).setdefault(part, []).append((rank, file))
    return {
        name: {part: min(parts[part])[1] for part in PARTS if part in parts} for name, parts in found.items()
    }


def _named(folder: Path) -> Iterator[tuple[Path, str, str, int]]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for file in files:
        match = _NAME.fullmatch(file.name)
        if match is None or not file.is_file():
            continue
        name, word, ending = match[1] or "", match[2].lower(), (match[3] or "").lower()
        if ending in ENDINGS and not _COVERED.search(name):  # train.de is parallel text
            yield file, name, _PART[word], ENDINGS.index(ending)
