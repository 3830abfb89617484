from functools import partial

import pytest
import torch

from hardpp.errors import UsageError
from hardpp.tasks.attention import Attention, centre_inside
from hardpp.tasks.image_regions import (
    likeliest_region,
    likeliest_regions,
    mean_figures,
    region_count,
    region_hits,
)


def test_regions_of_an_image_are_those_of_its_grid() -> None:
    count = partial(region_count, [2, 2, 2])  # cells of 8 pixels
    assert count(32, 24) == 12
    with pytest.raises(UsageError, match="a region of 8 x 8 pixels is larger than images of 32 x 7"):
        count(32, 7)


def test_centres_on_the_edges_of_a_half_open_box() -> None:
    box = (8.0, 16.0, 18.0, 26.0)
    assert centre_inside((4.0, 12.0, 12.0, 20.0), box, edges=True)  # (8, 16)
    assert not centre_inside((14.0, 12.0, 22.0, 20.0), box, edges=True)  # (18, 16)
    assert not centre_inside((8.0, 4.0, 18.0, 26.0), box, edges=True)  # (13, 15)


def test_centres_near_a_box() -> None:
    gold = (8.0, 8.0, 18.0, 18.0)
    assert centre_inside((8.0, 8.0, 16.0, 16.0), gold)
    for box, outside in (((0.0, 8.0, 8.0, 16.0), 4.0), ((16.0, 16.0, 40.0, 24.0), 10.0)):
        assert not centre_inside(box, gold, outside)
        assert centre_inside(box, gold, outside + 0.5)


def test_hits_are_those_of_the_likeliest_region_of_every_view() -> None:
    # One datum of two steps over three regions: views that peak at different ones.
    peaks = ([0, 1], [1, 1], [2, 0])
    attention = Attention(*(torch.eye(3)[steps][None] for steps in peaks))
    likeliest = likeliest_regions(attention)
    inside = [False, True, True]
    steps = [region_hits(likeliest, 0, step, inside) for step in (0, 1)]
    assert steps[0] == {"hit_prior": False, "hit_guide": True, "hit_posterior": True}
    assert steps[1] == {"hit_prior": True, "hit_guide": True, "hit_posterior": False}
    assert mean_figures(steps) == {"hit_prior": 0.5, "hit_guide": 1.0, "hit_posterior": 0.5}
    assert mean_figures([]) == {}


def test_the_likeliest_region_as_cells_of_a_table() -> None:
    boxes = [(0.0, 0.0, 8.0, 8.0), (8.5, 0.0, 16.5, 8.0)]
    assert likeliest_region(torch.tensor([0.25, 0.75]), boxes) == ("1", "8.5 0 16.5 8", "0.7500")
