"""A cell's features are those of its pixels, and of no others."""

import pytest
import torch

from hardpp.nn.grid_encoder import GridEncoder, cell_boxes

DOUBLE = torch.float64


def encoder(cell: int = 4) -> GridEncoder:
    torch.manual_seed(0)
    return GridEncoder(cell, 6).to(DOUBLE)


def pixels(height: int = 8, width: int = 12) -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, height, width), generator=torch.Generator().manual_seed(1)).byte()


@pytest.mark.parametrize("index", range(6))
def test_a_cell_is_described_by_its_own_pixels_alone(index: int) -> None:
    net, image = encoder(), pixels()
    left, top, right, bottom = cell_boxes(8, 12, 4)[index]
    changed = image.clone()
    changed[:, :, top:bottom, left:right] += 100
    before, after = net(image), net(changed)
    same = torch.arange(6) != index
    assert torch.equal(before[:, same], after[:, same])
    assert (before[:, index] != after[:, index]).any(-1).all()


def test_cells_with_the_same_pixels_differ_in_their_place_only() -> None:
    net = encoder()
    found = net(pixels()[:, :, :4, :4].repeat(1, 1, 2, 3))  # (2, 6, 8)
    torch.testing.assert_close(found[..., :-2], found[:, :1, :-2].expand(-1, 6, -1), rtol=0, atol=1e-12)
    middles = torch.tensor([[(x - 6) / 6, (y - 4) / 4] for y in (2, 6) for x in (2, 6, 10)], dtype=DOUBLE)
    torch.testing.assert_close(found[0, :, -2:], middles, rtol=0, atol=1e-12)


def test_boxes_are_rows_from_the_top() -> None:
    assert cell_boxes(8, 12, 4)[:4] == [(0, 0, 4, 4), (4, 0, 8, 4), (8, 0, 12, 4), (0, 4, 4, 8)]
    assert len(cell_boxes(9, 15, 4)) == encoder()(pixels(9, 15)).shape[1] == 6


def test_bytes_are_fractions() -> None:
    net, image = encoder(), pixels()
    torch.testing.assert_close(net(image), net(image.double() / 255), rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", [0, 1, 7])
def test_odd_cells_are_refused(cell: int) -> None:
    with pytest.raises(ValueError, match=f"even number of pixels a side, got {cell}"):
        GridEncoder(cell, 4)
