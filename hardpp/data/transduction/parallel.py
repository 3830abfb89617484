"""A user's own parallel text: line i of one file is the translation of line i of the other.

The path is a folder with train, dev (or valid, val) and test in both languages, as fairseq prepares IWSLT14:
`train.de train.en valid.de ...` or `train.de-en.de ...`. Or it is one pair of files, `NAME.de` and `NAME.en`,
given as `NAME` or as one of the two, which is split by `bucket` of the source text. How lines end, see
`hardpp.data.lines`. Nothing is skipped in silence, and unequal numbers of lines are always refused. Marks of
byte pair encoding (`@@`) stay.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from hardpp.data.lines import OnBad, Report, read_lines
from hardpp.data.streamed_lines import stream_lines
from hardpp.data.transduction.pairing import (
    pair_texts,
    part_of_line,
    split_lines,
    translation_direction,
)
from hardpp.data.transduction.pairs import Bitext, Line
from hardpp.data.transduction.streamed_pairs import StreamedPairs
from hardpp.errors import DataError

_PARTS = {"train": ("train",), "dev": ("dev", "valid", "val"), "test": ("test",)}
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[_-][A-Za-z]+)?")
_NO_LANGUAGE = {"csv", "tsv", "txt", "xml", "zip", "lex", "dic", "trn", "dev", "tst", "gz", "bak", "log"}
_PACKED = ".gz"
_OWN_SPLIT = "bring a folder with train, dev and test in both languages to choose the parts yourself"


def bitext(
    path: Path | str,
    *,
    source: str | None = None,
    target: str | None = None,
    fold: Callable[[str], str] = str,
    on_bad: OnBad = "stop",
    report: Report = lambda text: None,
) -> Bitext:
    """Read a folder, or a pair of files.

    Args:
        path: A folder, the common beginning of two files, or one of the two.
        source: How the names of the source files end; need not be said when it is clear.
        target: The same for the target; "en" (or "tgt") when there is such a file.
        fold: What makes one of sources that count as the same: a pair of files is split by that.
        on_bad: What happens to a pair with a text that is empty or cannot be read.
        report: Told which side is the source, and what was left out.
    """
    path = Path(path)
    if path.is_dir():
        files = _folder(path, source, target)
        report(f"{path}: from {_language(files['train'][0])} to {_language(files['train'][1])}")
        parts = {part: _read(paths, on_bad, report) for part, paths in files.items()}
        return Bitext.of_lines(path.resolve().name, parts)
    pairs = lines(path, source=source, target=target, on_bad=on_bad, report=report)
    return Bitext.of_lines(_stem(path).name, split_lines(pairs, path, _OWN_SPLIT, fold))


def lines(
    path: Path | str,
    *,
    source: str | None = None,
    target: str | None = None,
    on_bad: OnBad = "stop",
    report: Report = lambda text: None,
) -> list[Line]:
    """Read every pair of one pair of files, in order; the arguments are those of `bitext`."""
    files = _files(Path(path), source, target)
    report(f"{path}: from {_language(files[0])} to {_language(files[1])}")
    return _read(files, on_bad, report)


def streamed(
    path: Path,
    *,
    source: str | None = None,
    target: str | None = None,
    fold: Callable[[str], str] = str,
    on_bad: OnBad = "stop",
    report: Report = lambda text: None,
) -> StreamedPairs:
    """The same pairs as those of `bitext`, one by one; the arguments are the same."""
    files = files_of(path, source, target)
    first, second = files["train" if path.is_dir() else ""]
    report(f"{path}: from {_language(first)} to {_language(second)}")
    readers = {part: [partial(_stream, paths, on_bad, report)] for part, paths in files.items()}
    name = path.resolve().name if path.is_dir() else _stem(path).name
    return StreamedPairs(name, readers, partial(part_of_line, fold=fold), path, _OWN_SPLIT)


def files_of(path: Path, source: str | None, target: str | None) -> dict[str, tuple[Path, Path]]:
    """The two files of each part; a pair that is split by itself is that of the part ""."""
    return _folder(path, source, target) if path.is_dir() else {"": _files(path, source, target)}


def is_folder(path: Path) -> bool:
    """Whether a folder has a train part in two languages."""
    files = path.iterdir() if path.is_dir() else iter(())
    return len({_ending(file.name, _PARTS["train"], set()) for file in files} - {None}) > 1


def has_translation(path: Path) -> bool:
    """Whether beside a file NAME.de there is one in another language, NAME.en."""
    endings = _endings(_stem(path), ())
    return path.is_file() and _language(path) in endings and len(endings) > 1


def is_beginning(path: Path | str) -> bool:
    """Whether a path is no file, but the beginning of a pair of files, NAME.de and NAME.en."""
    return not Path(path).exists() and len(_endings(Path(path), ())) > 1


def _read(paths: tuple[Path, Path], on_bad: OnBad, report: Report) -> list[Line]:
    numbered = [list(enumerate(read_lines(path, "one text a line"), start=1)) for path in paths]
    return list(pair_texts(paths, numbered, on_bad, report))


def _stream(paths: tuple[Path, Path], on_bad: OnBad, report: Report) -> Iterator[Line]:
    return pair_texts(paths, [enumerate(stream_lines(path), start=1) for path in paths], on_bad, report)


def _folder(path: Path, source: str | None, target: str | None) -> dict[str, tuple[Path, Path]]:
    files: dict[str, dict[str, Path]] = {part: {} for part in _PARTS}
    for file in sorted(path.iterdir()):
        for part, names in _PARTS.items():
            ending = _ending(file.name, names, {source, target})
            if ending is None or (file.suffix == _PACKED and file.with_suffix("").exists()):
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
    name = name.removesuffix(_PACKED)
    part, *between, ending = name.split(".") if name.count(".") in (1, 2) else ("", "")
    if part not in names or not all("-" in pair for pair in between):
        return None
    return ending if _is_language(ending) or ending in stated else None


def _files(path: Path, source: str | None, target: str | None) -> tuple[Path, Path]:
    stem, ending = _stem(path), _language(path)
    # Unless it was said otherwise, the one of the two that is named is the source.
    if stem != path and source is None and target is None and ending not in ("en", "tgt"):
        source = ending
    endings = _endings(stem, (source, target))
    if not endings:
        raise DataError(f"{path}: there is no such file or folder")
    sides = translation_direction(str(stem), endings, source, target)
    return _file(stem, sides[0]), _file(stem, sides[1])


def _stem(path: Path) -> Path:
    return Path(str(path).removesuffix(_PACKED)).with_suffix("") if path.exists() else path


# Of a language, as it is or packed.
def _file(stem: Path, ending: str) -> Path:
    plain = Path(f"{stem}.{ending}")
    return plain if plain.exists() else Path(f"{plain}{_PACKED}")


def _endings(stem: Path, stated: tuple[str | None, ...]) -> list[str]:
    # The languages of the files that begin with a name.
    beside = stem.parent.iterdir() if stem.parent.is_dir() else iter(())
    start = f"{stem.name}."
    endings = {
        file.name.removeprefix(start).removesuffix(_PACKED) for file in beside if file.name.startswith(start)
    }
    return [ending for ending in sorted(endings) if _is_language(ending) or ending in stated]


def _language(path: Path) -> str:
    return Path(path.name.removesuffix(_PACKED)).suffix.removeprefix(".")


def _is_language(ending: str) -> bool:
    return _LANGUAGE.fullmatch(ending) is not None and ending not in _NO_LANGUAGE
