import numpy as np
import pytest
import torch

from hardpp.ops.patch_grid import PatchGrid


@pytest.mark.parametrize(("size", "patch", "cells"), [(224, 16, 50), (60, 12, 13), (9, 3, 4), (5, 5, 1)])
def test_corners_are_those_of_the_published_code(size: int, patch: int, cells: int) -> None:
    grid = PatchGrid(size, patch, cells)
    expected = np.linspace(0, size - patch, cells).astype(int).tolist()
    assert grid.starts.tolist() == expected
    corners = grid.corners(torch.arange(grid.places)).tolist()
    assert corners == [[row, column] for row in expected for column in expected]
    assert grid.nearest(torch.tensor(corners)).tolist() == list(range(grid.places))


def test_the_papers_grids() -> None:
    """CelebA-HQ: 2,500 places, the last of which end a pixel before the border; CUB: 169, 8 pixels apart."""
    faces = PatchGrid(224, 16, 50, last=207)
    assert faces.places == 2500
    assert faces.starts.tolist() == np.linspace(0, 207, 50).astype(int).tolist()
    birds = PatchGrid(128, 32, 13)
    assert birds.places == 169
    assert birds.starts.diff().tolist() == [8] * 12


def test_whole_numbers_stay_whole() -> None:
    # In double precision 19 of 38 steps of 42 pixels are 20.999...
    assert PatchGrid(45, 3, 39).starts[19] == 21
    for last in range(60):
        for cells in range(1, last + 2):
            starts = PatchGrid(last + 3, 3, cells).starts.tolist()
            assert all(start * max(1, cells - 1) <= cell * last for cell, start in enumerate(starts))
            assert all((start + 1) * max(1, cells - 1) > cell * last for cell, start in enumerate(starts))


def test_masks_are_squares() -> None:
    grid = PatchGrid(9, 3, 4)
    for place in range(16):
        row, column = grid.corners(torch.tensor(place)).tolist()
        expected = torch.zeros(9, 9, dtype=torch.bool)
        expected[row : row + 3, column : column + 3] = True
        assert torch.equal(grid.mask(torch.tensor(place)), expected)
    assert not grid.seen(torch.tensor([], dtype=torch.int64)).any()
    seen = grid.seen(torch.tensor([[0, 5], [3, 3]]))
    assert torch.equal(seen[0], grid.mask(torch.tensor(0)) | grid.mask(torch.tensor(5)))
    assert torch.equal(seen[1], grid.mask(torch.tensor(3)))


def test_coarse_places_and_their_neighbours_are_all_places() -> None:
    for cells in range(1, 14):
        grid = PatchGrid(60, 5, cells)
        coarse = grid.coarse(3)
        assert coarse.tolist() == sorted(set(coarse.tolist()))
        near = torch.cat([grid.around(int(place), 1) for place in coarse])
        assert near.unique().tolist() == list(range(grid.places))
    assert PatchGrid(60, 5, 5).around(0, 1).tolist() == [0, 1, 5, 6]
