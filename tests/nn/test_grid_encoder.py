"""A region's features are those of the pixels in its box, and of no others."""

import pytest
import torch

from hardpp.nn.grid_encoder import GridEncoder, grid_boxes

DOUBLE = torch.float64
KERNELS = [[2, 2], [3, 2], [4, 3], [4]]


def encoder(kernels: list[int]) -> GridEncoder:
    torch.manual_seed(0)
    return GridEncoder(kernels, 16).to(DOUBLE)


def pixels(height: int = 12, width: int = 17) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)


@pytest.mark.parametrize("kernels", KERNELS)
def test_a_region_sees_the_pixels_of_its_box_alone(kernels: list[int]) -> None:
    net = encoder(kernels)
    image = pixels().requires_grad_()
    regions = net(image)[0]
    boxes = grid_boxes(12, 17, kernels)
    assert len(boxes) == len(regions)
    weights = torch.linspace(-1, 1, 16, dtype=DOUBLE)
    reached = torch.zeros(12, 17, dtype=torch.bool)
    for region, (left, top, right, bottom) in zip(regions, boxes, strict=True):
        (gradient,) = torch.autograd.grad(region[:-2] @ weights, image, retain_graph=True)
        rows, columns = gradient[0].abs().sum(0).nonzero(as_tuple=True)
        assert left <= columns.min()
        assert columns.max() < right
        assert top <= rows.min()
        assert rows.max() < bottom
        reached[rows, columns] = True
    width, height = max(box[2] for box in boxes), max(box[3] for box in boxes)
    assert reached[: int(height), : int(width)].float().mean() > 0.9  # all but where units are at rest


def test_regions_with_the_same_pixels_differ_in_their_place_only() -> None:
    found = encoder([2, 2])(pixels(4, 4).repeat(1, 1, 2, 3))  # (1, 6, 18)
    torch.testing.assert_close(found[..., :-2], found[:, :1, :-2].expand(-1, 6, -1), rtol=0, atol=1e-12)
    places = torch.tensor([[x, y] for y in (-1, 1) for x in (-1, 0, 1)], dtype=DOUBLE)
    torch.testing.assert_close(found[0, :, -2:], places, rtol=0, atol=1e-12)


def test_boxes_are_rows_from_the_top() -> None:
    assert grid_boxes(8, 12, [2, 2])[:4] == [(0, 0, 4, 4), (4, 0, 8, 4), (8, 0, 12, 4), (0, 4, 4, 8)]
    found = grid_boxes(64, 64, [4, 3, 3])
    assert len(found) == 49
    assert found[-1] == (48, 48, 64, 64)
    assert grid_boxes(15, 64, [4, 3, 3]) == []


def test_bytes_are_fractions() -> None:
    net = encoder([4, 3])
    image = torch.randint(0, 256, (2, 3, 12, 16), generator=torch.Generator().manual_seed(1)).byte()
    torch.testing.assert_close(net(image), net(image.double() / 255), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernels", [[], [1, 2]])
def test_kernels_that_leave_pixels_out_are_refused(kernels: list[int]) -> None:
    with pytest.raises(ValueError, match="expected kernels of 2 and more"):
        GridEncoder(kernels, 4)
