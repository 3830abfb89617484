"""Picture files read as pixels, by their content, whatever their names say.

Grey pictures have one channel, all others three. What is transparent becomes white. Pictures stand as viewers
show them, whatever way up they are stored. The files are decoded when they are asked for; they stay in memory
afterwards, if all of them together are not too large.

Shapes: N files, B of them asked for, C channels, H x W pixels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardpp.data.digests import sha256_of_json
from hardpp.data.images.labelled import as_indices
from hardpp.data.images.opened_pictures import on_white, opened, turn_of, upright_size
from hardpp.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")

_CHANNELS = {"1": 1, "L": 1, "LA": 1, "P": 3, "RGB": 3, "RGBA": 3, "CMYK": 3, "YCbCr": 3}
_KEPT = 2**30  # bytes of pixels


class Header(NamedTuple):
    """Mode and size of a picture, known before it is decoded."""

    mode: str  # pillow's name for the kind of pixels
    width: int
    height: int


def read_header(path: Path) -> Header:
    """Read mode and size of a picture as it is shown."""
    with opened(path, _CHANNELS) as picture:
        return Header(picture.mode, *upright_size(picture))


def decode_picture(path: Path, side: int | None = None) -> NDArray[np.uint8]:
    """Decode a picture into pixels (C, H, W).

    Args:
        path: The file.
        side: If given, the picture is made so large that its shorter side has so many pixels, and the square
            in the middle is cut out.
    """
    with opened(path, _CHANNELS) as picture:
        turn, colours = turn_of(picture), _CHANNELS[picture.mode] == 3
        transparent = picture.mode in ("RGBA", "LA") or "transparency" in picture.info
        converted = on_white(picture) if transparent else picture
        converted = converted.convert("RGB" if colours else "L")
        if turn is not None:
            converted = converted.transpose(turn)
        if side is not None:
            converted = _cropped(converted, side)
        pixels = np.array(converted)  # a copy, as pillow's own may not be written to
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0) if colours else pixels[None])


class PictureFiles:
    """Pictures of one size and mode, read by place.

    Args:
        paths: N files, at least one.
        relative_to: Left out of the names, and of what the fingerprint has of the paths.
        side: See `decode_picture`; if it is given, sizes may differ, and all pictures get three channels.
    """

    def __init__(self, paths: Sequence[Path], relative_to: Path, side: int | None = None):
        self.paths, self._folder, self._side = paths, relative_to, side
        if side is None:
            first = read_header(paths[0])
            for path in paths[1:]:
                if (header := read_header(path)) != first:
                    raise DataError(
                        f"{path}: {_describe(header)}, and {paths[0]} {_describe(first)}",
                        "pictures have to be of one size and mode",
                    )
            self.size: tuple[int, int, int] = _CHANNELS[first.mode], first.height, first.width
        else:
            self.size = 3, side, side
        self._pixels: Tensor | None = None
        self._known = np.zeros(len(paths), dtype=bool)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def names(self) -> list[str]:
        """N paths as people write them, with slashes."""
        return [path.relative_to(self._folder).as_posix() for path in self.paths]

    def read(self, places: Sequence[int] | Tensor | None = None) -> Tensor:
        """The pictures at those places, or all of them: (B, C, H, W) uint8."""
        indices = as_indices(places, len(self))
        if len(self) * int(np.prod(self.size)) > _KEPT:
            pictures = [torch.from_numpy(self._decoded(place)) for place in indices.tolist()]
            return torch.stack(pictures) if pictures else torch.empty(0, *self.size, dtype=torch.uint8)
        if self._pixels is None:
            self._pixels = torch.empty(len(self), *self.size, dtype=torch.uint8)
        for place in indices[~self._known[indices]].tolist():
            self._pixels[place] = torch.from_numpy(self._decoded(place))
            self._known[place] = True
        return self._pixels[torch.from_numpy(indices)]

    def fingerprint(self) -> str:
        """SHA-256 of the names and sizes of all files, in order."""
        sizes = [path.stat().st_size for path in self.paths]
        return sha256_of_json([self.size, list(zip(self.names, sizes, strict=True))])

    def _decoded(self, place: int) -> NDArray[np.uint8]:
        pixels = decode_picture(self.paths[place], self._side)
        if self._side is not None and len(pixels) == 1:
            pixels = np.repeat(pixels, 3, axis=0)
        if pixels.shape != self.size:
            raise DataError(f"{self.paths[place]}: has changed since it was first looked at")
        return pixels


def _cropped(picture: "Image.Image", side: int) -> "Image.Image":
    from PIL import Image

    width, height = picture.size
    shorter = min(width, height)
    left, top = (width - shorter) // 2, (height - shorter) // 2
    box = (left, top, left + shorter, top + shorter)
    return picture.crop(box).resize((side, side), Image.Resampling.BILINEAR)


def _describe(header: Header) -> str:
    return f"has {header.width} x {header.height} pixels of mode {header.mode}"
