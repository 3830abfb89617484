import torch

from hardpp.data.padding import pad


def test_rows_are_padded_on_the_right_with_0_and_the_mask_tells_symbols_that_are_0() -> None:
    ids, mask = pad([[3, 0], [5], [7, 8, 9]])
    assert ids.dtype == torch.int64
    assert ids.tolist() == [[3, 0, 0], [5, 0, 0], [7, 8, 9]]
    assert mask.tolist() == [[True, True, False], [True, False, False], [True, True, True]]
