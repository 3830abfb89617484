import torch

from hardpp.data.digests import digest_of


def test_a_digest_sees_kind_and_shape() -> None:
    tensors = [torch.zeros(4), torch.zeros(2, 2), torch.zeros(4, dtype=torch.int32), torch.zeros(4).half()]
    assert len({digest_of(tensor) for tensor in tensors}) == 4
    assert digest_of(torch.arange(4.0)) == digest_of(torch.arange(8.0).reshape(4, 2)[:, 0] / 2)
    assert digest_of(torch.tensor(3)) != digest_of(torch.tensor(2))
