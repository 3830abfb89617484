"""Where the places of a grid are, and which are nearest to given centres."""

import pytest
import torch

from hardpp.distributions.location_spaces import ContinuousSpace, GridSpace, WindowPlaces
from hardpp.ops.patch_grid import PatchGrid
from hardpp.ops.patches import Sensor


@pytest.mark.parametrize(
    ("size", "patch", "cells"),
    [(60, 12, 13), (28, 8, 5), (28, 7, 4), (224, 16, 50), (9, 9, 1), (13, 4, 10), (61, 13, 31), (999, 8, 60)],
)
def test_sharpest_windows_are_the_patches_of_a_grid(size: int, patch: int, cells: int) -> None:
    grid, places = PatchGrid(size, patch, cells), torch.arange(cells**2)
    space = GridSpace(cells, windows=WindowPlaces(size, size, patch))
    centre = space.locations(places).centre
    for sensor in (Sensor(patch), Sensor(patch, windows=2)):
        corners = sensor.corners(centre, None, size, size)[:, 0]
        assert torch.equal(corners, grid.corners(places))
    designed = (2 * grid.corners(places) + patch) / size - 1
    assert torch.equal(space.nearest(designed), places)
    assert torch.equal(space.nearest(designed, revisits=False), places)


def test_images_may_be_wider_than_high() -> None:
    space = GridSpace(3, windows=WindowPlaces(10, 20, 4))
    corners = Sensor(4).corners(space.locations(torch.arange(9)).centre, None, 10, 20)[:, 0]
    assert corners.tolist() == [[row, column] for row in (0, 3, 6) for column in (0, 8, 16)]


def test_the_scale_of_the_nearest_is_the_first() -> None:
    space = GridSpace(3, scales=2)
    locations = space.all_locations(torch.device("cpu"))
    assert locations is not None
    assert torch.equal(space.nearest(locations.centre), torch.arange(18) % 9)
    assert space.nearest(locations.centre[:9]).dtype == torch.int64


def test_a_second_glimpse_at_a_place_takes_another_where_none_may_be_visited_twice() -> None:
    space = GridSpace(3)
    centre = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.1, 0.05]])
    assert space.nearest(centre).tolist() == [4, 4, 4]
    assert space.nearest(centre, revisits=False).tolist() == [4, 7, 5]


def test_anywhere_the_nearest_is_the_centre_itself() -> None:
    centre = torch.rand(2, 3, 2) * 2 - 1
    assert torch.equal(ContinuousSpace().nearest(centre), centre)
    value = ContinuousSpace(scales=2).nearest(centre)
    assert torch.equal(ContinuousSpace(scales=2).locations(value).centre, centre)
    assert (value[..., 2] == 0).all()
