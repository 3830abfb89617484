"""Numbers of patches and their places are as likely each."""

import torch

from hardpp.ops.patch_grid import PatchGrid
from hardpp.ops.random_patches import random_places, random_seen


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_places_of_an_image_are_all_different_and_as_likely() -> None:
    grid, count = PatchGrid(6, 2, 3), 9000
    places = random_places(grid, count, 4, generator())
    assert all(len(row.unique()) == 4 for row in places[:200])
    shares = torch.stack([torch.bincount(column, minlength=9) for column in places.unbind(-1)]) / count
    assert ((shares - 1 / 9).abs() < 4 * (8 / 81 / count) ** 0.5).all()


def test_none_to_all_patches_are_seen_as_often() -> None:
    grid, count = PatchGrid(6, 2, 3), 8000  # patches of 4 pixels that do not overlap
    seen = random_seen(grid, count, 3, generator())
    patches = seen.flatten(1).sum(-1) / 4
    shares = torch.bincount(patches.long(), minlength=4) / count
    assert ((shares - 1 / 4).abs() < 4 * (3 / 16 / count) ** 0.5).all()
    assert torch.equal(seen, random_seen(grid, count, 3, generator()))


def test_no_patches_at_most() -> None:
    assert not random_seen(PatchGrid(6, 2, 3), 5, 0, generator()).any()
