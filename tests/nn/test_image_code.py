"""Shapes of the networks between images and codes, and what they cannot see."""

import pytest
import torch

from hardpp.nn.image_code import ImageDecoder, ImageEncoder, halved


@pytest.mark.parametrize("size", [(12, 12), (13, 17), (28, 28)])
def test_images_of_any_size(size: tuple[int, int]) -> None:
    encoder = ImageEncoder(3, size, [4, 5, 6], 7, 9)
    assert encoder(torch.zeros(2, 3, *size, dtype=torch.uint8)).shape == (2, 9)
    loc, scale = ImageDecoder(8, 3, size, [4, 5, 6], 7)(torch.randn(5, 2, 8))
    assert (loc.shape, scale.shape) == ((5, 2, 3, *size), (3, 1, 1))
    assert halved((13, 17), 2) == [(13, 17), (7, 9), (4, 5)]


def test_particles_are_decoded_as_alone() -> None:
    decoder, code = ImageDecoder(3, 1, (9, 9), [4, 4], 6), torch.randn(4, 2, 3)
    loc, _ = decoder(code)
    torch.testing.assert_close(loc[2], decoder(code[2])[0])


def test_pixels_that_were_not_seen_do_not_matter_and_where_one_looked_does() -> None:
    torch.manual_seed(0)
    encoder = ImageEncoder(1, (8, 8), [4, 4], 6, 5, partly=True)
    seen = torch.zeros(1, 8, 8, dtype=torch.bool)
    seen[:, 2:5, 2:5] = True
    image = torch.randint(256, (1, 1, 8, 8), dtype=torch.uint8)
    other = torch.where(seen.unsqueeze(1), image, 255 - image)
    assert torch.equal(encoder(image, seen), encoder(other, seen))
    assert not torch.equal(encoder(image, seen), encoder(image, ~seen))
    assert not torch.equal(encoder(image * 0 + 127, seen), encoder(image * 0 + 127, ~seen))
