"""Picture files read as pixels, by their content, whatever their names say.

Grey pictures have one channel, all others three (`hardpp.data.images.pixel_modes`). Pictures stand as viewers
show them, whatever way up they are stored. The files are decoded when they are asked for; they stay in memory
afterwards, if all of them together are not too large.

Shapes: N files, B of them asked for, C channels, H x W pixels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hardpp.data.digests import FileContents, sha256_of_json
from hardpp.data.images.labelled import as_indices
from hardpp.data.images.opened_pictures import opened, turn_of
from hardpp.data.images.pixel_modes import MODES, channels_of, with_channels
from hardpp.data.images.rgb_pictures import KnownPicture, Shape, check_picture
from hardpp.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif", ".jp2")
ENDINGS = (".png", *_JPEG, ".bmp", ".gif", ".tif", ".tiff", ".webp", ".avif", ".ppm", ".pgm", ".pbm", ".pnm")

_KEPT = 2**30  # bytes of pixels


def decoded(path: Path, side: int | None = None, channels: int | None = None) -> NDArray[np.uint8]:
    """Decode a picture into pixels (C, H, W), of which the first frame is read.

    Args:
        path: The file.
        channels: 1 for grey, 3 for colours; left out, what the picture is.
        side: If given, the picture is made so large that its shorter side has so many pixels, and the square
            in the middle is cut out.
    """
    with opened(path, MODES) as picture:
        turn = turn_of(picture)
        channels = channels or channels_of(picture.mode)
        converted = with_channels(picture, channels, path)
        if turn is not None:
            converted = converted.transpose(turn)
        if side is not None:
            converted = _cropped(converted, side)
        pixels = np.array(converted)  # a copy, as pillow's own may not be written to
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0) if channels == 3 else pixels[None])


class PictureFiles:
    """Pictures of one size, read by place.

    Args:
        pictures: N files, at least one, with their headers or, where a side is given, without.
        relative_to: Left out of the names, and of what the fingerprint has of the paths; None: of neither.
        side: See `decoded`; if it is given, sizes may differ, and all pictures get three channels.
        channels: All pictures get so many; left out, three if any of them has colours.
    """

    def __init__(
        self,
        pictures: Sequence[Path] | Sequence[KnownPicture],
        relative_to: Path | None,
        side: int | None = None,
        channels: int | None = None,
    ):
        self.paths = [each.path if isinstance(each, KnownPicture) else each for each in pictures]
        self._folder, self._side, self._contents = relative_to, side, FileContents(self.paths)
        if side is None:
            known = [each if isinstance(each, KnownPicture) else check_picture(each) for each in pictures]
            width, height = _one_size(known)
            channels = channels or max(channels_of(picture.mode) for picture in known)
            self.size: tuple[int, int, int] = channels, height, width
        else:
            self.size = channels or 3, side, side
        self._pixels: Tensor | None = None
        self._known = np.zeros(len(self.paths), dtype=bool)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def names(self) -> list[str]:
        """N paths as people write them, with slashes."""
        folder = self._folder
        return [(path if folder is None else path.relative_to(folder)).as_posix() for path in self.paths]

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
        """SHA-256 of the names and contents (`hardpp.data.digests.FileContents`) of all files, in order."""
        return sha256_of_json([self.size, self.names, self._contents.sha256])

    def _decoded(self, place: int) -> NDArray[np.uint8]:
        pixels = decoded(self.paths[place], self._side, self.size[0])
        if pixels.shape != self.size:
            raise DataError(f"{self.paths[place]}: has changed since it was first looked at")
        return pixels


def _one_size(pictures: Sequence[KnownPicture]) -> Shape:
    first = pictures[0]
    for picture in pictures[1:]:
        if picture.shape != first.shape:
            (width, height), (w, h) = picture.shape, first.shape
            raise DataError(
                f"{picture.path}: has {width} x {height} pixels, and {first.path} has {w} x {h}",
                f"pictures of any size are read at one with --set data.side={max(8, min(first.shape))}",
            )
    return first.shape


def _cropped(picture: "Image.Image", side: int) -> "Image.Image":
    from PIL import Image

    width, height = picture.size
    shorter = min(width, height)
    left, top = (width - shorter) // 2, (height - shorter) // 2
    box = (left, top, left + shorter, top + shorter)
    return picture.crop(box).resize((side, side), Image.Resampling.BILINEAR)
