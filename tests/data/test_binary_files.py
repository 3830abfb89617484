"""Files that are no text are named as what they are, before a line of them is read."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from hardpp.data.binary_files import refuse_binary
from hardpp.data.lines import read_lines
from hardpp.errors import DataError


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("words.tsv", "a\tb\n")
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("words.tsv"))
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (zipped(), "is a ZIP archive, or a file of Excel"),
        (tarred(), "is a tar archive"),
        (b"%PDF-1.5\n", "is a PDF file"),
        (b"BZh91AY", "is packed by bzip2"),
        (b"SQLite format 3\0", "is an SQLite database"),
    ],
)
def test_what_is_no_text_is_named(content: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"words\.tsv: {name}"):
        read_lines(path, "pairs")


@pytest.mark.parametrize("content", [b"", b"PK\tP K\n", b"BZ\tb z\n", b"a" * 600])
def test_text_is_let_through(content: bytes) -> None:
    refuse_binary(content, "x")
