"""Which images a model is trained on: corpora of one size, and pictures of any size that are read at one."""

from pydantic import Field

from hardpp.config import DataConfig
from hardpp.data.images.celeba_hq import DEFAULT
from hardpp.data.images.corpora import ImageOptions
from hardpp.data.lines import OnBad


class PictureData(DataConfig):
    """Which images, and how those to train on are changed from epoch to epoch."""

    side: int | None = Field(
        None, ge=8, le=10_000, description="pixels a side at which pictures of any size are read, in colour"
    )
    fresh: bool = Field(True, description="scenes of digits to train on are placed anew in every epoch")
    augment: bool = Field(True, description="pictures to train on are cropped anew in every epoch")
    smallest_area: float = Field(0.5, gt=0, le=1, description="of a crop, as a share of the picture")
    flip: bool = Field(True, description="half of the crops are mirrored")
    attribute: str = Field(DEFAULT, description="of faces with attributes: which is the label")
    workers: int = Field(0, ge=0, le=256, description="processes that make batches ahead of training")
    on_bad: OnBad = Field("stop", description="at a picture that cannot be read: stop, or skip and say so")

    def options(self) -> ImageOptions:
        """The same as a corpus takes them."""
        return ImageOptions(
            fresh=self.fresh,
            side=self.side,
            augment=self.augment,
            smallest_area=self.smallest_area,
            flip=self.flip,
            attribute=self.attribute,
            on_bad=self.on_bad,
        )
