import hashlib

import torch

from hardpp.data.digests import sha256_of_file, sha256_of_json, sha256_of_parts, sha256_of_tensors


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
