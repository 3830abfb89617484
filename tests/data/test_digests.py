import torch

from hardpp.data.digests import sha256_of_file, sha256_of_tensors


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
