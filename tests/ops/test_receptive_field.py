"""Windows of stacked convolutions: what a gradient reaches, and pixels counted one by one."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from hardpp.ops.receptive_field import ReceptiveField, receptive_field

STACKS = {
    "nothing": [],
    "one": [(3, 1)],
    "strided": [(3, 2), (2, 3)],
    "with small ones": [(3, 1), (1, 2), (3, 1), (1, 1), (2, 2)],
    "kernels below their stride": [(1, 3), (2, 1)],
}
PAPER = [(3, 1), *((3 if block < 2 else 1, 2 if block == 0 and group < 3 else 1)
                   for group, blocks in enumerate((3, 4, 6, 3)) for block in range(blocks))]  # fmt: skip


def reached(layers: list[tuple[int, int]], pixels: int) -> Tensor:
    """Which pixels the gradient of every output has come from: (C, C, pixels, pixels) bool."""
    image = torch.ones(1, 1, pixels, pixels, dtype=torch.float64, requires_grad=True)
    out = image
    for kernel, stride in layers:
        out = nn.functional.conv2d(out, torch.ones(1, 1, kernel, kernel).double(), stride=stride)
    C = out.shape[-1]
    rows = [torch.autograd.grad(each, image, retain_graph=True)[0][0, 0] > 0 for each in out.flatten()]
    return torch.stack(rows).unflatten(0, (C, C))


@pytest.mark.parametrize("pixels", [11, 14])
@pytest.mark.parametrize("name", STACKS)
def test_a_place_sees_what_its_gradient_reaches(name: str, pixels: int) -> None:
    field = receptive_field(STACKS[name])
    expected = reached(STACKS[name], pixels)
    C = field.places(pixels)
    assert len(expected) == C
    seen = field.seen(torch.arange(C * C).unsqueeze(-1), C, pixels, pixels)
    kernels_leave_gaps = name == "kernels below their stride"
    for row, column in itertools.product(range(C), repeat=2):
        window = seen[row * C + column]
        assert window.sum() == field.side**2
        assert window[expected[row, column]].all()
        assert torch.equal(window, expected[row, column]) or kernels_leave_gaps
        top, left = expected[row, column].nonzero()[0].tolist()
        assert field.corners(torch.tensor(row * C + column), C).tolist() == [top, left]


def test_the_paper_s() -> None:
    field = receptive_field(PAPER)
    assert field == ReceptiveField(77, 8)
    assert field.places(224) == 19
    assert int(field.seen(torch.arange(361), 19, 224, 224).sum()) == 221**2  # the last three are not seen


@pytest.mark.parametrize("pixels", range(1, 40))
def test_places_are_the_windows_that_fit(pixels: int) -> None:
    field = ReceptiveField(9, 4)
    fit = sum(4 * place + 9 <= pixels for place in range(pixels))
    assert max(field.places(pixels), 0) == fit


def test_pixels_of_several_glimpses_of_several_images() -> None:
    field, C, height, width = ReceptiveField(4, 3), 4, 15, 17
    places = torch.randint(0, C * C, (2, 3, 5), generator=torch.Generator().manual_seed(0))
    seen = field.seen(places, C, height, width)
    assert seen.shape == (2, 3, height, width)
    for i, j, y, x in itertools.product(range(2), range(3), range(height), range(width)):
        inside = False
        for place in places[i, j].tolist():
            top, left = 3 * (place // C), 3 * (place % C)
            inside |= top <= y < top + 4 and left <= x < left + 4
        assert bool(seen[i, j, y, x]) == inside


def test_the_share_of_no_glimpses_is_none() -> None:
    assert not ReceptiveField(4, 3).seen(torch.zeros(2, 0, dtype=torch.int64), 4, 13, 13).any()
