import torch

from hardpp.data.digests import sha256_of_tensors


def test_a_digest_sees_kind_and_shape() -> None:
    tensors = [torch.zeros(4), torch.zeros(2, 2), torch.zeros(4, dtype=torch.int32), torch.zeros(4).half()]
    assert len({sha256_of_tensors(tensor) for tensor in tensors}) == 4
    assert sha256_of_tensors(torch.arange(4.0)) == sha256_of_tensors(
        torch.arange(8.0).reshape(4, 2)[:, 0] / 2
    )
    assert sha256_of_tensors(torch.tensor(3)) != sha256_of_tensors(torch.tensor(2))
