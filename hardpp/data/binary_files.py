"""Files that are no text: told by what they begin with, as names may be anything."""

from typing import NamedTuple

from hardpp.errors import DataError


class _Kind(NamedTuple):
    begins: bytes
    name: str
    hint: str


_UNPACK = "unpack it first"
_SAVE = "save it as text: UTF-8, TABs between columns"
_KINDS = (
    _Kind(b"PK\x03\x04", "a ZIP archive, or a file of Excel, Word or LibreOffice", f"{_UNPACK}, or {_SAVE}"),
    _Kind(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a file of an old Excel or Word", _SAVE),
    _Kind(b"%PDF-", "a PDF file", _SAVE),
    _Kind(b"BZh", "packed by bzip2", _UNPACK),
    _Kind(b"\xfd7zXZ\x00", "packed by xz", _UNPACK),
    _Kind(b"\x28\xb5\x2f\xfd", "packed by zstd", _UNPACK),
    _Kind(b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    _Kind(b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    _Kind(b"SQLite format 3\x00", "an SQLite database", _SAVE),
    _Kind(b"PAR1", "a Parquet file", _SAVE),
    _Kind(b"{\\rtf", "an RTF file", _SAVE),
)
_TAR = slice(257, 262)  # where a tar archive says so


def refuse_binary(content: bytes, called: str) -> None:
    """Refuse the content of a file of a kind that is known to be no text; `called` is its name."""
    for kind in _KINDS:
        if content.startswith(kind.begins):
            raise DataError(f"{called}: is {kind.name}, and no text", kind.hint)
    if content[_TAR] == b"ustar":
        raise DataError(f"{called}: is a tar archive, and no text", _UNPACK)
