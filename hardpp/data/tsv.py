"""A user's own pairs: lines of source, TAB, target.

The path is one file, split by `bucket` of the source text, or a folder with train.tsv, dev.tsv and
test.tsv. Lines end at `\\n` (or `\\r\\n`) and nowhere else, so U+2028 and U+0085 are data; blanks (spaces)
around a field are dropped. A side whose fields hold a blank anywhere is split at blanks into words,
else every character is a token. Nothing is skipped in silence: a bad line is refused with its number.
"""

from pathlib import Path
from typing import Literal, NamedTuple

from hardpp.data.transduction import Corpus, Pair, bucket
from hardpp.errors import DataError

Tokens = Literal["auto", "characters", "words"]

_PARTS = ("train", "dev", "test")
_SHOWN = 5  # bad lines named in one message
_OWN_SPLIT = "bring a folder with train.tsv, dev.tsv and test.tsv to choose the parts yourself"


def corpus(path: Path | str, *, source_tokens: Tokens = "auto", target_tokens: Tokens = "auto") -> Corpus:
    """Read pairs from a file or from a folder of three files.

    In train every line is a pair with its own target; in dev and test there is one pair a distinct
    source, whose target is the first one. References are all targets of the source within the part.

    Args:
        path: A file, or a folder with train.tsv, dev.tsv and test.tsv; UTF-8, with or without a BOM.
        source_tokens: "characters" or "words" forces how sources are cut; "auto" looks for blanks.
        target_tokens: The same for targets.

    Raises:
        DataError: The path is missing or empty, a folder lacks a part, a part is empty, or lines are
            bad (no TAB, further columns, an empty side, NUL, not UTF-8); the message names file:line.
        ValueError: `source_tokens` or `target_tokens` is none of the three.
    """
    for given in (source_tokens, target_tokens):
        if given not in ("auto", "characters", "words"):
            raise ValueError(f"expected 'auto', 'characters' or 'words', got {given!r}")
    path = Path(path)
    parts = _folder(path) if path.is_dir() else {"all": _read(path)}
    fields = [field for part in parts.values() for field in part]
    source_cut = _cut([field.source for field in fields], source_tokens)
    target_cut = _cut([field.target for field in fields], target_tokens)
    cut = {
        name: [_Line(source_cut(field.source), target_cut(field.target)) for field in part]
        for name, part in parts.items()
    }
    if "all" in cut:
        cut = _split(cut["all"], source_cut.separator, path)
    train, dev, test = (_pairs(cut[name], distinct=name != "train") for name in _PARTS)
    name = path.resolve().name if path.is_dir() else path.stem
    return Corpus(name, train, dev, test, source_cut.separator, target_cut.separator)


def pairs(path: Path | str, *, source_tokens: Tokens, target_tokens: Tokens) -> list[Pair]:
    """Every line of one file as a pair, in order; references are all targets of the source.

    Raises:
        DataError: as for `corpus`.
    """
    fields = _read(Path(path))
    source_cut = _cut([field.source for field in fields], source_tokens)
    target_cut = _cut([field.target for field in fields], target_tokens)
    return _pairs([_Line(source_cut(f.source), target_cut(f.target)) for f in fields], distinct=False)


class _Fields(NamedTuple):  # a line as text
    source: str
    target: str


class _Line(NamedTuple):  # a line as tokens
    source: tuple[str, ...]
    target: tuple[str, ...]


class _Cut(NamedTuple):
    separator: str

    def __call__(self, field: str) -> tuple[str, ...]:
        if self.separator:
            return tuple(token for token in field.split(self.separator) if token)
        return tuple(field)


def _cut(fields: list[str], tokens: Tokens) -> _Cut:
    words = any(" " in field for field in fields) if tokens == "auto" else tokens == "words"
    return _Cut(" " if words else "")


def _folder(path: Path) -> dict[str, list[_Fields]]:
    missing = [f"{name}.tsv" for name in _PARTS if not (path / f"{name}.tsv").exists()]
    if missing:
        raise DataError(
            f"{path}: the folder lacks {', '.join(missing)}", "it needs train.tsv, dev.tsv and test.tsv"
        )
    return {name: _read(path / f"{name}.tsv") for name in _PARTS}


def _read(path: Path) -> list[_Fields]:
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file or folder") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not content:
        raise DataError(f"{path}: the file is empty", "it needs lines of source, TAB, target")
    fields: list[_Fields] = []
    bad: list[tuple[int, str]] = []
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"), start=1):
        try:
            fields.append(_line(line.removesuffix(b"\r")))
        except ValueError as reason:
            bad.append((number, str(reason)))
    if bad:
        raise _refusal(path, bad)
    return fields


def _line(line: bytes) -> _Fields:
    # A ValueError says what is wrong with the line; the caller knows its number.
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte 0x{line[error.start]:02x} at byte {error.start + 1})") from error
    if not text:
        raise ValueError("empty line")
    if "\0" in text:
        raise ValueError("holds a NUL character")
    columns = text.split("\t")
    if len(columns) == 1:
        raise ValueError("missing target column (no TAB in the line)")
    if len(columns) > 2:
        raise ValueError(f"{len(columns)} columns found where 2 are wanted")
    for side, column in zip(("source", "target"), columns, strict=True):
        if not column.strip():
            raise ValueError(f"{side} holds only blanks" if column else f"empty {side}")
    return _Fields(columns[0].strip(" "), columns[1].strip(" "))


def _refusal(path: Path, bad: list[tuple[int, str]]) -> DataError:
    (first, reason), others = bad[0], bad[1:]
    message = f"{path}:{first}: {reason}"
    if others:
        numbers = ", ".join(str(number) for number, _ in others[: _SHOWN - 1])
        more = ", ..." if len(others) > _SHOWN - 1 else ""
        message += f" (and {len(others)} more bad {'line' if len(others) == 1 else 'lines'}: {numbers}{more})"
    return DataError(message, "every line is source, TAB, target in UTF-8, without empty lines")


def _split(lines: list[_Line], separator: str, path: Path) -> dict[str, list[_Line]]:
    parts: dict[str, list[_Line]] = {name: [] for name in _PARTS}
    for line in lines:
        # Joined again, so that doubled blanks cannot put one source into two parts.
        parts[{0: "test", 1: "dev"}.get(bucket(separator.join(line.source)), "train")].append(line)
    empty = [name for name in _PARTS if not parts[name]]
    if empty:
        raise DataError(
            f"{path}: the {' and '.join(empty)} {'part is' if len(empty) == 1 else 'parts are'} empty after "
            f"splitting {len(lines)} {'line' if len(lines) == 1 else 'lines'} by checksum of the source",
            _OWN_SPLIT,
        )
    return parts


def _pairs(lines: list[_Line], distinct: bool) -> list[Pair]:
    references: dict[tuple[str, ...], dict[tuple[str, ...], None]] = {}
    for line in lines:
        references.setdefault(line.source, {})[line.target] = None
    right = {source: tuple(targets) for source, targets in references.items()}
    if distinct:
        return [Pair(source, targets[0], targets) for source, targets in right.items()]
    return [Pair(line.source, line.target, right[line.source]) for line in lines]
