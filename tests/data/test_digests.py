import hashlib

import pytest
import torch

from hardpp.data import digests
from hardpp.data.digests import (
    FileContents,
    sha256_of_file,
    sha256_of_json,
    sha256_of_parts,
    sha256_of_tensors,
)


def test_a_digest_sees_kind_and_shape() -> None:
    tensors = [torch.zeros(4), torch.zeros(2, 2), torch.zeros(4, dtype=torch.int32), torch.zeros(4).half()]
    assert len({sha256_of_tensors(tensor) for tensor in tensors}) == 4
    assert sha256_of_tensors(torch.arange(4.0)) == sha256_of_tensors(
        torch.arange(8.0).reshape(4, 2)[:, 0] / 2
    )
    assert sha256_of_tensors(torch.tensor(3)) != sha256_of_tensors(torch.tensor(2))


def test_a_file_s_digest_is_that_of_its_bytes(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert sha256_of_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_contents_are_every_byte_and_of_large_collections_sizes_and_ends(tmp_path, monkeypatch):
    paths = [tmp_path / name for name in ("a", "b", "empty")]

    def contents(a: bytes, b: bytes) -> str:
        for path, content in zip(paths, (a, b, b""), strict=True):
            path.write_bytes(content)
        return FileContents(paths).sha256

    one, two = bytes(10), bytes([1] * 20)
    before = contents(one, two)
    middle = bytes([1] * 9 + [2] + [1] * 10)
    assert contents(one, two) == before
    others = [contents(*pair) for pair in ((one[:9] + b"x", two), (one, middle), (two, one), (one[1:], two))]
    assert len({before, *others}) == 5
    monkeypatch.setattr(digests, "_WHOLE", 29)
    monkeypatch.setattr(digests, "_END", 4)
    ends = contents(one, two)
    assert contents(one, middle) == ends
    others = [contents(one, two[:-4] + b"xxxx"), contents(b"x" + one[1:], two), contents(one, two + two[:1])]
    assert len({ends, *others}) == 4


def test_contents_are_kept(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    contents = FileContents([path])
    before = contents.sha256
    path.unlink()
    assert contents.sha256 == before
    with pytest.raises(FileNotFoundError):
        assert FileContents([path]).sha256


def test_the_digest_of_a_corpus_sees_its_head_its_order_and_where_parts_begin():
    corpora = [
        ("a", [["x", "y"], []]),
        ("a", [["x"], ["y"]]),
        ("a", [["y", "x"], []]),
        ("b", [["x", "y"], []]),
    ]
    assert len({sha256_of_parts(head, parts) for head, parts in corpora}) == 4
    # Written in run folders: a change would make every trained run refuse its own data.
    assert sha256_of_parts("a", [["x"], ["y"]]) == hashlib.sha256(b"a\npart\nx\n\npart\ny\n").hexdigest()
    assert sha256_of_json([1, "ä"]) == hashlib.sha256(b'[1, "\\u00e4"]').hexdigest()
