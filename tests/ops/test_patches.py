"""Patches and coverage against a loop over data, glimpses, windows and pixels, written in numpy."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from hardpp.ops.patches import Padding, Sensor

B, C = 2, 2


def images(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(height * 100 + width)
    return torch.randint(0, 256, (B, C, height, width), dtype=torch.uint8, generator=generator)


def by_hand(
    image: np.ndarray, place: tuple[float, float], side: int, block: int, padding: Padding
) -> np.ndarray:
    """One window (C, side, side) of (C, height, width), a pixel at a time."""
    size = image.shape[1:]
    top, left = (
        math.floor((at + 1) / 2 * n - side * block / 2 + 0.5 + 1e-4)
        for at, n in zip(place, size, strict=True)
    )
    out = np.zeros((len(image), side, side))
    for i in range(side * block):
        for j in range(side * block):
            y, x = top + i, left + j
            outside = not (0 <= y < size[0] and 0 <= x < size[1])
            if outside and padding == "zeros":
                continue
            y, x = min(max(y, 0), size[0] - 1), min(max(x, 0), size[1] - 1)
            out[:, i // block, j // block] += image[:, y, x] / 255 / block**2
    return out


def cell_centres(cells: int) -> list[float]:
    return [(2 * cell + 1) / cells - 1 for cell in range(cells)]


PLACES = [(-1, -1), (1, 1), (-1, 1), (0, 0), (0.3, -0.77), (0.999, 0.01)]
PLACES += [(y, x) for y in cell_centres(3) for x in cell_centres(3)]


@pytest.mark.parametrize("padding", ["zeros", "edge"])
@pytest.mark.parametrize("size", [(8, 8), (9, 9), (7, 10)])
@pytest.mark.parametrize("side", [3, 4])
def test_patches_are_those_of_a_loop_over_pixels(side: int, size: tuple[int, int], padding: Padding) -> None:
    """All scales and windows, places at cell centres, corners and elsewhere; particles on the left."""
    pixels, sensor = images(*size), Sensor(side, windows=2, scales=2, padding=padding)
    places = torch.tensor(PLACES, dtype=torch.float32)  # single precision, as networks have it
    shifted = torch.stack([places, places.flip(0)]).unsqueeze(0)  # (1, B, G, 2): data look elsewhere
    scale = torch.arange(2).reshape(2, 1, 1).expand(2, B, len(PLACES))  # a scale a particle
    found = sensor.of(pixels).patches(shifted, scale)
    assert found.shape == (2, B, len(PLACES), 2, C, side, side)
    for k in range(2):
        for b in range(B):
            for n, place in enumerate(PLACES if b == 0 else PLACES[::-1]):
                for window in range(2):
                    expected = by_hand(pixels[b].numpy(), place, side, 2 ** (window + k), padding)
                    np.testing.assert_allclose(found[k, b, n, window].numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(8, 8), (9, 11)])
@pytest.mark.parametrize("side", [3, 4])
def test_coverage_is_that_of_a_loop_over_pixels(side: int, size: tuple[int, int]) -> None:
    sensor, places = Sensor(side, windows=2, scales=2), torch.tensor(PLACES)
    for chosen in ([0, 5], [3, 4, 9]):
        for scale in (0, 1):
            for window in (0, 1):
                expected = np.zeros(size, dtype=bool)
                for n in chosen:
                    # A pixel is covered if a window of an image of ones that is dark elsewhere holds it.
                    for y, x in np.ndindex(*size):
                        one = np.zeros((1, *size))
                        one[0, y, x] = 255
                        expected[y, x] |= by_hand(one, PLACES[n], side, 2 ** (window + scale), "zeros").any()
                scales = torch.full((len(chosen),), scale)
                found = sensor.coverage(places[chosen], scales, *size, window=window)
                assert found.numpy().tolist() == expected.tolist()
    assert torch.equal(sensor.coverage(places, None, *size), sensor.coverage(places, None, *size, window=1))


def test_a_glimpse_at_the_centre_is_a_slice_and_constants_stay() -> None:
    pixels = images(10, 10)
    found = Sensor(4).of(pixels).patches(torch.zeros(B, 1, 2)).squeeze((1, 2))
    assert torch.equal(found, pixels[..., 3:7, 3:7].float() / 255)
    flat = Sensor(3, windows=3, padding="edge").of(torch.full_like(pixels, 51))
    assert torch.equal(flat.patches(torch.rand(5, B, 4, 2) * 2 - 1).unique(), torch.tensor([51 / 255]))


def test_places_outside_of_the_image_are_on_its_border() -> None:
    sight = Sensor(4, windows=2).of(images(10, 10))
    outside, border = torch.tensor([[[-1.5, 7.0]]]).expand(B, 1, 2), torch.tensor([[[-1.0, 1.0]]])
    assert torch.equal(sight.patches(outside), sight.patches(border.expand(B, 1, 2)))


def test_floating_images_are_not_rescaled() -> None:
    pixels = images(8, 8)
    one, other = (Sensor(3, 2).of(each).patches(torch.zeros(B, 1, 2)) for each in (pixels, pixels.double()))
    torch.testing.assert_close(one.double() * 255, other, rtol=0, atol=1e-4)
    assert other.dtype == torch.float64


@pytest.mark.parametrize(
    ("sensor", "message"),
    [
        (Sensor(9), "a glimpse of 9 pixels is larger than an image of 8 by 12 pixels"),
        (Sensor(3, windows=0), "no such sensor"),
        (Sensor(3, padding="mirror"), "no such sensor"),
    ],
)
def test_impossible_sensors(sensor: Sensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sensor.of(images(8, 12))
