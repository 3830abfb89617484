"""What a glimpse at a patch is, and where it may be: options of models of partly seen images."""

from pydantic import Field

from hardpp.config import Section
from hardpp.errors import UsageError
from hardpp.ops.patch_grid import PatchGrid
from hardpp.tasks.labelled_images import ImagesDescription


class PatchOptions(Section):
    """Patches of an image, and their places."""

    glimpses: int = Field(5, ge=1, le=1000, description="the most patches of an image that are shown")
    patch: int = Field(12, ge=1, le=10_000, description="pixels a side of a patch")
    cells: int = Field(
        13, ge=1, le=1000, description="places a side; the first and the last lie at the borders"
    )
    last: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="the first pixel of the last patch, where that is not at the border",
    )

    def grid(self, description: ImagesDescription) -> PatchGrid:
        """The places on images as described.

        Raises:
            UsageError: images are not square, or patches and places do not fit on them.
        """
        _, height, width = description.size
        if height != width:
            raise UsageError(
                f"images of {height} by {width} pixels: glimpses are designed on square ones",
                f"pictures of any size are read at one with --set data.side={min(height, width)}",
            )
        if self.patch > height:
            raise UsageError(f"network.patch: {self.patch} pixels are more than the {height} of an image")
        room = height - self.patch
        last = room if self.last is None else self.last
        if last > room:
            raise UsageError(
                f"network.last: a patch of {self.patch} pixels that begins at {last} ends outside of "
                f"{height} pixels"
            )
        if self.cells > last + 1:
            raise UsageError(f"network.cells: there are {last + 1} different places a side, not {self.cells}")
        grid = PatchGrid(height, self.patch, self.cells, self.last)
        if self.glimpses > grid.places:
            raise UsageError(f"network.glimpses: {self.glimpses} glimpses cannot be at {grid.places} places")
        return grid
