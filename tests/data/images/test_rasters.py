import numpy as np
import pytest
import torch
from PIL import Image

from hardpp.data.images.rasters import paste, resized, tight_boxes
from hardpp.data.uniforms import integers, uniforms

NOISE = integers(uniforms("noise", 3, 28, 28), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("side", [14, 20, 27, 29, 43, 56])
def test_sizes_change_as_pillow_changes_them(side: int) -> None:
    for picture, found in zip(NOISE, resized(NOISE, side), strict=True):
        wanted = np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR))
        # Weights are rounded to 256ths here, of which 4 to 16 count at a time.
        assert abs(found.astype(int) - wanted).max() <= 2


@pytest.mark.parametrize("side", [14, 56])
def test_half_and_double_the_size_are_exact(side: int) -> None:
    # Weights are then whole 256ths, but for the border; what torch finds is only rounded.
    exact = torch.nn.functional.interpolate(
        torch.from_numpy(NOISE).double()[None], (side, side), mode="bilinear", antialias=True
    )
    wanted = (exact[0] + 0.5).floor().numpy()
    assert (resized(NOISE, side)[:, 1:-1, 1:-1] == wanted[:, 1:-1, 1:-1]).all()


@pytest.mark.parametrize("side", [14, 28, 33, 56])
def test_the_same_size_and_plain_pictures_stay_as_they_are(side: int) -> None:
    assert (resized(NOISE, 28) == NOISE).all()
    for shade in (0, 1, 128, 255):
        assert (resized(np.full((1, 28, 28), shade, np.uint8), side) == shade).all()


def test_pasting_leaves_the_lighter_pixel() -> None:
    canvas = np.zeros((2, 5, 6), np.uint8)
    canvas[0, 1] = 7
    pictures = np.array([[[9, 5], [1, 2]], [[3, 0], [0, 4]]], np.uint8)
    paste(canvas, pictures, np.array([1, 3]), np.array([4, 0]))
    wanted = np.zeros((2, 5, 6), np.uint8)
    wanted[0, 1], wanted[0, 1, 4] = 7, 9
    wanted[0, 2, 4:] = 1, 2
    wanted[1, 3, 0], wanted[1, 4, 1] = 3, 4
    assert (canvas == wanted).all()


@pytest.mark.parametrize(("top", "left"), [(4, 0), (0, 5)])
def test_nothing_is_pasted_over_the_border(top: int, left: int) -> None:
    with pytest.raises(IndexError):
        paste(np.zeros((1, 5, 6), np.uint8), np.ones((1, 2, 2), np.uint8), np.array([top]), np.array([left]))


def test_a_box_holds_every_pixel_that_is_not_black_and_no_empty_line() -> None:
    sparse = NOISE * (NOISE > 250)
    for picture, box in zip(sparse, tight_boxes(sparse), strict=True):
        rows, columns = np.nonzero(picture)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert tight_boxes(np.zeros((1, 4, 5), np.uint8)).tolist() == [[0, 0, 0, 0]]
    assert tight_boxes(np.ones((1, 4, 5), np.uint8)).tolist() == [[0, 0, 5, 4]]
